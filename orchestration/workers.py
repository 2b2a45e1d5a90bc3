"""Prepare the data of several symbols at once: a process per core, each taking the next symbol in line."""

from __future__ import annotations

import logging
import multiprocessing
import os
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from multiprocessing.connection import Connection

from orchestration.definitions import DATA_ASSETS, build_defs
from orchestration.fleet import RunOutcome, run_job
from orchestration.instance import open_instance
from orchestration.settings import Settings

__all__ = ["prepare_data"]

logger = logging.getLogger(__name__)

Prepare = Callable[[str], RunOutcome]
_PATIENCE = 10.0  # seconds in which a worker may end by itself


def prepare_data(
    settings: Settings, symbols: Sequence[str], prepare: Prepare, *, tags: Mapping[str, str] | None = None
) -> Iterator[tuple[str, RunOutcome]]:
    """Run the data assets of every symbol; yield each outcome as soon as it is seen.

    Parameters
    ----------
    settings : Settings
        They say how many processes there may be, this one included.
    symbols : sequence of str
    prepare : callable
        Runs one symbol in this process: those it takes itself, and those whose worker died.
    tags : mapping of str to str, optional
        Of the runs in the other processes.
    """
    todo, done, lost = deque(symbols), _Outcomes(), list[str]()
    with ExitStack() as stack:
        for _ in range(min(_processes(settings), len(symbols)) - 1):
            done.expected += 1
            stack.enter_context(_Worker(settings, tags, todo, done, lost))
        while todo:
            try:
                symbol = todo.popleft()
            except IndexError:  # a worker was quicker
                break
            yield symbol, prepare(symbol)
            yield from done.arrived()
        yield from done.rest()
    if lost:
        logger.warning("a worker process died; this one prepares its symbols: %s", ", ".join(lost))
        open_instance(settings).dispose()  # closes its run: readers wait for what that has announced
    for symbol in lost:
        yield symbol, prepare(symbol)


def _processes(settings: Settings) -> int:
    if settings.prices.startswith("yfinance:"):
        return 1  # every process would download everything
    return settings.workers or os.cpu_count() or 1


class _Outcomes:
    """What workers have answered; ``None`` stands for a worker that has ended."""

    def __init__(self) -> None:
        self.queue: queue.SimpleQueue[tuple[str, RunOutcome] | None] = queue.SimpleQueue()
        self.expected = 0

    def arrived(self) -> Iterator[tuple[str, RunOutcome]]:
        """Yield what is there, without waiting."""
        while not self.queue.empty():
            yield from self._next()

    def rest(self) -> Iterator[tuple[str, RunOutcome]]:
        """Yield everything until all workers have ended."""
        while self.expected:
            yield from self._next()

    def _next(self) -> Iterator[tuple[str, RunOutcome]]:
        answer = self.queue.get()
        if answer is None:
            self.expected -= 1
        else:
            yield answer


class _Worker(threading.Thread):
    """A process, and the thread that hands it the next symbol as soon as it has answered."""

    def __init__(
        self,
        settings: Settings,
        tags: Mapping[str, str] | None,
        todo: deque[str],
        done: _Outcomes,
        lost: list[str],
    ) -> None:
        super().__init__(daemon=True)
        self._todo, self._done, self._lost = todo, done, lost
        context = multiprocessing.get_context("spawn")  # a fork of a process with threads may deadlock
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(theirs, settings, tags), daemon=True)
        self._process.start()
        theirs.close()  # so that the end of the process is the end of the pipe

    def __enter__(self) -> None:
        self.start()

    def __exit__(self, *_: object) -> None:
        self._todo.clear()
        if self.is_alive():  # the command is being stopped, amid a run
            self._process.terminate()
        else:
            self._pipe.close()  # for the process that waits at the other end, the sign to go
        self._process.join(_PATIENCE)
        self._process.kill()  # whatever keeps it: nothing of it is wanted any more
        self._process.join()
        self.join()

    def run(self) -> None:
        """Hand out symbols until none is left or the process has died."""
        while True:
            try:
                symbol = self._todo.popleft()
            except IndexError:
                break
            try:
                self._pipe.send(symbol)
                self._done.queue.put((symbol, self._pipe.recv()))
            except (EOFError, OSError):  # it has ended, perhaps amid a message
                self._lost.append(symbol)
                break
        self._done.queue.put(None)


def _work(pipe: Connection, settings: Settings, tags: Mapping[str, str] | None) -> None:
    """Run in a worker process; stop in silence when the command has been stopped or has died."""
    logging.getLogger("ml_assets.storage").setLevel(logging.ERROR)  # the closing table names what was refused
    try:
        with open_instance(settings) as instance:
            defs = build_defs(settings=settings)
            while True:
                symbol = pipe.recv()
                outcome = run_job(
                    defs, instance, "symbol_pipeline", partition=symbol, assets=DATA_ASSETS, tags=tags
                )
                pipe.send(outcome)
    except (KeyboardInterrupt, EOFError, OSError):
        pass
