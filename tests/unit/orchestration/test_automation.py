"""Parts of automation that need no finished fleet: the job's end, the alert's text, freshness by settings."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from ml_assets.forecasts.controls import VARIANCE, WALK
from orchestration.automation.alerts import alert_of
from orchestration.definitions import build_defs
from orchestration.fleet import order
from orchestration.fleet.run import RunOutcome, run_job
from orchestration.settings import Settings
from tests.integration.project import Market, open_project
from tests.unit.orchestration.toy import definitions


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def outcome(job: str, partition: str | None, success: bool) -> RunOutcome:
    reason = None if success else "gate g: too short"
    return RunOutcome(job, partition, success, 1, 0, reason, None, 0.1, f"{job}-{partition}")


def run_fleet(
    root: Path, monkeypatch: pytest.MonkeyPatch, failing: set[str], volatility: bool = False, **config: Any
) -> Any:
    """Execute the job with its inner runs replaced by their outcomes; returns the run and what it ran."""
    ran: list[tuple[str, str | None]] = []

    def pretend(
        defs: Any, instance: dg.DagsterInstance, job: str, *, partition: str | None = None, **_: Any
    ) -> RunOutcome:
        ran.append((job, partition))
        if "interrupt" in failing:
            (whole,) = instance.get_runs(dg.RunsFilter(job_name="fleet_update"))
            instance.report_run_canceling(whole)  # as the UI does before it stops the process
            raise KeyboardInterrupt  # as run_job does when its run was stopped
        return outcome(job, partition, not {job, partition} & failing)

    monkeypatch.setattr(order, "run_job", pretend)
    with open_project(root, Market({}), volatility=volatility) as project:
        project.instance.add_dynamic_partitions("symbols", ["A", "B", WALK])
        job = project.defs.resolve_job_def("fleet_update")
        result = job.execute_in_process(
            instance=project.instance,
            run_config={
                "ops": {"update_fleet": {"config": {"symbols": ["A", "B", "GONE"], **config}}},
                "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
            },
            raise_on_error=False,
        )
        run = project.instance.get_run_by_id(result.run_id)
        assert run is not None
        return run, ran, alert_of(project.instance, run)


def test_order_and_symbols_that_are_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, ran, _ = run_fleet(tmp_path, monkeypatch, set())
    assert run.is_success
    symbols = [("symbol_pipeline", "A"), ("symbol_pipeline", "B")]
    assert ran == [*symbols, ("base_pipeline", None), *symbols, ("fleet_verdict", None)]


def test_base_model_is_left_as_it_is_where_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, ran, _ = run_fleet(tmp_path, monkeypatch, set(), renew_base=False)
    assert ("base_pipeline", None) not in ran


@pytest.mark.parametrize("failing", [set(), {"volatility_pipeline"}, {"volatility_verdict"}])
def test_variance_follows_where_the_setting_asks(
    failing: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, ran, alert = run_fleet(tmp_path, monkeypatch, failing, volatility=True)
    assert run.is_success is (not failing)
    assert not failing or alert is None  # the inner runs were told of
    at = ran.index(("fleet_verdict", None)) + 1  # direction has its verdict, whatever becomes of variance
    forecast = [("volatility_pipeline", s) for s in ("A", "B", VARIANCE, WALK)]
    assert ran[at:] == [*forecast, ("volatility_verdict", None)]


@pytest.mark.parametrize("asked", [False, True])
def test_variance_follows_where_the_run_asks(
    asked: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, ran, _ = run_fleet(tmp_path, monkeypatch, set(), beside=["volatility"] if asked else [])
    assert (("volatility_verdict", None) in ran) is asked


def test_a_control_that_is_tried_once_more_alone_does_not_fail_for_want_of_a_symbol(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, ran, _ = run_fleet(tmp_path, monkeypatch, set(), volatility=True, symbols=[WALK])
    assert run.is_success
    assert ran[-1] == ("fleet_verdict", None)
    assert ("symbol_pipeline", WALK) in ran


@pytest.mark.parametrize("failing", [{"A"}, {"base_pipeline"}, {"A", "base_pipeline"}])
def test_failures_that_leave_a_result_do_not_fail_the_run(
    failing: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, ran, _ = run_fleet(tmp_path, monkeypatch, failing)
    assert run.is_success
    assert ran.count(("symbol_pipeline", "A")) == (1 if "A" in failing else 2)
    assert ran[-1] == ("fleet_verdict", None)


@pytest.mark.parametrize("failing", [{"A", "B"}, {"fleet_verdict"}])
def test_no_result_fails_the_run_without_a_second_alert(
    failing: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, ran, alert = run_fleet(tmp_path, monkeypatch, failing)
    assert run.is_failure
    assert ran[-1] == ("fleet_verdict", None)
    assert alert is None  # the inner runs were told of


def test_terminated_is_canceled_and_not_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, ran, _ = run_fleet(tmp_path, monkeypatch, {"interrupt"})
    assert run.status is dg.DagsterRunStatus.CANCELED
    assert len(ran) == 1


def test_alert_on_a_gate_names_the_gate_alone(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    instance.add_dynamic_partitions("symbols", ["B"])
    failed = run_job(definitions(tmp_path), instance, "words", partition="B")
    run = instance.get_run_by_id(failed.run_id)
    assert run is not None
    alert = alert_of(instance, run)
    assert alert is not None
    assert (alert.asset, alert.symbol, alert.error) == ("word", "B", None)
    assert [(g.gate, g.found) for g in alert.gates] == [("long_enough", "1 letters")]
    assert alert.quarantine == failed.quarantine


def test_alert_on_a_crash_names_its_innermost_cause(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    instance.add_dynamic_partitions("symbols", ["CRASH"])
    failed = run_job(definitions(tmp_path), instance, "words", partition="CRASH")
    run = instance.get_run_by_id(failed.run_id)
    assert run is not None
    alert = alert_of(instance, run)
    assert alert is not None
    assert (alert.gates, alert.error, alert.quarantine) == ((), "OSError: disk [/dev/sda] is gone", None)
    assert "nothing that was certified is lost" in alert.text


def test_freshness_follows_the_settings(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, prices_fresh_days=2, models_fresh_days=10)
    graph = build_defs(settings=settings).resolve_asset_graph()
    policies = {key.to_user_string(): graph.get(key).freshness_policy for key in graph.get_all_asset_keys()}
    found = {name: policy for name, policy in policies.items() if policy is not None}
    assert set(found) == {"raw_prices", "walk_forward_report", "release"}
    for name, days in (("raw_prices", 2), ("walk_forward_report", 10), ("release", 10)):
        policy = dg.FreshnessPolicy.time_window(
            fail_window=timedelta(days=2 * days), warn_window=timedelta(days=days)
        )
        assert found[name] == policy
