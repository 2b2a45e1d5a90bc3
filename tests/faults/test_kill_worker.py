"""Worker processes that share the symbols of a fleet, and what is left when one of them is killed."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import psutil
import pytest

from ml_assets.prices.simulated import simulate
from orchestration.definitions import DATA_ASSETS, build_defs
from orchestration.fleet.run import RunOutcome, register_symbols, run_job
from orchestration.fleet.workers import Workers
from orchestration.instance import open_instance
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


class Here:
    """Runs assets of a symbol in this process, and remembers for which symbols it did."""

    def __init__(self, settings: Settings, instance: dg.DagsterInstance, assets: list[str]) -> None:
        self._defs, self._instance, self._assets = build_defs(settings=settings), instance, assets
        self.symbols: list[str] = []

    def __call__(self, symbol: str) -> RunOutcome:
        self.symbols.append(symbol)
        return run_job(self._defs, self._instance, "symbol_pipeline", partition=symbol, assets=self._assets)


def worker() -> psutil.Process:
    (child,) = [p for p in psutil.Process().children() if "spawn_main" in " ".join(p.cmdline())]
    return child


def test_each_symbol_is_prepared_once_by_one_of_the_workers(settings: Settings) -> None:
    with open_instance(settings) as instance:
        register_symbols(instance, SYMBOLS)
        here = Here(settings, instance, DATA_ASSETS)
        with Workers(settings, len(SYMBOLS)) as workers:
            outcomes = list(workers.each(SYMBOLS, DATA_ASSETS, here))
        processes = {run.tags["gated-mamba/process"] for run in instance.get_runs()}
    assert sorted(symbol for symbol, _ in outcomes) == SYMBOLS
    assert all(outcome.success and outcome.gates_passed == 11 for _, outcome in outcomes)
    assert "AAA" not in here.symbols  # the worker's
    assert here.symbols
    assert len(processes) == 2


def test_the_symbols_of_a_killed_worker_are_prepared_here(settings: Settings) -> None:
    with open_instance(settings) as instance:
        register_symbols(instance, SYMBOLS)
        here = Here(settings, instance, DATA_ASSETS)
        outcomes: dict[str, RunOutcome] = {}
        with Workers(settings, len(SYMBOLS)) as workers:
            for symbol, outcome in workers.each(SYMBOLS, DATA_ASSETS, here):
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


def test_a_model_whose_worker_was_killed_is_trained_here_to_the_same_bytes(settings: Settings) -> None:
    two = SYMBOLS[:2]
    with open_instance(settings) as instance:
        register_symbols(instance, two)
        with Workers(settings, len(two)) as workers:
            prepare = Here(settings, instance, DATA_ASSETS)
            assert all(outcome.success for _, outcome in workers.each(two, DATA_ASSETS, prepare))
            here = Here(settings, instance, ["mamba_weights"])
            outcomes = workers.each(two, ["mamba_weights"], here)
            assert next(outcomes)[1].success  # BBB here, while the worker imports TensorFlow or trains AAA
            by_worker = [symbol for symbol, outcome in outcomes if outcome.success]
            assert (here.symbols, by_worker) == (["BBB"], ["AAA"])
            trained = {symbol: sha256(settings, symbol) for symbol in two}

            worker().kill()
            again = dict(workers.each(two, ["mamba_weights"], here))  # a phase that begins with a dead worker
            assert all(outcome.success for outcome in again.values())
    assert here.symbols == ["BBB", "BBB", "AAA"]
    assert {symbol: sha256(settings, symbol) for symbol in two} == trained


def sha256(settings: Settings, symbol: str) -> str:
    certificate = open_store(settings).current("mamba_weights", symbol)
    assert certificate is not None
    return certificate.sha256


@pytest.mark.parametrize("where", ["in the run", "between two runs"])
def test_a_stopped_command_leaves_no_worker(settings: Settings, where: str) -> None:
    children = []

    def here(symbol: str) -> RunOutcome:
        children.append(worker())
        if where == "in the run":
            raise KeyboardInterrupt
        return RunOutcome("symbol_pipeline", symbol, True, 0, 0, None, None, 0.0, "")

    def work() -> None:
        with Workers(settings, len(SYMBOLS)) as workers:
            for _ in workers.each(SYMBOLS, DATA_ASSETS, here):
                raise KeyboardInterrupt

    with open_instance(settings) as instance:
        register_symbols(instance, SYMBOLS)
        with pytest.raises(KeyboardInterrupt):
            work()
    (child,) = children
    assert not child.is_running()
