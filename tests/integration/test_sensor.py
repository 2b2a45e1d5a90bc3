"""The sensors that notice symbols and prices, tick by tick on a real instance; no run is executed."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.dynamic_partitions_request import AddDynamicPartitionsRequest
from dagster._core.definitions.sensor_definition import SensorExecutionData

from ml_assets.prices import PriceFileError, PriceHistory
from ml_assets.prices.simulated import price_history, simulate
from ml_assets.storage import ArtifactStore, GateVerdict, certify
from orchestration.automation.fleet import REASON
from orchestration.fleet.state import fleet_lock
from orchestration.partitions import SYMBOLS
from orchestration.settings import Settings
from tests.integration.project import Market, Project, open_project

BROKEN = PriceFileError("no number", "Correct the cell.", file="BAD.csv")


def walk(symbol: str, days: int = 300) -> PriceHistory:
    return simulate("random_walk", days, seed=len(symbol), symbol=symbol).prices


def prices(*symbols: str) -> Market:
    return Market({symbol: walk(symbol) for symbol in symbols})


@dataclass
class Ticks:
    """A sensor that is asked again and again, with its cursor and a clock of the test's."""

    project: Project
    monkeypatch: pytest.MonkeyPatch
    cursor: dict[str, str | None] = field(default_factory=dict)
    now: float = 1.0e9

    def __call__(self, sensor: str, source: Market | None = None, after: float = 60.0) -> SensorExecutionData:
        """Evaluate as the daemon does, and do to partitions what it asks for."""
        self.now += after
        self.monkeypatch.setattr("orchestration.automation.symbols.time.time", lambda: self.now)
        project = self.project if source is None else self.project.with_overrides(source=source)
        result = project.tick(sensor, self.cursor.get(sensor))
        self.cursor[sensor] = result.cursor or self.cursor.get(sensor)
        for request in result.dynamic_partitions_requests or ():
            assert isinstance(request, AddDynamicPartitionsRequest)
            project.instance.add_dynamic_partitions(request.partitions_def_name, list(request.partition_keys))
        assert bool(result.run_requests) != bool(result.skip_message)  # who asks for nothing says why
        return result


@pytest.fixture
def ticks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def build(source: Market, **settings: Any) -> Ticks:
        return Ticks(opened.enter(source, **settings), monkeypatch)

    opened = _Opened(tmp_path)
    yield build
    opened.close()


class _Opened:
    def __init__(self, root: Path) -> None:
        self.root, self.contexts = root, list[Any]()

    def enter(self, source: Market, **settings: Any) -> Project:
        self.contexts.append(open_project(self.root, source, **settings))
        return self.contexts[-1].__enter__()

    def close(self) -> None:
        for context in self.contexts:
            context.__exit__(None, None, None)


def known(project: Project) -> set[str]:
    assert SYMBOLS.name is not None
    return set(project.instance.get_dynamic_partitions(SYMBOLS.name))


def asked(result: SensorExecutionData) -> dict[str, list[str]]:
    """Symbols of each requested run, by the first words of its reason."""
    found = {}
    for request in result.run_requests or ():
        config = request.run_config["ops"]["update_fleet"]["config"]
        assert request.tags[REASON] == config["reason"][:250]
        found[request.tags[REASON].split(":")[0]] = config["symbols"]
    return found


def pretend_worked_through(store: ArtifactStore, history: PriceHistory) -> None:
    """Publish prices and a report made of them, as far as the sensor looks."""
    inputs: dict[str, str] = {}
    for asset, data in (("raw_prices", history.to_bytes()), ("walk_forward_report", b"a report")):
        certificate = certify(
            data, asset=asset, partition=history.symbol, kind="test", extension=".x", code_version="test",
            gates=[GateVerdict("gate", True, "looked")], inputs=inputs,
        )  # fmt: skip
        inputs = {f"{asset}/{history.symbol}": store.publish(data, certificate).sha256}


# ------------------------------------------------------------------ new symbols


