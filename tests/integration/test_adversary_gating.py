"""Attacks on the gates that once succeeded, each kept as a test."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pytest

from ml_assets.gates.core import Gate, GateResult
from ml_assets.gates.models.lineage import one_lineage
from ml_assets.prices.simulated import simulate
from ml_assets.storage import ArtifactStore, Certificate, GateVerdict, NotCertified, ProcessId, certify
from orchestration.fleet.run import run_job
from orchestration.gating import Staged, collect_gates, gated_asset
from orchestration.gating.asset import KEEP, REFUSALS
from orchestration.gating.io_manager import GatedIOManager
from orchestration.instance import PROCESS, open_instance
from orchestration.settings import Settings
from tests.integration import toys
from tests.integration.project import Market, open_project
from tests.integration.test_bypass import Lab, lab

__all__ = ["lab"]


# ------------------------------------------------------------------ reading


def test_failure_reported_by_hand_closes_without_naming_a_version(lab: Lab) -> None:
    lab.run(lab.assets("gated_source"))
    evaluation = dg.AssetCheckEvaluation(
        asset_key=dg.AssetKey("gated_source"), check_name="gate", passed=False
    )
    lab.instance.report_runless_asset_event(evaluation)
    assert not lab.read("gated_one")
    lab.run(lab.assets("gated_source"))
    assert lab.read("gated_one")


def test_what_stands_in_the_place_of_a_version_closed_by_hand_names_it(lab: Lab) -> None:
    lab.run(lab.assets("gated_source"))
    lab.instance.report_runless_asset_event(
        dg.AssetCheckEvaluation(asset_key=dg.AssetKey("gated_source"), check_name="gate", passed=False)
    )
    manager: Any = toys.build().resources["io_manager"]  # type: ignore[index]
    context = dg.build_input_context(
        asset_key=dg.AssetKey("gated_source"), instance=lab.instance, definition_metadata={REFUSALS: KEEP}
    )
    refusal, version = manager.load_input(context), manager._store.current("gated_source")
    assert refusal.sha256 == version.sha256
    assert "FAILED in a report by hand" in refusal.reason


def test_notebook_reads_one_partition_through_its_gates(lab: Lab) -> None:
    lab.run(lab.assets("gated_parts"), "A")
    defs = toys.build()
    read: Any = defs.load_asset_value("gated_parts", instance=lab.instance, partition_key="A")
    assert read.value.text == "A "
    lab.flag("bad_parts_A")
    lab.run(lab.assets("gated_parts"), "A")
    with pytest.raises(dg.Failure, match="FAILED"):
        defs.load_asset_value("gated_parts", instance=lab.instance, partition_key="A")


def test_proven_version_is_read_while_a_newer_candidate_is_judged(lab: Lab) -> None:
    lab.run(lab.assets("gated_source"))
    lab.flag("text", text="version 2")
    lab.flag("slow", text="5")
    with lab.gate_running("gated_source"):
        result = lab.run(lab.assets("gated_one"))
    assert result.success
    assert not any(event.is_step_up_for_retry for event in result.all_events)


def test_verdict_that_never_comes_is_refused_with_a_remedy(lab: Lab) -> None:
    lab.flag("slow", text="600")
    environment = {**os.environ, "DAGSTER_HOME": lab.instance.root_directory}
    command = [sys.executable, "-W", "ignore", "-m", "tests.integration.toys", "gated_source"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
        while not (lab.root / "gate_running").exists():
            assert process.poll() is None
        process.kill()
    result = lab.run(lab.assets("gated_one"))
    (failure,) = (e.step_failure_data.user_failure_data for e in result.all_events if e.is_step_failure)
    assert failure is not None
    assert "terminate it in the UI" in (failure.description or "")


# ------------------------------------------------------------------ gates


@pytest.mark.parametrize(
    ("answer", "passes"),
    [
        (None, False),
        (GateResult("g", True, "looked", 1, {"n": [1]}), False),  # type: ignore[dict-item]
        (GateResult("g", True, "looked", np.int64(3), {"n": np.int64(3)}), True),  # type: ignore[arg-type, dict-item]
        (GateResult("g", True, "looked", 1, {"n": float("nan")}), True),
    ],
)
def test_odd_answer_of_a_gate_is_settled_before_publication(
    tmp_path: Path, answer: Any, passes: bool
) -> None:
    @gated_asset(gates=[Gate("g", "odd", lambda *_: answer)])
    def odd(context: dg.AssetExecutionContext) -> Staged:
        return Staged(toys.Toy("x"))

    store = ArtifactStore(tmp_path)
    io_manager = GatedIOManager(store, collect_gates([odd]), wait_seconds=0.1, wait_tries=1)
    resources = {"store": store, "settings": Settings(), "io_manager": io_manager}
    result = dg.materialize([odd], resources=resources, raise_on_error=False)
    (evaluation,) = result.get_asset_check_evaluations()
    assert evaluation.passed == result.success == passes
    assert (store.current("odd") is not None) == passes
    assert len(store.quarantined("odd")) == (not passes)


def test_copy_for_people_goes_when_its_version_is_taken_back(tmp_path: Path) -> None:
    def judged(passed: bool) -> Certificate:
        return _certificate(b"x", "weights", {}, passed)

    store, alias = ArtifactStore(tmp_path), "copies/x.bin"
    store.publish(b"x", judged(True), alias=alias)
    store.quarantine(b"y", _certificate(b"y", "weights", {}, False), alias=alias)
    assert (tmp_path / alias).read_bytes() == b"x"
    store.quarantine(b"x", judged(False), alias=alias)
    assert not (tmp_path / alias).exists()


# ------------------------------------------------------------------ lineage


def _certificate(data: bytes, asset: str, inputs: dict[str, str], passed: bool = True) -> Certificate:
    return certify(
        data, asset=asset, partition="S", kind="k", extension=".bin",
        gates=[GateVerdict("g", passed, "looked")], code_version="1", inputs=inputs,
    )  # fmt: skip


def _publish(store: ArtifactStore, text: str, asset: str, **inputs: Certificate) -> Certificate:
    named = {f"{name}/S": certificate.sha256 for name, certificate in inputs.items()}
    return store.publish(text.encode(), _certificate(text.encode(), asset, named))


def test_weights_trained_on_another_split_are_not_scored(tmp_path: Path) -> None:
    """Split again with a longer test span, keep the old weights: most sealed days were trained on."""
    store = ArtifactStore(tmp_path)
    prices = _publish(store, "prices", "raw_prices")
    split = _publish(store, "split", "split_sequences", raw_prices=prices)
    augmented = _publish(store, "augmented", "augmented_training_set", split_sequences=split)
    weights = _publish(store, "weights", "mamba_weights", augmented_training_set=augmented)
    longer = _publish(store, "longer test span", "split_sequences", raw_prices=prices)
    restated = _publish(store, "restated prices", "raw_prices")
    assert one_lineage(store, prices, split, weights).passed
    assert "trained on" in one_lineage(store, prices, longer, weights).message
    assert not one_lineage(store, prices, longer, weights).passed
    assert not one_lineage(store, restated, split, weights).passed
    orphan = _publish(store, "orphan", "mamba_weights")
    assert not one_lineage(store, prices, split, orphan).passed


def test_one_symbol_under_two_names_is_refused(tmp_path: Path) -> None:
    history = simulate("random_walk", 1300, seed=1, symbol="WALK").prices
    with open_project(tmp_path, Market({"walk": history})) as project:
        outcome = project.run_symbol("walk")
        assert not outcome.success
        assert "use 'WALK'" in (outcome.reason or "")
        with pytest.raises(NotCertified):
            project.store.read("raw_prices", "walk")


# ------------------------------------------------------------------ processes


def test_run_of_a_killed_process_is_closed(tmp_path: Path) -> None:
    code = "from ml_assets.storage import ProcessId; print(ProcessId.of_self().tag)"
    dead = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()
    settings = Settings(home=tmp_path)
    tags: dict[str, dict[str, str]] = {
        "dead": {PROCESS: dead}, "alive": {PROCESS: ProcessId.of_self().tag}, "not ours": {},
    }  # fmt: skip
    with open_instance(settings) as instance:
        for name, tag in tags.items():
            instance.add_run(dg.DagsterRun(job_name=name, tags=tag, status=dg.DagsterRunStatus.STARTED))
    with open_instance(settings) as instance:
        assert {run.job_name: run.status.value for run in instance.get_runs()} == {
            "dead": "FAILURE", "alive": "STARTED", "not ours": "STARTED",
        }  # fmt: skip


def test_interrupt_ends_the_command_not_only_the_symbol() -> None:
    @dg.asset
    def long() -> None:
        os.kill(os.getpid(), signal.SIGINT)

    defs = dg.Definitions(
        assets=[long], jobs=[dg.define_asset_job("job", dg.AssetSelection.assets("long"))],
        executor=dg.in_process_executor, resources={"settings": Settings()},
    )  # fmt: skip
    with dg.instance_for_test() as instance, pytest.raises(KeyboardInterrupt):
        run_job(defs, instance, "job")
