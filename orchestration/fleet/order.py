"""The order in which a fleet is worked through: the one description, for commands, job and sensors.

::

    data of each symbol -> base model of all -> model and report of each symbol -> verdict -> release
                           (the option network beside, then its latency and option quotes: the command)
    beside direction, where asked for:
    data, model and report of each symbol's variance -> verdict -> release
    data of each symbol -> median of the fleet -> relative model and report of each -> verdict -> release

A symbol that fails is left out of what follows, and never stops the others. Every step of every symbol is a
Dagster run of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

import dagster as dg

from ml_assets.forecasts.controls import CONTROLS
from ml_assets.storage import ArtifactStore
from orchestration.fleet.resume import Kept
from orchestration.fleet.run import Graph, RunOutcome, run_job
from orchestration.fleet.state import current
from orchestration.fleet.steps import (
    BASE,
    DATA,
    LATENCY,
    MODELS,
    NETWORK,
    QUOTES,
    RELEASE,
    VERDICT,
    VERDICT_AND_RELEASE,
    Plan,
    Step,
)  # fmt: skip
from orchestration.fleet.workers import Task, Workers, process, work
from orchestration.settings import Settings

__all__ = [
    "Direction",
    "Fleet",
    "Watcher",
    "forecast_beside",
    "forecast_direction",
    "judge",
]


class Watcher(Protocol):
    """Whoever is told how far the work has come: a terminal, the log of a run."""

    def begins(self, step: Step, symbols: int, kept: Sequence[str]) -> None:
        """Say that a step begins, for how many symbols (0: it is about the fleet), and which are kept."""
        ...

    def ended(self, step: Step, outcome: RunOutcome) -> None:
        """Say what a run came to; of a symbol's models together with its data."""
        ...


@dataclass(frozen=True)
class Fleet:
    """What it takes to run the steps.

    Parameters
    ----------
    graph, instance
        The definitions, and where runs are recorded.
    watcher
        Told of every step and outcome.
    since
        When a stopped run began whose results are to be kept, if there is one.
    tags
        Of every run.
    """

    graph: Graph
    instance: dg.DagsterInstance
    watcher: Watcher
    since: datetime | None = None
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def store(self) -> ArtifactStore:
        """Where artifacts lie."""
        store: ArtifactStore = self.graph.resource("store")
        return store

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        settings: Settings = self.graph.resource("settings")
        return settings

    @property
    def kept(self) -> Kept:
        """What need not be made again."""
        return Kept(self.graph, self.instance, self.since)

    def workers(self, symbols: int) -> Workers:
        """Processes for so many symbols."""
        return Workers(self.graph, self.settings, symbols, self.tags)

    def once(self, step: Step, *, keep: bool = False) -> RunOutcome:
        """Run a step that is about the fleet; if asked, keep what a stopped run has made of it."""
        self.watcher.begins(step, 0, ())
        kept, assets = self.kept.split(step.job, None, step.assets) if keep else (None, step.assets)
        outcome = kept if kept is not None and not assets else self._run(Task(step.job, None, assets))
        self.watcher.ended(step, outcome)
        return outcome

    @contextmanager
    def beside(self, step: Step) -> Iterator[Callable[[], RunOutcome]]:
        """Run a step in a process of its own during the block; yield who waits for the outcome."""
        kept, assets = self.kept.split(step.job, None, step.assets)
        if kept is not None and not assets:
            self.watcher.ended(step, kept)
            yield lambda: kept
            return
        with process(self.graph, self.settings, self.tags) as pool:
            future = pool.submit(work, Task(step.job, None, assets))

            def wait() -> RunOutcome:
                self.watcher.begins(step, 0, ())
                try:
                    return future.result()
                except BrokenProcessPool:
                    died = "its process was killed; see the system's log"
                    return RunOutcome(step.job, None, False, 0, 0, died, None, 0.0, "")

            yield wait

    def each(
        self,
        workers: Workers,
        step: Step,
        symbols: Sequence[str],
        before: Mapping[str, RunOutcome] | None = None,
        *,
        keep: bool = True,
    ) -> dict[str, RunOutcome]:
        """Run a step of each symbol, several at a time, but for what is kept; outcomes in the given order.

        `before` are outcomes of the step before, to which these are added.
        """
        earlier, outcomes, tasks = dict(before or {}), dict[str, RunOutcome](), []

        def add(symbol: str, outcome: RunOutcome) -> RunOutcome:
            return earlier[symbol].then(outcome) if symbol in earlier else outcome

        for symbol in symbols:
            kept, assets = self.kept.split(step.job, symbol, step.assets) if keep else (None, step.assets)
            if kept is not None:
                earlier[symbol] = add(symbol, kept)
            if assets:
                tasks.append(Task(step.job, symbol, assets))
            else:
                outcomes[symbol] = earlier[symbol]
        self.watcher.begins(step, len(symbols), list(outcomes))
        for outcome in outcomes.values():
            self.watcher.ended(step, outcome)
        for outcome in workers.map(tasks, self._run):
            symbol = str(outcome.partition)
            outcomes[symbol] = add(symbol, outcome)
            self.watcher.ended(step, outcomes[symbol])
        return {symbol: outcomes[symbol] for symbol in symbols}

    def _run(self, task: Task) -> RunOutcome:
        defs = self.graph.defs()
        return run_job(
            defs, self.instance, task.job, partition=task.symbol, assets=task.assets, tags=self.tags
        )


