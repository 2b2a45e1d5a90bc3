"""Automation by the daemon's own iterations, on a finished fleet of real runs."""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from itertools import pairwise
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest
from dagster._core.scheduler.instigation import TickStatus
from dagster._daemon.freshness import FreshnessDaemon

from ml_assets.forecasts.controls import DIRECTION_CONTROLS
from ml_assets.forecasts.direction.drift import DirectionDrift
from ml_assets.forecasts.drift import Seen
from ml_assets.forecasts.release import Release
from ml_assets.forecasts.targets import DIRECTION
from ml_assets.prices.simulated import price_history, simulate
from orchestration.automation.alerts import ALERTED
from orchestration.automation.fleet import FLEET_RUN, REASON
from orchestration.fleet.state import PARTITION
from tests.integration.automated import Automated, automated
from tests.integration.conftest import FolderRun
from tests.unit.test_alerts import Mail, Web, closed_port, running

pytestmark = [pytest.mark.xdist_group("pipeline"), pytest.mark.slow]

Open = Callable[..., AbstractContextManager[Automated]]


@pytest.fixture
def open_fleet(folder_run: FolderRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Open:
    return lambda **settings: automated(folder_run, tmp_path, monkeypatch, **settings)


def released(fleet: Automated) -> set[str | None]:
    return {v.partition for v in Release.from_bytes(fleet.store.read("release")[0]).versions} - {None}


def verdicts(fleet: Automated) -> dict[str, str]:
    promotion = DIRECTION.promotion.from_bytes(fleet.store.read("promotion")[0])
    return {verdict.symbol: verdict.verdict for verdict in promotion.verdicts}


def is_chained(fleet: Automated, *symbols: str) -> bool:
    """Whether everything downstream was made of the newest version of everything upstream."""
    newest = {
        "release": ["promotion"],
        **{f"mamba_weights/{s}": [f"augmented_training_set/{s}"] for s in symbols},
        **{f"walk_forward_report/{s}": [f"raw_prices/{s}", f"mamba_weights/{s}"] for s in symbols},
        "promotion": [f"walk_forward_report/{s}" for s in symbols],
    }
    for name, inputs in newest.items():
        certificate = fleet.store.current(*name.split("/"))
        assert certificate is not None
        for key in inputs:
            upstream = fleet.store.current(*key.split("/"))
            assert upstream is not None
            if certificate.inputs.get(key) != upstream.sha256:
                return False
    return True


def with_more_days(
    fleet: Automated, symbol: str, days: int, kind: str = "random_walk", **options: object
) -> None:
    """Let the market of a symbol go on."""
    frame = fleet.read(symbol)
    more = simulate(kind, days + 1, seed=77, **options).prices.frame.iloc[1:]  # type: ignore[arg-type]
    prices = ["open", "high", "low", "close"]
    more[prices] *= frame["close"].iloc[-1] / 100
    more.index = pd.bdate_range(frame.index[-1], periods=days + 1)[1:].astype("datetime64[ns]")
    fleet.write(symbol, price_history(symbol, pd.concat([frame, more])))


def test_weekly_retrain_goes_through_the_fleet_in_order(open_fleet: Open) -> None:
    with open_fleet(epochs=2) as fleet:
        with_more_days(fleet, "WALK", 5)
        before = len(fleet.instance.get_runs())
        saturday = dt.datetime(2026, 11, 28, 2, 0, tzinfo=dt.UTC)
        fleet.schedule("weekly_retrain", saturday - dt.timedelta(minutes=1))
        assert len(fleet.instance.get_runs()) == before
        fleet.schedule("weekly_retrain", saturday)

        (whole,) = fleet.runs("fleet_update")
        assert whole.dagster_run.is_success
        children = fleet.instance.get_run_records(dg.RunsFilter(tags={FLEET_RUN: whole.dagster_run.run_id}))
        ranks = {"data": [], "base": [], "model": [], "verdict": []}
        for child in children:
            run = child.dagster_run
            keys = {key.to_user_string() for key in run.asset_selection or ()}
            rank = {"base_pipeline": "base", "fleet_verdict": "verdict"}.get(run.job_name) or (
                "data" if "raw_prices" in keys else "model"
            )
            ranks[rank].append((child.start_time, child.end_time, run.tags.get(PARTITION)))
            assert run.tags[REASON].startswith("weekly retrain of 2026-11-28")
        assert {p for *_, p in ranks["data"]} == {"EDGE", "WALK", "SHORT", *DIRECTION_CONTROLS}
        # SHORT failed, and stopped nobody.
        assert {p for *_, p in ranks["model"]} == {"EDGE", "WALK", *DIRECTION_CONTROLS}
        order = ["data", "base", "model", "verdict"]
        for earlier, later in pairwise(order):
            assert max(end for _, end, _ in ranks[earlier]) <= min(start for start, *_ in ranks[later])
        assert is_chained(fleet, "EDGE", "WALK")
        assert verdicts(fleet)["SHORT"] == "REJECT"

        fleet.schedule("weekly_retrain", saturday + dt.timedelta(hours=1))
        assert len(fleet.runs("fleet_update")) == 1


def test_a_new_file_leads_to_partition_artifacts_verdict_and_release(open_fleet: Open) -> None:
    with open_fleet(epochs=2) as fleet:
        (fleet.root / "prices" / "BROKEN.csv").write_text("Date,Close\n2020-01-02,twelve\n")
        fleet.write("NOVA", simulate("random_walk", 1300, seed=9).prices)
        release = fleet.store.current("release")
        assert "NOVA" not in fleet.partitions()
        assert fleet.tick("new_symbols").status is TickStatus.SKIPPED
        assert fleet.partitions() >= {"NOVA"}
        reasons = []
        for _ in range(3):
            fleet.tick("price_changes")
            reasons = [run.dagster_run.tags[REASON] for run in fleet.runs("fleet_update")]
        # SHORT never gets a report: it is tried once more, and then waits.
        assert reasons == ["first prices: NOVA, SHORT", "first prices: SHORT"]
        assert fleet.store.current("walk_forward_report", "NOVA") is not None
        assert "NOVA" in verdicts(fleet)
        assert fleet.store.current("release") != release
        assert is_chained(fleet, "EDGE", "WALK", "NOVA")
        settled = len(fleet.instance.get_runs())
        drift = ("drift_looks", "volatility_drift_looks", "drift_retrain")
        for sensor in ("new_symbols", "verdict_follows", "option_network", *drift):
            assert fleet.tick(sensor).status is TickStatus.SKIPPED
        assert len(fleet.instance.get_runs()) == settled


def test_a_champion_whose_prices_become_noise_is_rebuilt_and_retired(open_fleet: Open) -> None:
    with open_fleet(epochs=5) as fleet:
        assert released(fleet) == {"EDGE"}
        fleet.write("EDGE", simulate("random_walk", 1300, seed=11, symbol="EDGE").prices)
        fleet.tick("price_changes")
        (run,) = [r for r in fleet.runs("fleet_update") if "EDGE" in r.dagster_run.tags[REASON]]
        assert run.dagster_run.tags[REASON].startswith(
            "restated history: full rebuild, base model included: EDGE"
        )
        assert [r.dagster_run.is_success for r in fleet.runs("base_pipeline")][-1]
        assert verdicts(fleet)["EDGE"] != "PROMOTE"
        assert released(fleet) == set()


def test_verdict_and_release_follow_a_run_by_hand_once(open_fleet: Open) -> None:
    with open_fleet(epochs=2) as fleet:
        assert fleet.tick("verdict_follows").status is TickStatus.SKIPPED
        with_more_days(fleet, "WALK", 5)
        fleet.run("symbol_pipeline", "WALK")
        assert not is_chained(fleet, "EDGE", "WALK")
        before = len(fleet.runs("fleet_verdict"))
        tick = fleet.tick("verdict_follows")
        assert tick.status is TickStatus.SUCCESS
        assert is_chained(fleet, "EDGE", "WALK")
        assert fleet.tick("verdict_follows").status is TickStatus.SKIPPED
        runs = fleet.runs("fleet_verdict")
        assert len(runs) == before + 1
        assert runs[-1].dagster_run.tags[REASON] == "newer reports than those judged: WALK"


def test_a_refused_candidate_leads_to_no_verdict(open_fleet: Open) -> None:
    """The strict form: what a gate has refused is not followed; the verdict stays of certified versions."""
    with open_fleet() as fleet:
        fleet.write("WALK", price_history("WALK", fleet.read("WALK").iloc[:500]))
        fleet.run("symbol_pipeline", "WALK")  # too short: refused
        assert fleet.runs("symbol_pipeline")[-1].dagster_run.is_failure
        assert fleet.tick("verdict_follows").status is TickStatus.SKIPPED


def test_a_verdict_that_fails_is_not_asked_for_ever(open_fleet: Open) -> None:
    with open_fleet(attempts_per_content=2) as fleet:
        shutil.rmtree(fleet.root / "var" / "store" / "release")
        version = fleet.store.current("latency_benchmark")
        assert version is not None
        Path(fleet.store.location(version)).write_bytes(b"damaged")  # so the release cannot be composed
        requested = [fleet.tick("verdict_follows") for _ in range(4)]
        assert [tick.status for tick in requested] == [TickStatus.SUCCESS] * 2 + [TickStatus.SKIPPED] * 2
        assert "given up after 2 runs on the same versions" in str(requested[-1].skip_reason)


def test_option_network_is_asked_for_where_there_is_none(open_fleet: Open) -> None:
    with open_fleet(pinn_adam_steps=1, pinn_bfgs_iterations=0, attempts_per_content=1) as fleet:
        assert "there and measured" in str(fleet.tick("option_network").skip_reason)
        shutil.rmtree(fleet.root / "var" / "store" / "latency_benchmark")
        assert fleet.tick("option_network").status is TickStatus.SUCCESS
        assert fleet.runs("option_pipeline")[-1].dagster_run.is_failure  # one step is no training
        assert "given up after 1 runs" in str(fleet.tick("option_network").skip_reason)


# ------------------------------------------------------------------ drift


def test_no_look_before_there_are_enough_new_days(open_fleet: Open) -> None:
    with open_fleet(drift_days=60) as fleet:
        with_more_days(fleet, "EDGE", 50)
        assert "EDGE 50 new days" in str(fleet.tick("drift_looks").skip_reason)
        assert not fleet.runs("drift_check")


def look(fleet: Automated) -> Seen:
    """What the last look saw of the one released model."""
    report = DirectionDrift.from_bytes(fleet.store.read("drift_report", "EDGE")[0])
    (seen,) = report.seen().values()
    return seen


def test_a_champion_that_lost_its_skill_is_retrained_once(open_fleet: Open) -> None:
    with open_fleet(drift_days=40, epochs=2) as fleet:
        with_more_days(fleet, "EDGE", 100)  # the edge is gone from the market
        assert fleet.tick("drift_looks").status is TickStatus.SUCCESS
        assert look(fleet).days == 80
        assert "accuracy" in look(fleet).reasons
        assert "EDGE" in str(fleet.tick("drift_looks").skip_reason)  # taken, and not again for the same days

        assert fleet.tick("drift_retrain").status is TickStatus.SUCCESS
        (retrain,) = fleet.runs("fleet_update")
        assert retrain.dagster_run.tags[REASON].startswith("drift of accuracy: accuracy ")
        assert is_chained(fleet, "EDGE")
        before = len(fleet.runs("fleet_update"))
        for _ in range(2):
            fleet.tick("drift_retrain")
        assert len(fleet.runs("fleet_update")) - before <= 1  # the other reason, if there is one


def test_a_champion_in_its_own_market_is_left_alone(open_fleet: Open) -> None:
    with open_fleet(drift_days=40) as fleet:
        whole = simulate("product", 1400, best_accuracy=0.85, seed=3).prices  # goes on as it began
        fleet.write("EDGE", whole)
        assert fleet.tick("drift_looks").status is TickStatus.SUCCESS
        assert look(fleet) == Seen(80, {})
        assert str(fleet.tick("drift_retrain").skip_reason) == "no drift found"


# ------------------------------------------------------------------ alerts


def alerted(fleet: Automated) -> list[str]:
    return [run.run_id for run in fleet.instance.get_runs() if ALERTED in run.tags]


def test_one_alert_per_failed_run(open_fleet: Open) -> None:
    with running(Web()) as web, running(Mail()) as mail:
        smtp = f"127.0.0.1:{mail.address.port}"
        with open_fleet(alert_webhook=web.url, alert_smtp=smtp, alert_mail_to="me@here") as fleet:
            fleet.tick("failure_alerts")  # what failed before it was switched on is old news
            fleet.run("symbol_pipeline", "SHORT")
            fleet.tick("failure_alerts")
            fleet.tick("failure_alerts")
            (alert,) = web.posts
            assert (alert["symbol"], alert["asset"]) == ("SHORT", "raw_prices")
            assert [gate["gate"] for gate in alert["gates"]] == ["sufficiency"]
            assert "400 days" in str(alert["text"])
            assert Path(str(alert["quarantine"])).exists()
            assert "materialize again" in str(alert["remedy"])
            assert len(mail.messages) == 1
            assert alerted(fleet) == [alert["run"]]


def test_a_broken_webhook_does_not_break_the_tick(open_fleet: Open) -> None:
    with open_fleet(alert_webhook=f"http://127.0.0.1:{closed_port()}/") as fleet:
        fleet.tick("failure_alerts")
        fleet.run("symbol_pipeline", "SHORT")
        fleet.tick("failure_alerts")
        assert len(alerted(fleet)) == 1


def test_the_ui_is_told_how_fresh_things_are(open_fleet: Open) -> None:
    with open_fleet() as fleet:
        list(FreshnessDaemon().run_iteration(fleet.workspace))
        keys = [dg.AssetKey(name) for name in ("raw_prices", "walk_forward_report", "release", "promotion")]
        found = fleet.instance.get_freshness_state_records(keys)
        assert [found[key].freshness_state.value for key in keys] == ["PASS"] * 3 + ["NOT_APPLICABLE"]
