"""Prepare the data of several symbols at once: a process per core, each with its share of the symbols."""

from __future__ import annotations

import logging
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any, Self

from orchestration.definitions import DATA_ASSETS, build_defs
from orchestration.fleet import RunOutcome, run_job
from orchestration.instance import open_instance
from orchestration.settings import Settings

__all__ = ["prepare_data"]

logger = logging.getLogger(__name__)

Prepare = Callable[[str], RunOutcome]


def prepare_data(
    settings: Settings, symbols: Sequence[str], prepare: Prepare
) -> Iterator[tuple[str, RunOutcome]]:
    """Run the data assets of every symbol; yield each outcome as soon as it is seen.

    Parameters
    ----------
    settings : Settings
        They say how many processes there may be, this one included.
    symbols : sequence of str
    prepare : callable
        Runs one symbol in this process: its own share, and the symbols whose worker died.
    """
    count = max(1, min(_processes(settings), len(symbols)))
    shares = [symbols[i::count] for i in range(count)]
    waiting = list(symbols)
    for symbol, outcome in _in_shares(settings, shares, prepare):
        waiting.remove(symbol)
        yield symbol, outcome
    if waiting:
        logger.warning("a worker process died; this one prepares its symbols: %s", ", ".join(waiting))
        open_instance(settings).dispose()  # closes its run: readers wait for what that has announced
    for symbol in waiting:
        yield symbol, prepare(symbol)


def _in_shares(
    settings: Settings, shares: Sequence[Sequence[str]], prepare: Prepare
) -> Iterator[tuple[str, RunOutcome]]:
    """Prepare the first share here, the others in workers; a worker that dies answers no more."""
    with _Workers(settings, shares[1:]) as workers:
        for symbol in shares[0]:
            yield symbol, prepare(symbol)
            yield from workers.outcomes(wait_seconds=0)
        while workers.open_ends:
            yield from workers.outcomes(wait_seconds=None)


def _processes(settings: Settings) -> int:
    if settings.prices.startswith("yfinance:"):
        return 1  # every process would download everything
    return settings.workers or os.cpu_count() or 1


class _Workers:
    """Processes with a share of the symbols each, and the ends of the pipes that they answer through."""

    def __init__(self, settings: Settings, shares: Sequence[Sequence[str]]) -> None:
        context = multiprocessing.get_context("spawn")  # a fork of a process with threads may deadlock
        self.open_ends: list[Connection[Any, Any]] = []
        self._processes = []
        for share in shares:
            receiver, sender = context.Pipe(duplex=False)
            process = context.Process(target=_work, args=(sender, settings, share), daemon=True)
            process.start()
            sender.close()  # so that the end of the process is the end of the pipe
            self._processes.append(process)
            self.open_ends.append(receiver)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.terminate()
            process.join()

    def outcomes(self, wait_seconds: float | None) -> Iterator[tuple[str, RunOutcome]]:
        """Yield what has arrived, after waiting for it so long; ``None`` is for ever."""
        ready = wait(self.open_ends, wait_seconds)
        for receiver in [end for end in self.open_ends if end in ready]:
            try:
                yield receiver.recv()
            except (EOFError, OSError):  # it has ended, perhaps amid a message
                self.open_ends.remove(receiver)


def _work(sender: Connection, settings: Settings, symbols: Sequence[str]) -> None:
    """Run in a worker process; stop in silence when the command has been stopped or has died."""
    logging.getLogger("ml_assets.storage").setLevel(logging.ERROR)  # the closing table names what was refused
    try:
        with open_instance(settings) as instance:
            defs = build_defs(settings=settings)
            for symbol in symbols:
                outcome = run_job(defs, instance, "symbol_pipeline", partition=symbol, assets=DATA_ASSETS)
                sender.send((symbol, outcome))
    except (KeyboardInterrupt, BrokenPipeError):
        pass
