"""Automation by the daemon's own iterations, on a finished fleet of real runs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from contextlib import AbstractContextManager
from itertools import pairwise
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest
from dagster._core.scheduler.instigation import TickStatus

from ml_assets.release import Release
from ml_assets.simulation import price_history, simulate
from ml_assets.skill import Promotion
from orchestration.automation.fleet import FLEET_RUN, REASON
from orchestration.automation.standing import PARTITION
from tests.integration.automated import Automated, automated
from tests.integration.conftest import FolderRun

pytestmark = [pytest.mark.xdist_group("pipeline"), pytest.mark.slow]

Open = Callable[..., AbstractContextManager[Automated]]


@pytest.fixture
def open_fleet(folder_run: FolderRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Open:
    return lambda **settings: automated(folder_run, tmp_path, monkeypatch, **settings)


def released(fleet: Automated) -> set[str | None]:
    return {v.partition for v in Release.from_bytes(fleet.store.read("release")[0]).versions} - {None}


def verdicts(fleet: Automated) -> dict[str, str]:
    promotion = Promotion.from_bytes(fleet.store.read("promotion")[0])
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
        assert {p for *_, p in ranks["data"]} == {"EDGE", "WALK", "SHORT"}
        assert {p for *_, p in ranks["model"]} == {"EDGE", "WALK"}  # SHORT failed, and stopped nobody
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
        fleet.write("NEW", simulate("random_walk", 1300, seed=9).prices)
        release = fleet.store.current("release")
        assert "NEW" not in fleet.partitions()
        assert fleet.tick("new_symbols").status is TickStatus.SKIPPED
        assert fleet.partitions() >= {"NEW"}
        fleet.tick("price_changes")  # sees it
        fleet.tick("price_changes")
        reasons = {run.dagster_run.tags[REASON] for run in fleet.runs("fleet_update")}
        assert reasons == {"first prices: NEW"} | {r for r in reasons if "SHORT" in r}
        assert fleet.store.current("walk_forward_report", "NEW") is not None
        assert "NEW" in verdicts(fleet)
        assert fleet.store.current("release") != release
        assert is_chained(fleet, "EDGE", "WALK", "NEW")
        settled = len(fleet.instance.get_runs())
        for sensor in ("new_symbols", "verdict_follows", "option_network", "drift_looks", "drift_retrain"):
            assert fleet.tick(sensor).status is TickStatus.SKIPPED
        assert len(fleet.instance.get_runs()) == settled


def test_a_champion_whose_prices_become_noise_is_rebuilt_and_retired(open_fleet: Open) -> None:
    with open_fleet(epochs=5) as fleet:
        assert released(fleet) == {"EDGE"}
        fleet.write("EDGE", simulate("random_walk", 1300, seed=11, symbol="EDGE").prices)
        fleet.tick("price_changes")
        fleet.tick("price_changes")
        (run,) = [r for r in fleet.runs("fleet_update") if "EDGE" in r.dagster_run.tags[REASON]]
        assert run.dagster_run.tags[REASON].startswith(
            "restated history: full rebuild, base model included: EDGE"
        )
        assert [r.dagster_run.is_success for r in fleet.runs("base_pipeline")][-1]
        assert verdicts(fleet)["EDGE"] != "PROMOTE"
        assert released(fleet) == set()
