"""The sensor that notices new symbols, on a real instance."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.dynamic_partitions_request import AddDynamicPartitionsRequest
from dagster._core.definitions.sensor_definition import SensorExecutionData

from ml_assets.prices import PriceFileError
from ml_assets.simulation import simulate
from orchestration.partitions import SYMBOLS
from tests.integration.project import Market, Project, open_project


def prices(*symbols: str) -> Market:
    return Market({s: simulate("random_walk", 300, seed=n, symbol=s).prices for n, s in enumerate(symbols)})


def tick(project: Project) -> SensorExecutionData:
    """Evaluate the sensor as the daemon does, then do what it asks for."""
    result = project.tick()
    for request in result.dynamic_partitions_requests or ():
        assert isinstance(request, AddDynamicPartitionsRequest)
        project.instance.add_dynamic_partitions(request.partitions_def_name, list(request.partition_keys))
    return result


def known(project: Project) -> set[str]:
    assert SYMBOLS.name is not None
    return set(project.instance.get_dynamic_partitions(SYMBOLS.name))


def requested(result: SensorExecutionData) -> list[tuple[str | None, str | None]]:
    """Key and partition of each run; a tick that asks for none has to say why."""
    assert bool(result.run_requests) != bool(result.skip_message)
    return [(request.run_key, request.partition_key) for request in result.run_requests or ()]


def test_each_new_symbol_gets_a_partition_and_one_run(tmp_path: Path) -> None:
    with open_project(tmp_path, prices()) as project:
        first = project.with_overrides(source=prices("AAA", "BBB"))
        assert requested(tick(first)) == [("first-AAA", "AAA"), ("first-BBB", "BBB")]
        assert known(first) == {"AAA", "BBB"}
        assert requested(tick(first)) == []

        grown = project.with_overrides(source=prices("AAA", "BBB", "CCC"))
        assert requested(tick(grown)) == [("first-CCC", "CCC")]
        assert requested(tick(grown)) == []
        assert known(grown) == {"AAA", "BBB", "CCC"}


def test_requested_run_is_one_that_the_job_accepts(tmp_path: Path) -> None:
    with open_project(tmp_path, prices()) as project:
        offered = project.with_overrides(source=prices("AAA"))
        ((_, symbol),) = requested(tick(offered))
        assert symbol is not None
        outcome = offered.run_symbol(symbol, "raw_prices")
        assert (
            outcome.gates_passed + outcome.gates_failed == 4
        )  # 300 days are too few: the gates ran and said so
        assert "sufficiency" in (outcome.reason or "")


def test_symbol_that_left_is_not_run_again_when_it_returns(tmp_path: Path) -> None:
    with open_project(tmp_path, prices("AAA")) as project:
        assert requested(tick(project.with_overrides(source=prices()))) == []
        assert requested(tick(project)) == []


def test_only_wanted_symbols_are_added(tmp_path: Path) -> None:
    with open_project(tmp_path, prices(), symbols="BBB") as project:
        offered = project.with_overrides(source=prices("AAA", "BBB"))
        assert requested(tick(offered)) == [("first-BBB", "BBB")]
        assert known(offered) == {"BBB"}


def test_one_refused_file_does_not_stop_the_tick(tmp_path: Path) -> None:
    broken = PriceFileError("no number", "Correct the cell.", file="BAD.csv")
    with open_project(tmp_path, prices()) as project:
        market = Market(prices("AAA").histories, {"BAD": broken})
        assert [partition for _, partition in requested(tick(project.with_overrides(source=market)))] == [
            "AAA",
            "BAD",
        ]


@pytest.mark.parametrize("attribute", ["minimum_interval_seconds", "default_status"])
def test_sensor_runs_by_default_and_not_too_often(tmp_path: Path, attribute: str) -> None:
    with open_project(tmp_path, prices()) as project:
        sensor = project.defs.resolve_sensor_def("new_symbols")
    wanted = {"minimum_interval_seconds": 60, "default_status": dg.DefaultSensorStatus.RUNNING}
    assert getattr(sensor, attribute) == wanted[attribute]