def test_each_new_symbol_gets_a_partition_and_then_one_run(ticks: Any) -> None:
    tick = ticks(prices())
    assert "added AAA, BBB" in tick("new_symbols", prices("AAA", "BBB")).skip_message
    assert known(tick.project) == {"AAA", "BBB"}
    assert "not settled" in tick("price_changes", prices("AAA", "BBB")).skip_message
    assert asked(tick("price_changes", prices("AAA", "BBB"))) == {"first prices": ["AAA", "BBB"]}
    tick("new_symbols", prices("AAA", "BBB", "CCC"))
    assert known(tick.project) == {"AAA", "BBB", "CCC"}
    assert "no new symbol" in tick("new_symbols", prices("AAA", "BBB", "CCC")).skip_message


def test_only_wanted_symbols_are_added(ticks: Any) -> None:
    tick = ticks(prices(), symbols="BBB")
    tick("new_symbols", prices("AAA", "BBB"))
    assert known(tick.project) == {"BBB"}


def test_a_symbol_that_was_deleted_and_comes_back_is_run_again(ticks: Any) -> None:
    tick = ticks(prices("AAA"))
    tick("price_changes")
    (first,) = tick("price_changes").run_requests
    tick.project.instance.delete_dynamic_partition(SYMBOLS.name, "AAA")
    tick("price_changes")
    tick("new_symbols")
    tick("price_changes")
    (again,) = tick("price_changes").run_requests
    assert again.run_key != first.run_key  # the daemon makes no run for a key that it knows
    assert again.run_config == first.run_config


def test_one_refused_file_does_not_stop_the_tick(ticks: Any) -> None:
    market = Market(prices("AAA").histories, {"BAD": BROKEN})
    tick = ticks(market)
    assert "BAD cannot be read: BAD.csv: no number. Correct the cell." in tick("price_changes").skip_message
    assert asked(tick("price_changes")) == {"first prices": ["AAA"]}


# ------------------------------------------------------------------ changed prices


def test_a_file_that_is_being_written_is_left_until_it_stands_still(ticks: Any) -> None:
    tick = ticks(prices("AAA"), quiet_seconds=100)
    for days in (100, 200, 290):
        assert (
            "not settled for 100 s" in tick("price_changes", Market({"AAA": walk("AAA", days)})).skip_message
        )
    tick("price_changes")
    assert "not settled" in tick("price_changes", after=99).skip_message
    assert asked(tick("price_changes", after=1)) == {"first prices": ["AAA"]}


def test_each_kind_of_change_is_a_run_that_says_so(ticks: Any) -> None:
    names = ("SAME", "GROWN", "RESTATED", "SPLIT", "NEW")
    tick = ticks(prices(*names))
    grown = price_history("GROWN", walk("GROWN").frame.iloc[:-5])
    frame = walk("RESTATED").frame.copy()
    frame.iloc[100] *= 1.02
    for old in (
        walk("SAME"),
        grown,
        price_history("RESTATED", frame),
        price_history("SPLIT", walk("SPLIT").frame * 2),
    ):
        pretend_worked_through(tick.project.store, old)
    tick("price_changes")
    result = tick("price_changes")
    assert asked(result) == {
        "first prices": ["NEW"],
        "new days": ["GROWN"],
        "restated history": ["RESTATED", "SPLIT"],
    }
    told = {r.tags[REASON].split(":")[0]: r for r in result.run_requests}
    assert "the past was restated from 2000-05-22 on" in told["restated history"].tags[REASON]
    renewed = {name: r.run_config["ops"]["update_fleet"]["config"]["renew_base"] for name, r in told.items()}
    assert renewed == {"first prices": True, "new days": False, "restated history": True}
    assert len({r.run_key for r in result.run_requests}) == 3


def test_requested_runs_are_ones_that_the_job_accepts(ticks: Any) -> None:
    tick = ticks(prices("AAA"))
    tick("price_changes")
    (request,) = tick("price_changes").run_requests
    job = tick.project.defs.resolve_job_def("fleet_update")
    assert dg.validate_run_config(job, dict(request.run_config))


