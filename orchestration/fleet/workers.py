"""Run assets of several symbols at once: in processes beside this one, each taking the next task in line.

Each process is a pool of its own (`concurrent.futures.ProcessPoolExecutor`, one worker). One that is killed
breaks its own pool; a single pool of several would end the others in the middle of their symbols, too. And a
pool is given one task at a time: it would take two in advance, which wait while another process is idle.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import queue
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection
from typing import Any, Self

import dagster as dg

from orchestration.fleet.run import Graph, RunOutcome, run_job
from orchestration.instance import open_instance
from orchestration.settings import Settings

__all__ = ["Task", "Workers", "process", "work"]

logger = logging.getLogger(__name__)

_MOST = 4  # processes by default: each that trains holds some 1.5 GB


@dataclass(frozen=True)
class Task:
    """Assets to be made by one run of a job, of a symbol or of the fleet."""

    job: str
    symbol: str | None
    assets: tuple[str, ...]


Answers = queue.SimpleQueue[tuple[Task, RunOutcome | None]]
"""What has become of tasks; None: nothing, its process died."""


class Workers:
    """Processes that work beside this one, as long as the block lasts.

    They keep what is costly to have: the imports, and the compiled model from the first symbol on. Which
    process trains a symbol makes no difference to the bytes of its model.

    Parameters
    ----------
    graph : Graph
        Builds the definitions in the other processes; if it cannot, this process does everything.
    settings : Settings
        They say how many processes there may be, this one included.
    symbols : int
        Number of symbols; there are never more processes than symbols.
    tags : mapping of str to str
        Of the runs in the other processes.
    """

    def __init__(self, graph: Graph, settings: Settings, symbols: int, tags: Mapping[str, str]) -> None:
        self._graph, self._settings, self._tags = graph, settings, tags
        self._count = 0 if graph.build is None else max(min(_processes(settings), symbols) - 1, 0)
        self._stack, self._todo = ExitStack(), deque[Task]()
        self._pools, self._dead = list[ProcessPoolExecutor](), list[ProcessPoolExecutor]()

    def __enter__(self) -> Self:
        for _ in range(self._count):
            pool = process(self._graph, self._settings, self._tags)
            self._pools.append(self._stack.enter_context(pool))
        return self

    def __exit__(self, *error: Any) -> None:
        self._todo.clear()
        self._stack.__exit__(*error)

    def map(self, tasks: Sequence[Task], here: Callable[[Task], RunOutcome]) -> Iterator[RunOutcome]:
        """Do every task; yield each outcome as soon as it is there.

        `here` does one in this process: those that this one takes, and at the end those whose process died.
        """
        self._todo = deque(tasks)
        answers: Answers = queue.SimpleQueue()
        for pool in self._pools:
            self._hand_out(pool, answers)
        lost = []
        try:
            for _ in tasks:
                task, outcome = self._next(here, answers)
                if outcome is None:
                    lost.append(task)
                else:
                    yield outcome
        finally:
            self._todo.clear()
        if lost:
            names = ", ".join(str(task.symbol) for task in lost)
            logger.warning("a worker process died; this one goes on with its symbols: %s", names)
            for pool in self._dead:
                pool.shutdown()  # waits for the end, until which its run does not count as dead
            self._pools = [pool for pool in self._pools if pool not in self._dead]
            # Closes the runs of the dead: readers wait for what those have announced.
            open_instance(self._settings).dispose()
        yield from map(here, lost)

    def _next(self, here: Callable[[Task], RunOutcome], answers: Answers) -> tuple[Task, RunOutcome | None]:
        """An answer that is there; else do a task; else, once all are handed out, wait for an answer."""
        if answers.empty():
            try:
                task = self._todo.popleft()
            except IndexError:
                return answers.get()
            return task, here(task)
        return answers.get()

    def _hand_out(self, pool: ProcessPoolExecutor, answers: Answers) -> None:
        """Give a process the next task, of which there is always one answer."""
        try:
            task = self._todo.popleft()
        except IndexError:
            return
        try:
            future = pool.submit(work, task)
        except RuntimeError:  # its process died while it had nothing to do
            answers.put((task, None))
            return
        future.add_done_callback(partial(self._answered, pool, task, answers))

    def _answered(
        self, pool: ProcessPoolExecutor, task: Task, answers: Answers, future: Future[RunOutcome]
    ) -> None:
        """Pass an answer on, in a thread of the pool; who has died, or broke, is given nothing more."""
        if future.exception() is None:
            answers.put((task, future.result()))
            self._hand_out(pool, answers)
            return
        self._dead.append(pool)
        answers.put((task, None))


def _processes(settings: Settings) -> int:
    if settings.prices.startswith("yfinance:"):
        return 1  # every process would download everything
    return settings.workers or min(os.cpu_count() or 1, _MOST)


@contextmanager
def process(graph: Graph, settings: Settings, tags: Mapping[str, str]) -> Iterator[ProcessPoolExecutor]:
    """A pool of one process that does `work`, and ends with the block, be it amid a task.

    It also ends with this process, however that one ends: the pools of the standard library would leave it
    behind, waiting for tasks for ever.
    """
    context = multiprocessing.get_context("spawn")  # a fork of a process with threads may deadlock
    theirs, lifeline = context.Pipe(duplex=False)
    assert graph.build is not None, "these definitions stand in this process alone"
    given = (theirs, graph.build, settings, dict(tags))
    pool = ProcessPoolExecutor(1, context, initializer=_start, initargs=given)
    pool.submit(os.getpid)  # the first task starts the process: its imports take seconds
    try:
        yield pool
    finally:
        lifeline.close()
        pool.shutdown()
        theirs.close()


_run: Callable[..., RunOutcome]
"""Runs a job; set once in each process of a pool."""


def _start(
    lifeline: Connection, build: Callable[..., dg.Definitions], settings: Settings, tags: dict[str, str]
) -> None:
    """Make a process ready: it opens the instance and builds the definitions once."""
    global _run
    threading.Thread(target=_end_with, args=(lifeline,), daemon=True).start()
    # Ctrl-C reaches every process of a terminal. During a run, Dagster has a handler of its own.
    signal.signal(signal.SIGINT, lambda *_: os._exit(1))
    logging.getLogger("ml_assets.storage").setLevel(logging.ERROR)  # the closing table names what was refused
    instance = open_instance(settings)
    _run = partial(run_job, build(settings=settings), instance, tags=tags)


def _end_with(lifeline: Connection) -> None:
    """End this process when the other end of the pipe is closed, be it by the end of its owner."""
    try:
        lifeline.recv()
    finally:
        os._exit(1)


def work(task: Task) -> RunOutcome:
    """Do a task, in a process of `process`."""
    return _run(task.job, partition=task.symbol, assets=task.assets)
