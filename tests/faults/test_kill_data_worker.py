"""Worker processes that prepare the data of a fleet, and what is left when one of them is killed."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import psutil
import pytest

from ml_assets.simulation import simulate
from orchestration.definitions import DATA_ASSETS, build_defs
from orchestration.fleet import RunOutcome, register_symbols, run_job
from orchestration.instance import open_instance
from orchestration.settings import Settings
from orchestration.workers import prepare_data

SYMBOLS = ["AAA", "BBB", "CCC", "DDD"]


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))  # is set by the command; put back afterwards
    (tmp_path / "prices").mkdir()
    for seed, symbol in enumerate(SYMBOLS):
        frame = simulate("random_walk", 500, seed=seed).prices.frame
        frame.rename_axis("date").to_csv(tmp_path / "prices" / f"{symbol}.csv")
    return Settings(
        home=tmp_path / "var", prices=str(tmp_path / "prices"), minimum_rows=250, test_days=60, workers=2
    )


class Here:
    """Prepares a symbol in this process, and remembers that it did."""

    def __init__(self, settings: Settings, instance: dg.DagsterInstance) -> None:
        self._defs, self._instance = build_defs(settings=settings), instance
        self.symbols: list[str] = []

    def __call__(self, symbol: str) -> RunOutcome:
        self.symbols.append(symbol)
        return run_job(self._defs, self._instance, "symbol_pipeline", partition=symbol, assets=DATA_ASSETS)


def worker() -> psutil.Process:
    (child,) = [p for p in psutil.Process().children() if "spawn_main" in " ".join(p.cmdline())]
    return child


def test_each_symbol_is_prepared_once_by_one_of_the_workers(settings: Settings) -> None:
    with open_instance(settings) as instance:
        register_symbols(instance, SYMBOLS)
        here = Here(settings, instance)
        outcomes = list(prepare_data(settings, SYMBOLS, here))
        processes = {run.tags["gated-mamba/process"] for run in instance.get_runs()}
    assert sorted(symbol for symbol, _ in outcomes) == SYMBOLS
    assert all(outcome.success and outcome.gates_passed == 11 for _, outcome in outcomes)
    assert "AAA" not in here.symbols  # the worker's
    assert here.symbols
    assert len(processes) == 2


def test_the_symbols_of_a_killed_worker_are_prepared_here(settings: Settings) -> None:
    with open_instance(settings) as instance:
        register_symbols(instance, SYMBOLS)
        here = Here(settings, instance)
        outcomes: dict[str, RunOutcome] = {}
        for symbol, outcome in prepare_data(settings, SYMBOLS, here):
            if not outcomes:  # the worker has taken its first symbol, and has hardly begun
                assert symbol == "BBB"
                worker().kill()
            assert symbol not in outcomes
            outcomes[symbol] = outcome
        unfinished = instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]))
    assert sorted(outcomes) == SYMBOLS
    assert all(outcome.success for outcome in outcomes.values())
    assert here.symbols[-1] == "AAA"
    assert unfinished == []


def test_a_stopped_command_leaves_no_worker(settings: Settings) -> None:
    with open_instance(settings) as instance:
        register_symbols(instance, SYMBOLS)
        outcomes = prepare_data(settings, SYMBOLS, Here(settings, instance))
        next(outcomes)
        child = worker()
        outcomes.close()  # type: ignore[attr-defined]  # as when an exception passes through
    assert not child.is_running()