def test_few_new_days_are_not_worth_a_run(ticks: Any) -> None:
    tick = ticks(prices("AAA"), retrain_after_days=20)
    pretend_worked_through(tick.project.store, price_history("AAA", walk("AAA").frame.iloc[:-5]))
    tick("price_changes")
    assert "fewer than 20 new days: AAA" in tick("price_changes").skip_message
    more = Market({"AAA": price_history("AAA", walk("AAA", 320).frame)})
    tick("price_changes", more)
    assert asked(tick("price_changes", more))


def test_what_fails_is_not_tried_for_ever(ticks: Any) -> None:
    tick = ticks(prices("AAA"), attempts_per_content=2)
    tick("price_changes")
    keys = [tick("price_changes").run_requests[0].run_key for _ in range(2)]
    assert len(set(keys)) == 2
    for _ in range(3):
        assert "given up after 2 runs on the same prices: AAA" in tick("price_changes").skip_message
    other = Market({"AAA": walk("AAA", 301)})
    tick("price_changes", other)
    assert asked(tick("price_changes", other)) == {"first prices": ["AAA"]}


def test_what_was_worked_through_is_not_asked_for(ticks: Any) -> None:
    tick = ticks(prices("AAA"))
    pretend_worked_through(tick.project.store, walk("AAA"))
    for _ in range(3):
        assert "1 symbols looked at" in tick("price_changes").skip_message


def test_nothing_is_asked_for_while_somebody_is_at_work(ticks: Any) -> None:
    tick = ticks(prices("AAA"))
    tick("price_changes")
    with fleet_lock(tick.project.settings):  # as the command holds it
        assert "must wait: the fleet is being worked through by pid" in tick("price_changes").skip_message
    busy = tick.project.instance.create_run_for_job(
        tick.project.defs.resolve_job_def("fleet_update"), status=dg.DagsterRunStatus.STARTING
    )
    assert (
        f"must wait: run {busy.run_id[:8]} of fleet_update is starting" in tick("price_changes").skip_message
    )
    tick.project.instance.report_run_canceled(busy)
    assert asked(tick("price_changes"))  # waiting has cost no attempt


def test_a_run_whose_process_was_killed_holds_nobody_up(ticks: Any) -> None:
    tick = ticks(prices("AAA"))
    tick("price_changes")
    dead = tick.project.instance.create_run_for_job(
        tick.project.defs.resolve_job_def("fleet_update"),
        status=dg.DagsterRunStatus.STARTED,
        tags={"gated-mamba/process": _tag_of_a_dead_process()},
    )
    assert asked(tick("price_changes"))
    run = tick.project.instance.get_run_by_id(dead.run_id)
    assert run is not None
    assert run.status is dg.DagsterRunStatus.FAILURE


def _tag_of_a_dead_process() -> str:
    from ml_assets.storage import ProcessId

    return replace(ProcessId.of_self(), pid=2**22 - 3, start="1").tag


# ------------------------------------------------------------------ switched on and off


@pytest.mark.parametrize(("sensors", "weekly"), [(True, False), (False, True)])
def test_settings_switch(sensors: bool, weekly: bool, tmp_path: Path) -> None:
    from orchestration.definitions import build_defs

    settings = Settings(
        home=tmp_path,
        sensors=sensors,
        weekly_retrain=weekly,
        retrain_cron="30 4 * * 1",
        retrain_timezone="Europe/Paris",
    )
    repository = build_defs(settings=settings).get_repository_def()
    on = dg.DefaultSensorStatus.RUNNING if sensors else dg.DefaultSensorStatus.STOPPED
    assert {sensor.default_status for sensor in repository.sensor_defs} == {on}
    assert all(sensor.minimum_interval_seconds >= 30 for sensor in repository.sensor_defs)
    schedule = repository.get_schedule_def("weekly_retrain")
    assert (schedule.cron_schedule, schedule.execution_timezone) == ("30 4 * * 1", "Europe/Paris")
    assert (schedule.default_status is dg.DefaultScheduleStatus.RUNNING) == weekly
