"""A released variance model is watched, and a run whose variance step fails has failed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.scheduler.instigation import TickStatus

from ml_assets.forecasts.release import Release
from ml_assets.forecasts.targets import DIRECTION, VARIANCE
from ml_assets.forecasts.variance.drift import VarianceDrift
from orchestration.automation.alerts import alert_of
from orchestration.automation.fleet import FLEET_RUN, REASON
from orchestration.fleet.state import stale_verdict
from tests.integration.automated import Automated, automated, definitions
from tests.integration.conftest import UNEVEN_DAYS as DAYS
from tests.integration.conftest import FolderRun, uneven

pytestmark = [pytest.mark.xdist_group("pipeline"), pytest.mark.slow]

Open = Callable[..., AbstractContextManager[Automated]]


@pytest.fixture
def open_fleet(variance_run: FolderRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Open:
    return lambda **settings: automated(variance_run, tmp_path, monkeypatch, **settings)


def look(fleet: Automated) -> VarianceDrift:
    return VarianceDrift.from_bytes(fleet.store.read("volatility_drift_report", "UNEVEN")[0])


def test_a_model_in_its_own_market_is_left_alone(variance_run: FolderRun, open_fleet: Open) -> None:
    assert variance_run.exit_code == 0, variance_run.output + variance_run.errors
    with open_fleet(drift_days=40) as fleet:
        fleet.write("UNEVEN", uneven(DAYS + 30))
        assert "UNEVEN 30 new days" in str(fleet.tick("volatility_drift_looks").skip_reason)
        fleet.write("UNEVEN", uneven(DAYS + 100))
        assert fleet.tick("volatility_drift_looks").status is TickStatus.SUCCESS
        assert [(one.horizon, one.drift.days) for one in look(fleet).looks] == [(1, 80)]
        assert not any(seen.reasons for seen in look(fleet).seen().values()), look(fleet)
        assert (
            fleet.tick("volatility_drift_looks").status is TickStatus.SKIPPED
        )  # not again for the same days
        assert str(fleet.tick("drift_retrain").skip_reason) == "no drift found"


def test_a_model_whose_market_turned_is_retrained_once(open_fleet: Open) -> None:
    with open_fleet(drift_days=40, epochs=2) as fleet:
        fleet.write("UNEVEN", uneven(DAYS + 260, turned_from=DAYS))
        assert fleet.tick("volatility_drift_looks").status is TickStatus.SUCCESS
        (seen,) = look(fleet).seen().values()
        assert "variance_1" in seen.reasons, look(fleet).looks[0].drift

        assert fleet.tick("drift_retrain").status is TickStatus.SUCCESS
        (retrain,) = fleet.runs("fleet_update")
        assert retrain.dagster_run.is_success
        assert retrain.dagster_run.tags[REASON].startswith("drift of variance_1: QLIKE over 1 day(s) ")
        children = fleet.instance.get_runs(dg.RunsFilter(tags={FLEET_RUN: retrain.dagster_run.run_id}))
        jobs = {run.job_name for run in children}
        assert {
            "volatility_pipeline",
            "volatility_verdict",
        } <= jobs  # the setting is off: the drift asks for it
        assert "base_pipeline" not in jobs  # no model of variance starts from it
        report = fleet.store.current("volatility_report", "UNEVEN")
        prices = fleet.store.current("raw_prices", "UNEVEN")
        assert report is not None
        assert prices is not None
        assert report.inputs["raw_prices/UNEVEN"] == prices.sha256
        for _ in range(2):
            assert fleet.tick("drift_retrain").status is TickStatus.SKIPPED
        assert len(fleet.runs("fleet_update")) == 1


def test_a_variance_step_that_fails_fails_the_run_and_leaves_the_verdict_on_direction(
    open_fleet: Open,
) -> None:
    """A horizon longer than the history bears: no variance model can be trained, whatever is tried."""
    with open_fleet(epochs=2, volatility=True, volatility_horizons="[1, 900]") as fleet:
        before = {asset: fleet.store.current(asset) for asset in ("promotion", "volatility_promotion")}
        config = {"symbols": ["WALK"], "renew_base": False}
        result = (
            definitions()
            .resolve_job_def("fleet_update")
            .execute_in_process(
                instance=fleet.instance,
                run_config={"ops": {"update_fleet": {"config": config}}},
                raise_on_error=False,
            )
        )
        assert not result.success
        (failed,) = [event for event in result.all_events if event.is_step_failure]
        said = str(failed.step_failure_data.user_failure_data.description)
        assert said.startswith("the variance step failed (direction has its verdict): ")
        assert "WALK: volatility_weights: " in said
        assert "a horizon of 900 days leaves" in said

        promotion, release = fleet.store.current("promotion"), fleet.store.current("release")
        report = fleet.store.current("walk_forward_report", "WALK")
        assert promotion is not None
        assert release is not None
        assert report is not None
        assert promotion != before["promotion"]
        assert promotion.inputs["walk_forward_report/WALK"] == report.sha256
        assert release.inputs["promotion"] == promotion.sha256
        assert stale_verdict(fleet.instance, fleet.store) is None

        children = fleet.instance.get_runs(dg.RunsFilter(tags={FLEET_RUN: result.run_id}))
        broken = [run for run in children if run.is_failure and run.job_name == "volatility_pipeline"]
        told = [alert_of(fleet.instance, run) for run in broken]
        assert {alert.symbol for alert in told if alert is not None} >= {"WALK"}
        whole = fleet.instance.get_run_by_id(result.run_id)
        assert whole is not None
        assert alert_of(fleet.instance, whole) is None  # they were told of


def test_the_release_names_the_model_that_is_watched(variance_run: FolderRun) -> None:
    release = Release.from_bytes(variance_run.project.store.read("release")[0])
    assert 1 in release.models(VARIANCE, "UNEVEN")
    assert not release.models(DIRECTION, "UNEVEN")
