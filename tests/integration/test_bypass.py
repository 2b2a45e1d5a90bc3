"""Every path by which plain Dagster lets unproven data downstream, and that ours are closed.

Each scenario answers: did the reader materialize? For ``plain`` it must have (else the hole is not there and
the test proves nothing); for ``gated`` and for ``rogue`` (publishes regardless, so only verify-on-read stands
in the way) it must not. The table is the one of gates.md.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest

from ml_assets.storage import ArtifactStore
from tests.integration import toys

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass
class Lab:
    """One instance, one folder of flags, and what a scenario needs to do."""

    instance: dg.DagsterInstance
    root: Path

    def flag(self, name: str, on: bool = True, text: str = "") -> None:
        path = self.root / name
        if on:
            path.write_text(text)
        else:
            path.unlink(missing_ok=True)

    def run(
        self, selection: dg.AssetSelection, partition: str | None = None, tags: dict[str, str] | None = None
    ) -> dg.ExecuteInProcessResult:
        defs = toys.build(jobs=[dg.define_asset_job("chosen", selection)])
        job = defs.resolve_job_def("chosen")
        return job.execute_in_process(
            instance=self.instance, partition_key=partition, raise_on_error=False, tags=tags, run_config=QUIET
        )

    def assets(self, *names: str) -> dg.AssetSelection:
        return dg.AssetSelection.assets(*names)

    def materialized(self, name: str, partition: str | None = None) -> int:
        records = self.instance.fetch_materializations(
            dg.AssetRecordsFilter(
                asset_key=dg.AssetKey(name), asset_partitions=None if partition is None else [partition]
            ),
            limit=100,
        ).records
        return len(records)

    @contextmanager
    def gate_running(self, asset: str) -> Iterator[None]:
        """Run an asset in another process: enter once its slow gate is at work, leave when the run ended."""
        environment = {**os.environ, "DAGSTER_HOME": self.instance.root_directory}
        command = [sys.executable, "-W", "ignore", "-m", "tests.integration.toys", asset]
        with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
            deadline = time.monotonic() + 60
            while not (self.root / "gate_running").exists():
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.05)
            yield

    def read(self, name: str, partition: str | None = None, tags: dict[str, str] | None = None) -> bool:
        """Run a reader alone; tell whether it materialized."""
        before = self.materialized(name, partition)
        self.run(self.assets(name), partition, tags)
        return self.materialized(name, partition) > before


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    monkeypatch.setenv("TOYS", str(tmp_path))
    with dg.instance_for_test() as instance:
        yield Lab(instance, tmp_path)


# ------------------------------------------------------------------ the scenarios


def failed_gate_then_reader_alone(lab: Lab, f: str) -> bool:
    lab.flag("bad_source")
    lab.run(lab.assets(f"{f}_source"))
    return lab.read(f"{f}_one")


def failed_partition_then_reader_alone(lab: Lab, f: str) -> bool:
    lab.flag("bad_parts_A")
    lab.run(lab.assets(f"{f}_parts"), "A")
    lab.run(lab.assets(f"{f}_parts"), "B")
    return lab.read(f"{f}_part", "A")


def reexecute_only_the_reader(lab: Lab, f: str) -> bool:
    lab.flag("bad_source")
    job = dg.reconstructable(
        {"plain": toys.plain_pair, "gated": toys.gated_pair, "rogue": toys.rogue_pair}[f]
    )
    first = dg.execute_job(job, lab.instance, raise_on_error=False, run_config=QUIET)
    assert not first.success
    assert lab.materialized(f"{f}_one") == 0
    options = dg.ReexecutionOptions(parent_run_id=first.run_id, step_selection=[f"{f}_one"])
    dg.execute_job(job, lab.instance, reexecution_options=options, run_config=QUIET, raise_on_error=False)
    return lab.materialized(f"{f}_one") > 0


def without_checks(lab: Lab, f: str) -> bool:
    lab.flag("bad_source")
    try:
        lab.run(lab.assets(f"{f}_source", f"{f}_one").without_checks())
    except (dg.DagsterInvalidDefinitionError, dg.DagsterInvalidSubsetError):
        # Ours: gates are part of the asset's own op; Dagster rejects the selection itself.
        assert f != "plain"
    return lab.materialized(f"{f}_one") > 0 or lab.read(f"{f}_one")


def fan_in_while_one_partition_failed(lab: Lab, f: str) -> bool:
    lab.flag("bad_parts_B")
    for key in ("B", "A"):  # the newest verdict is a pass
        lab.run(lab.assets(f"{f}_parts"), key)
    return lab.read(f"{f}_all")


def second_version_reported_by_hand(lab: Lab, f: str) -> bool:
    lab.run(lab.assets(f"{f}_source"))
    lab.instance.report_runless_asset_event(dg.AssetMaterialization(f"{f}_source"))
    return lab.read(f"{f}_one")


def second_version_with_a_failed_gate(lab: Lab, f: str) -> bool:
    """Version 2 is bad; afterwards the gate is reported as passed by hand."""
    lab.run(lab.assets(f"{f}_source"))
    lab.flag("text", text="version 2")
    lab.flag("bad_source")
    lab.run(lab.assets(f"{f}_source"))
    check = f"{f}_source_gate" if f == "plain" else "gate"
    newest = lab.instance.fetch_materializations(dg.AssetKey(f"{f}_source"), limit=1).records[0]
    sha256 = newest.asset_materialization.metadata.get("sha256")  # type: ignore[union-attr]
    lab.instance.report_runless_asset_event(
        dg.AssetCheckEvaluation(
            asset_key=dg.AssetKey(f"{f}_source"), check_name=check, passed=True,
            metadata={} if sha256 is None else {"sha256": sha256},
        )
    )  # fmt: skip
    if f == "gated":  # the candidate was never published: the reader may have version 1, and only that
        return lab.read("gated_one") and "version 2" in lab_text(lab, "gated_one")
    return lab.read(f"{f}_one")


def lab_text(lab: Lab, name: str) -> str:
    data, _ = ArtifactStore(lab.root / "store").read(name)
    return toys.Toy.from_bytes(data).text


def file_overwritten(lab: Lab, f: str) -> bool:
    lab.run(lab.assets(f"{f}_source"))
    if f == "plain":
        import pickle

        path = lab.root / "files" / "plain_source"
        path.write_bytes(pickle.dumps("tampered"))
    else:
        for path in (lab.root / "store" / f"{f}_source").rglob("versions/*"):
            if "certificate" not in path.name:
                path.write_bytes(toys.Toy("tampered").to_bytes())
    return lab.read(f"{f}_one")


def warning_severity(lab: Lab, f: str) -> bool:
    """A blocking check that fails with severity WARN."""
    lab.flag("bad_source")
    lab.flag("warn")
    lab.run(lab.assets(f"{f}_source", f"{f}_one"))
    return lab.materialized(f"{f}_one") > 0


def eager_after_a_failed_gate(lab: Lab, f: str) -> bool:
    """Do what declarative automation would: ask the condition, run what it requests."""
    lab.run(lab.assets(f"{f}_source"))
    defs = toys.build()
    lab.run(lab.assets(f"{f}_one"))
    first = dg.evaluate_automation_conditions(defs=defs, instance=lab.instance)
    lab.flag("text", text="version 2")
    lab.flag("bad_source")
    lab.run(lab.assets(f"{f}_source"))
    tick = dg.evaluate_automation_conditions(defs=defs, instance=lab.instance, cursor=first.cursor)
    requested = tick.get_num_requested(dg.AssetKey(f"{f}_one")) > 0
    assert requested == (f != "gated")  # a candidate that is not published requests nothing
    return requested and lab.read(f"{f}_one")


def reader_starts_while_the_gate_runs(lab: Lab, f: str) -> bool:
    """The reader is launched after the value is written and before the slow gate has failed."""
    lab.flag("slow", text="4")
    lab.flag("bad_source")
    with lab.gate_running(f"{f}_source"):
        return lab.read(f"{f}_one")


SCENARIOS: list[Callable[[Lab, str], bool]] = [
    failed_gate_then_reader_alone,
    failed_partition_then_reader_alone,
    reexecute_only_the_reader,
    without_checks,
    fan_in_while_one_partition_failed,
    second_version_reported_by_hand,
    second_version_with_a_failed_gate,
    file_overwritten,
    warning_severity,
    eager_after_a_failed_gate,
    reader_starts_while_the_gate_runs,
]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda s: s.__name__)
def test_plain_dagster_lets_it_through(lab: Lab, scenario: Callable[[Lab, str], bool]) -> None:
    assert scenario(lab, "plain"), "the hole is gone from Dagster: this scenario proves nothing any more"


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda s: s.__name__)
@pytest.mark.parametrize("family", ["gated", "rogue"])
def test_our_layers_close_it(lab: Lab, scenario: Callable[[Lab, str], bool], family: str) -> None:
    assert not scenario(lab, family)