@dataclass(frozen=True)
class Direction:
    """What became of a fleet's models of direction.

    Parameters
    ----------
    symbols
        By symbol; of those whose data failed, that of the data.
    ready
        Those whose data passed.
    base
        The base model; None if it was not to be trained. Where that fails, symbols train from scratch: less
        skilled, but no failure of the run.
    network
        The option network; None if it was not to be trained.
    """

    symbols: dict[str, RunOutcome]
    ready: list[str]
    base: RunOutcome | None
    network: RunOutcome | None


def forecast_direction(
    fleet: Fleet, symbols: Sequence[str], *, renew_base: bool = True, network: bool = False
) -> Direction:
    """Make data, base model, and each symbol's model and report; if asked, the option network beside them.

    Parameters
    ----------
    fleet, symbols
        What to work through; the symbols have partitions.
    renew_base
        Whether the base model is trained again between data and models.
    network
        Whether the option network is trained, in a process of its own.
    """
    with fleet.workers(len(symbols)) as workers:
        data = fleet.each(workers, DATA, symbols)
        ready = [symbol for symbol, outcome in data.items() if outcome.success]
        # Only now: the data keeps every core busy, the base model only one.
        with fleet.beside(NETWORK) if network else nullcontext() as wait_for_network:
            base = _base_model(fleet, data, ready) if renew_base and ready else None
            # What was trained from another base model, or without one, is not what would be made now.
            keep = base is None or base.kept or not base.success
            models = fleet.each(workers, MODELS, ready, data, keep=keep)
            trained = None if wait_for_network is None else wait_for_network()
    return Direction({**data, **models}, ready, base, trained)


def _base_model(fleet: Fleet, data: Mapping[str, RunOutcome], ready: Sequence[str]) -> RunOutcome:
    """Train the base model; keep that of the stopped run if it was made of all that is here now."""
    complete = all(data[symbol].kept for symbol in ready if symbol not in CONTROLS)
    return fleet.once(BASE, keep=complete)


def judge(fleet: Fleet, *, options: bool = False) -> list[RunOutcome]:
    """Judge the fleet, and release what may be served: not before there is a measured option network.

    If asked, the option network is measured first, and tomorrow's option prices are forecast.
    """
    before = [fleet.once(LATENCY), fleet.once(QUOTES)] if options else []
    measured = current(fleet.store, "latency_benchmark") is not None
    return [*before, fleet.once(VERDICT_AND_RELEASE if measured else VERDICT)]


def forecast_beside(
    fleet: Fleet, plan: Plan, symbols: Sequence[str]
) -> tuple[dict[str, RunOutcome], list[RunOutcome]]:
    """Forecast a target of each symbol, judge it, and renew the release where the rest of it is there.

    Returns
    -------
    dict of str to RunOutcome
        By symbol.
    list of RunOutcome
        Of what is made of all symbols, of the verdict, and of the release, as far as the work came.
    """
    others: list[RunOutcome] = []
    with fleet.workers(len(symbols)) as workers:
        before = {} if plan.first is None else fleet.each(workers, plan.first, symbols)
        ready = [symbol for symbol in symbols if symbol not in before or before[symbol].success]
        if plan.shared is not None:
            kept = bool(before) and all(before[symbol].kept for symbol in ready)
            others.append(fleet.once(plan.shared, keep=kept))
            if not others[-1].success:
                return before, others
        outcomes = {**before, **fleet.each(workers, plan.models, ready, before)}
    others.append(fleet.once(plan.verdict))
    if others[-1].success and all(current(fleet.store, a) for a in ("promotion", "latency_benchmark")):
        others.append(fleet.once(RELEASE))
    return outcomes, others
