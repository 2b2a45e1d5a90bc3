"""The page on requirements: what it claims is in the store, and what it names exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ml_assets.forecasts.verdicts import Promotion
from ml_assets.reports.completion import REQUIREMENTS, completion_pages
from ml_assets.storage import ArtifactStore, GateVerdict
from orchestration import definitions
from orchestration.gating import collect_gates
from tests.unit.forecasts.direction_makers import judged, report, with_controls
from tests.unit.forecasts.fleets import decide
from tests.unit.storage.make import certificate

ROOT = Path(__file__).parents[3]


@pytest.fixture
def promotion() -> Promotion:
    return decide(
        with_controls({"AAA": judged(report("AAA", accuracy=0.5, p=0.5)), "BBB": "gate causal failed"})
    )


def publish(store: ArtifactStore, asset: str, partition: str | None, *gates: GateVerdict) -> None:
    data = f"{asset} {partition}".encode()
    store.publish(data, certificate(data, *gates, asset=asset, partition=partition))


def page(store: ArtifactStore, promotion: Promotion) -> str:
    (found,) = completion_pages(store, promotion).values()
    return found.decode()


def test_every_line_comes_from_the_store(tmp_path: Path, promotion: Promotion) -> None:
    store = ArtifactStore(tmp_path)
    empty = page(store, promotion)
    assert "| split_sequences | none: no certified version | 0 of 4 | 0 |" in empty
    assert "| parity error, of S | none in this store | < 0.02 |" in empty
    causal = GateVerdict("causal", True, "rows recomputed", {"checked": 1200})
    for symbol in ("AAA", "CONTROL-EDGE", "NOT-TRIED"):
        publish(store, "split_sequences", symbol, causal, GateVerdict("oracle", True, "", {"checked": 3}))
    publish(
        store, "pinn_weights", None, GateVerdict("pinn_parity", True, "", {"checked": 9, "parity_max": 3e-4})
    )
    found = page(store, promotion)
    assert "| split_sequences | causal | 2 of 4 | 2,400 |" in found
    assert "| split_sequences | oracle | 2 of 4 | 6 |" in found
    assert "| parity error, of S | 0.0003 | < 0.02 |" in found
    assert "`split_sequences`: 3 gates, 0 of 4 versions" in found, "`scale` has looked at none"
    assert "2 symbols: 2 REJECT. In service: none: no model with skill." in found
    assert "Without a certified report: BBB." in found


def test_a_damaged_certificate_is_no_evidence(tmp_path: Path, promotion: Promotion) -> None:
    store = ArtifactStore(tmp_path)
    for symbol in ("AAA", "BBB"):
        publish(store, "split_sequences", symbol, GateVerdict("causal", True, "", {"checked": 7}))
    (edited,) = (tmp_path / "split_sequences" / "BBB" / "versions").glob("*.certificate.json")
    edited.write_text(edited.read_text().replace('"checked": 7', '"checked": 8'))
    assert "| split_sequences | causal | 1 of 4 | 7 |" in page(store, promotion)


def test_every_named_test_exists() -> None:
    named = [test for requirement in REQUIREMENTS for test in requirement.tests]
    for test in named:
        file, _, name = test.partition("::")
        assert re.search(rf"^def {name}\(", (ROOT / file).read_text(encoding="utf-8"), re.M), test
    acceptance = {
        name
        for file in (ROOT / "tests/acceptance").glob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", file.read_text(encoding="utf-8"), re.M)
    }
    assert acceptance <= {test.partition("::")[2] for test in named}


def test_every_named_gate_is_declared() -> None:
    declared = collect_gates(definitions.build_defs().assets or ())  # type: ignore[arg-type]
    named = {
        (asset, gate)
        for requirement in REQUIREMENTS
        for asset, gates in requirement.gates.items()
        for gate in gates.split()
    }
    assert named
    assert {(asset, gate) for asset, gate in named if gate not in declared.get(asset, ())} == set()


def test_the_requirements_are_those_of_the_project_in_their_order() -> None:
    assert [requirement.name.split()[0] for requirement in REQUIREMENTS] == [f"R{n}" for n in range(1, 13)]
