"""Small certificates for tests."""

from __future__ import annotations

from pathlib import Path

from ml_assets.storage import Certificate, GateVerdict, certify

PASSED = GateVerdict("causal", True, "1,200 rows recomputed", {"checked": 1200, "worst": 1e-12})
FAILED = GateVerdict("ledger", False, "AAPL 2020-01-02: train and test overlap", {"checked": 7})


def certificate(
    data: bytes, *gates: GateVerdict, asset: str = "weights", partition: str | None = "AAPL"
) -> Certificate:
    return certify(
        data,
        asset=asset,
        partition=partition,
        kind="toy",
        extension=".bin",
        gates=gates or (PASSED,),
        code_version="1",
        inputs={"raw_prices/AAPL": "0" * 64},
        run_id="run-1",
    )


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())
