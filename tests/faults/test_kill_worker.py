"""Worker processes that share the symbols of a fleet, and what is left when one of them is killed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import dagster as dg
import psutil
import pytest

from ml_assets.prices.simulated import simulate
from orchestration.definitions import build_defs
from orchestration.fleet.run import Graph, RunOutcome, register_symbols, run_job
from orchestration.fleet.workers import Task, Workers
from orchestration.instance import open_instance
from orchestration.pipelines import DATA
from orchestration.resources import open_store
from orchestration.settings import Settings

SYMBOLS = ["AAA", "BBB", "CCC", "DDD"]


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))  # is set by the command; put back afterwards
    (tmp_path / "prices").mkdir()
    for seed, symbol in enumerate(SYMBOLS):
        frame = simulate("random_walk", 500, seed=seed).prices.frame
        frame.rename_axis("date").to_csv(tmp_path / "prices" / f"{symbol}.csv")
    return Settings(
        home=tmp_path / "var", prices=str(tmp_path / "prices"), minimum_rows=250, test_days=60, workers=2,
        folds=1, epochs=1,
    )  # fmt: skip


def graph(settings: Settings) -> Graph:
    return (build_defs(settings=settings).resources or {})["graph"]


def tasks(symbols: Sequence[str], assets: Sequence[str] = DATA) -> list[Task]:
    return [Task("symbol_pipeline", symbol, tuple(assets)) for symbol in symbols]


class Here:
    """Does tasks in this process, and remembers for which symbols it did."""

    def __init__(self, settings: Settings, instance: dg.DagsterInstance) -> None:
        self._graph, self._instance = graph(settings), instance
        self.symbols: list[str | None] = []

    def __call__(self, task: Task) -> RunOutcome:
        self.symbols.append(task.symbol)
        defs = self._graph.defs()
        return run_job(defs, self._instance, task.job, partition=task.symbol, assets=task.assets)


def worker() -> psutil.Process:
    (child,) = [p for p in psutil.Process().children() if "spawn_main" in " ".join(p.cmdline())]
    return child


def test_each_symbol_is_prepared_once_by_one_of_the_workers(settings: Settings) -> None:
    with open_instance(settings) as instance:
        register_symbols(instance, SYMBOLS)
        here = Here(settings, instance)
        with Workers(graph(settings), settings, len(SYMBOLS), {"mine": "yes"}) as workers:
            outcomes = list(workers.map(tasks(SYMBOLS), here))
        processes = {run.tags["gated-mamba/process"] for run in instance.get_runs()}
        tagged = instance.get_runs(dg.RunsFilter(tags={"mine": "yes"}))
    assert sorted(str(outcome.partition) for outcome in outcomes) == SYMBOLS
    assert all(outcome.success and outcome.gates_passed == 11 for outcome in outcomes)
    assert "AAA" not in here.symbols  # the worker's
    assert here.symbols
    assert len(processes) == 2
    assert len(tagged) == len(SYMBOLS) - len(here.symbols)


def test_the_symbols_of_a_killed_worker_are_prepared_here(settings: Settings) -> None:
    with open_instance(settings) as instance:
        register_symbols(instance, SYMBOLS)
        here = Here(settings, instance)
        outcomes: dict[str | None, RunOutcome] = {}
        with Workers(graph(settings), settings, len(SYMBOLS), {}) as workers:
            for outcome in workers.map(tasks(SYMBOLS), here):
                if not outcomes:  # the worker has taken its first symbol, and has hardly begun
                    assert outcome.partition == "BBB"
                    worker().kill()
                assert outcome.partition not in outcomes
                outcomes[outcome.partition] = outcome
        unfinished = instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]))
    assert sorted(map(str, outcomes)) == SYMBOLS
    assert all(outcome.success for outcome in outcomes.values())
    assert here.symbols[-1] == "AAA"
    assert unfinished == []


def test_a_model_whose_worker_was_killed_is_trained_here_to_the_same_bytes(settings: Settings) -> None:
    two = SYMBOLS[:2]
    models = tasks(two, ["mamba_weights"])
    with open_instance(settings) as instance:
        register_symbols(instance, two)
        with Workers(graph(settings), settings, len(two), {}) as workers:
            assert all(outcome.success for outcome in workers.map(tasks(two), Here(settings, instance)))
            here = Here(settings, instance)
            outcomes = workers.map(models, here)
            assert next(outcomes).success  # BBB here, while the worker imports TensorFlow or trains AAA
            by_worker = [outcome.partition for outcome in outcomes if outcome.success]
            assert (here.symbols, by_worker) == (["BBB"], ["AAA"])
            trained = {symbol: sha256(settings, symbol) for symbol in two}

            worker().kill()
            again = list(workers.map(models, here))  # a phase that begins with a dead worker
            assert [outcome.success for outcome in again] == [True, True]
    assert sorted(map(str, here.symbols)) == ["AAA", "BBB", "BBB"]
    assert {symbol: sha256(settings, symbol) for symbol in two} == trained


def sha256(settings: Settings, symbol: str) -> str:
    certificate = open_store(settings).current("mamba_weights", symbol)
    assert certificate is not None
    return certificate.sha256


@pytest.mark.parametrize("where", ["in the run", "between two runs"])
def test_a_stopped_command_leaves_no_worker(settings: Settings, where: str) -> None:
    children = []

    def here(task: Task) -> RunOutcome:
        children.append(worker())
        if where == "in the run":
            raise KeyboardInterrupt
        return RunOutcome(task.job, task.symbol, True, 0, 0, None, None, 0.0, "")

    def run() -> None:
        with Workers(graph(settings), settings, len(SYMBOLS), {}) as workers:
            for _ in workers.map(tasks(SYMBOLS), here):
                raise KeyboardInterrupt

    with open_instance(settings) as instance:
        register_symbols(instance, SYMBOLS)
        with pytest.raises(KeyboardInterrupt):
            run()
    (child,) = children
    assert not child.is_running()
