"""Run assets of several symbols at once: a process per core, each taking the next symbol in line."""

from __future__ import annotations

import logging
import multiprocessing
import os
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from multiprocessing.connection import Connection
from pickle import UnpicklingError
from typing import Self

from orchestration.definitions import build_defs
from orchestration.fleet.run import RunOutcome, run_job
from orchestration.instance import open_instance
from orchestration.settings import Settings

__all__ = ["Workers"]

logger = logging.getLogger(__name__)

_PATIENCE = 10.0  # seconds in which a process may end by itself
_MOST = 4  # processes by default: each that trains holds some 1.5 GB


class Workers:
    """Processes that run assets of symbols beside this one, as long as the block lasts.

    They keep what is costly to have: the imports, and the compiled model from the first symbol on. Which
    process trains a symbol makes no difference to the bytes of its model.

    Parameters
    ----------
    settings : Settings
        They say how many processes there may be, this one included.
    symbols : int
        Number of symbols; there are never more processes than symbols.
    tags : mapping of str to str, optional
        Of the runs in the other processes.
    job : str
        The job whose assets they run.
    """

    def __init__(
        self,
        settings: Settings,
        symbols: int,
        *,
        tags: Mapping[str, str] | None = None,
        job: str = "symbol_pipeline",
    ) -> None:
        self._settings, self._tags, self._job = settings, tags, job
        self._count = max(min(_processes(settings), symbols) - 1, 0)
        self._processes: list[_Process] = []

    def __enter__(self) -> Self:
        self._processes = [_Process(self._settings, self._tags, self._job) for _ in range(self._count)]
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        for process in self._processes:
            if error is not None:  # the command is being stopped, perhaps between two outcomes
                process.stop()
            process.end()

    def each(
        self, symbols: Sequence[str], assets: Sequence[str], here: Callable[[str], RunOutcome]
    ) -> Iterator[tuple[str, RunOutcome]]:
        """Run the assets of every symbol; yield each outcome as soon as it is seen.

        `here` does so in this process: for those symbols that it takes itself, and those whose worker died.
        """
        todo, outcomes, lost = deque(symbols), _Outcomes(), list[str]()
        hands = [_Hand(process, assets, todo, outcomes, lost) for process in self._processes if process.alive]
        outcomes.expected = len(hands)
        try:
            for hand in hands:
                hand.start()
            while todo:
                try:
                    symbol = todo.popleft()
                except IndexError:  # a worker was quicker
                    break
                yield symbol, here(symbol)
                yield from outcomes.arrived()
            yield from outcomes.rest()
        finally:
            todo.clear()
            for hand in hands:
                hand.stop()
        if lost:
            logger.warning("a worker process died; this one goes on with its symbols: %s", ", ".join(lost))
            open_instance(
                self._settings
            ).dispose()  # closes its run: readers wait for what that has announced
        for symbol in lost:
            yield symbol, here(symbol)


def _processes(settings: Settings) -> int:
    if settings.prices.startswith("yfinance:"):
        return 1  # every process would download everything
    return settings.workers or min(os.cpu_count() or 1, _MOST)


class _Process:
    """A process that answers each symbol and its assets with an outcome."""

    def __init__(self, settings: Settings, tags: Mapping[str, str] | None, job: str) -> None:
        context = multiprocessing.get_context("spawn")  # a fork of a process with threads may deadlock
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(theirs, settings, tags, job), daemon=True)
        self._process.start()
        theirs.close()  # so that the end of the process is the end of the pipe
        self.alive = True

    def run(self, symbol: str, assets: Sequence[str]) -> RunOutcome | None:
        """Wait for the outcome; None if the process has ended, perhaps amid a message."""
        try:
            self._pipe.send((symbol, list(assets)))
            outcome: RunOutcome = self._pipe.recv()
        except (EOFError, OSError, MemoryError, UnpicklingError):  # it has ended, or what it said is torn
            self.alive = False
            self._process.kill()
            self._process.join()  # until then its number is taken, and its run does not count as dead
            return None
        return outcome

    def stop(self) -> None:
        """End it amid its work."""
        self._process.terminate()

    def end(self) -> None:
        """End it; one that waits for work goes by itself, since its pipe is closed."""
        self._pipe.close()
        self._process.join(_PATIENCE)
        self._process.kill()  # whatever keeps it: nothing of it is wanted any more
        self._process.join()


class _Outcomes:
    """What workers have answered; ``None`` stands for a worker that has nothing more to do."""

    def __init__(self) -> None:
        self.queue: queue.SimpleQueue[tuple[str, RunOutcome] | None] = queue.SimpleQueue()
        self.expected = 0

    def arrived(self) -> Iterator[tuple[str, RunOutcome]]:
        """Yield what is there, without waiting."""
        while not self.queue.empty():
            yield from self._next()

    def rest(self) -> Iterator[tuple[str, RunOutcome]]:
        """Yield everything until all workers are done."""
        while self.expected:
            yield from self._next()

    def _next(self) -> Iterator[tuple[str, RunOutcome]]:
        answer = self.queue.get()
        if answer is None:
            self.expected -= 1
        else:
            yield answer


class _Hand(threading.Thread):
    """Hands a process the next symbol as soon as it has answered, until none is left or it has died."""

    def __init__(
        self,
        process: _Process,
        assets: Sequence[str],
        todo: deque[str],
        outcomes: _Outcomes,
        lost: list[str],
    ) -> None:
        super().__init__(daemon=True)
        self._process, self._assets = process, assets
        self._todo, self._outcomes, self._lost = todo, outcomes, lost

    def run(self) -> None:
        """Hand out symbols."""
        try:
            while self._one():
                pass
        finally:
            self._outcomes.queue.put(None)  # whatever has happened: somebody waits for it

    def _one(self) -> bool:
        try:
            symbol = self._todo.popleft()
        except IndexError:
            return False
        outcome = self._process.run(symbol, self._assets)
        if outcome is None:
            self._lost.append(symbol)
            return False
        self._outcomes.queue.put((symbol, outcome))
        return True

    def stop(self) -> None:
        """Wait for the end; a process that still works is stopped, since the command is being stopped."""
        if self.is_alive() and self._outcomes.expected:
            self._process.stop()
        if self.ident is not None:
            self.join()


def _work(pipe: Connection, settings: Settings, tags: Mapping[str, str] | None, job: str) -> None:
    """Run in a worker process; stop in silence when the command has been stopped or has died."""
    logging.getLogger("ml_assets.storage").setLevel(logging.ERROR)  # the closing table names what was refused
    try:
        with open_instance(settings) as instance:
            defs = build_defs(settings=settings)
            while True:
                symbol, assets = pipe.recv()
                pipe.send(run_job(defs, instance, job, partition=symbol, assets=assets, tags=tags))
    except (KeyboardInterrupt, EOFError, OSError):
        pass
