"""The same small graph three times, to show which layer closes which path.

``plain``: Dagster's own blocking checks and file IO manager, as its documentation has it.
``gated``: our assets, both layers.
``rogue``: assets that publish whatever their gates say (layer 1 missing), read through our IO manager.

Each family has an unpartitioned ``source`` and a partitioned ``parts``, read by ``one``, ``each`` (one
to partitions), ``part``, ``all`` and ``lazy`` (fan-in, read at once and on access). Files in the folder
``$TOYS`` steer it: ``bad_source``, ``bad_parts_B``, ``slow`` (seconds), ``text`` (the value).
"""

import hashlib
import os
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import dagster as dg

from ml_assets.gates.core import Gate, GateResult
from ml_assets.storage import ArtifactStore, GateVerdict, certify
from ml_assets.storage.artifact import JsonArtifact
from orchestration.gating import Candidate, Staged, collect_gates, gated_asset, verified
from orchestration.gating.asset import SHA256
from orchestration.gating.io_manager import GatedIOManager
from orchestration.settings import Settings

PARTS = dg.StaticPartitionsDefinition(["A", "B"])


@dataclass(frozen=True)
class Toy(JsonArtifact):
    kind: ClassVar[str] = "toy"
    text: str


def _root() -> Path:
    return Path(os.environ["TOYS"])


def _text(name: str) -> str:
    path = _root() / "text"
    return f"{name} {path.read_text() if path.exists() else ''}"


def _good(name: str) -> bool:
    slow = _root() / "slow"
    if slow.exists():
        seconds = float(slow.read_text())
        (_root() / "gate_running").touch()
        time.sleep(seconds)
    return not (_root() / f"bad_{name}").exists()


# ------------------------------------------------------------------ plain Dagster


@dg.asset(io_manager_key="files", group_name="plain")
def plain_source() -> str:
    return _text("source")


@dg.asset_check(asset=plain_source, blocking=True)
def plain_source_gate(plain_source: str) -> dg.AssetCheckResult:
    severity = dg.AssetCheckSeverity.WARN if (_root() / "warn").exists() else dg.AssetCheckSeverity.ERROR
    return dg.AssetCheckResult(passed=_good("source"), severity=severity)


@dg.asset(io_manager_key="files", group_name="plain", partitions_def=PARTS)
def plain_parts(context: dg.AssetExecutionContext) -> str:
    return _text(context.partition_key)


@dg.asset_check(asset=plain_parts, blocking=True, partitions_def=PARTS)
def plain_parts_gate(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=_good(f"parts_{context.partition_key}"))


@dg.asset(io_manager_key="files", group_name="plain", automation_condition=dg.AutomationCondition.eager())
def plain_one(plain_source: str) -> str:
    return plain_source


@dg.asset(io_manager_key="files", group_name="plain", partitions_def=PARTS)
def plain_each(plain_source: str) -> str:
    return plain_source


@dg.asset(io_manager_key="files", group_name="plain", partitions_def=PARTS)
def plain_part(plain_parts: str) -> str:
    return plain_parts


@dg.asset(io_manager_key="files", group_name="plain")
def plain_all(plain_parts: dict[str, str]) -> str:
    return " ".join(plain_parts.values())


# ------------------------------------------------------------------ ours


def _ask(toy: Toy, name: str) -> GateResult:
    return GateResult("gate", _good(name), f"looked at {toy.text!r}", 1)


def _pass(toy: Any, _: object) -> GateResult:
    return GateResult("gate", True, f"looked at {toy!r}", 1)


ASKED = Gate("gate", "toy", _ask)
"""Passes or not as a file says, by the name that is its evidence."""
PASS = Gate("gate", "always passes", _pass)


@gated_asset(gates=[ASKED], group_name="gated")
def gated_source(context: dg.AssetExecutionContext) -> Staged:
    return Staged(Toy(_text("source")), "source")


@gated_asset(gates=[ASKED], group_name="gated", partitions_def=PARTS)
def gated_parts(context: dg.AssetExecutionContext) -> Staged:
    key = context.partition_key
    return Staged(Toy(_text(key)), f"parts_{key}")


def _rogue(asset: str, name: str, partition: str | None = None) -> Iterator[Any]:
    """Publish with a forged certificate, then report what the gate found."""
    data = Toy(_text(name)).to_bytes()
    sha256 = hashlib.sha256(data).hexdigest()
    forged = certify(
        data, asset=asset, partition=partition, kind="toy", extension=".json",
        gates=[GateVerdict("gate", True, "forged")], code_version="forged",
    )  # fmt: skip
    yield dg.Output(Candidate(data, forged, None))
    severity = dg.AssetCheckSeverity.WARN if (_root() / "warn").exists() else dg.AssetCheckSeverity.ERROR
    metadata = {} if (_root() / "nohash").exists() else {SHA256: sha256}
    yield dg.AssetCheckResult(asset_key=asset, check_name="gate", passed=_good(name if partition is None else f"parts_{partition}"), severity=severity, metadata=metadata)  # fmt: skip  # noqa: E501


@dg.asset(check_specs=[dg.AssetCheckSpec("gate", asset="rogue_source", blocking=True)], group_name="rogue")
def rogue_source() -> Iterator[Any]:
    yield from _rogue("rogue_source", "source")


@dg.asset(
    check_specs=[dg.AssetCheckSpec("gate", asset="rogue_parts", blocking=True, partitions_def=PARTS)],
    group_name="rogue",
    partitions_def=PARTS,
)
def rogue_parts(context: dg.AssetExecutionContext) -> Iterator[Any]:
    yield from _rogue("rogue_parts", context.partition_key, context.partition_key)


def _readers(family: str) -> list[dg.AssetsDefinition]:
    """Build the four readers of a family; each copies what it read."""

    def reader(
        name: str, upstream: str, partitions: Any = None, *, eager: bool = False, read_later: bool = False
    ) -> dg.AssetsDefinition:
        def compute(context: dg.AssetExecutionContext, upstream: Any) -> Staged:
            values = [*upstream.values()] if isinstance(upstream, Mapping) else [upstream]
            text = " ".join(v.value.text for v in values)
            return Staged(Toy(text), inputs=values)

        compute.__name__ = f"{family}_{name}"
        options: dict[str, Any] = {"automation_condition": dg.AutomationCondition.eager()} if eager else {}
        return gated_asset(
            gates=[PASS], partitions_def=partitions, group_name=family,
            ins={"upstream": verified(f"{family}_{upstream}", read_later=read_later)}, **options,
        )(compute)  # fmt: skip

    return [
        reader("one", "source", eager=True),
        reader("each", "source", PARTS),
        reader("part", "parts", PARTS),
        reader("all", "parts"),
        reader("lazy", "parts", read_later=True),
    ]


PLAIN = [plain_source, plain_parts, plain_one, plain_each, plain_part, plain_all]
PLAIN_CHECKS = [plain_source_gate, plain_parts_gate]
OURS = [gated_source, gated_parts, *_readers("gated"), rogue_source, rogue_parts, *_readers("rogue")]


def build(jobs: Any = ()) -> dg.Definitions:
    store = ArtifactStore(_root() / "store")
    io_manager = GatedIOManager(
        store,
        collect_gates(OURS),
        wait_seconds=0.2,
        wait_tries=50,
        decode=lambda kind, data: Toy.from_bytes(data),
    )
    files = dg.FilesystemIOManager(base_dir=str(_root() / "files"))
    return dg.Definitions(
        assets=[*PLAIN, *OURS],
        asset_checks=PLAIN_CHECKS,
        resources={"store": store, "settings": Settings(), "io_manager": io_manager, "files": files},
        executor=dg.in_process_executor,
        jobs=[
            *jobs,
            *(
                dg.define_asset_job(
                    f"{family}_pair", dg.AssetSelection.assets(f"{family}_source", f"{family}_one")
                )
                for family in ("plain", "gated", "rogue")
            ),
        ],
    )


def definitions() -> dg.Definitions:
    """For Dagster's loader, which calls a function without parameters."""
    return build()


def pair_job(family: str) -> dg.JobDefinition:
    """For ``dg.reconstructable``: a job that another process can rebuild."""
    return build().resolve_job_def(f"{family}_pair")


def plain_pair() -> dg.JobDefinition:
    return pair_job("plain")


def gated_pair() -> dg.JobDefinition:
    return pair_job("gated")


def rogue_pair() -> dg.JobDefinition:
    return pair_job("rogue")


def main(asset: str) -> None:
    """Materialize one asset on the instance of ``$DAGSTER_HOME``, as another process would."""
    job = build(jobs=[dg.define_asset_job("chosen", dg.AssetSelection.assets(asset))]).resolve_job_def(
        "chosen"
    )
    with dg.DagsterInstance.get() as instance:
        job.execute_in_process(instance=instance, raise_on_error=False)


if __name__ == "__main__":
    main(sys.argv[1])
