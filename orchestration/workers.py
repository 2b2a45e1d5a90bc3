"""Prepare the data of several symbols at once: a process per core, each with its share of the symbols."""

from __future__ import annotations

import logging
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from multiprocessing.connection import Connection, wait

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
    """Run the data assets of every symbol; yield each outcome as soon as it is there.

    Parameters
    ----------
    settings : Settings
        They say how many processes there may be.
    symbols : sequence of str
    prepare : callable
        Runs one symbol in this process: all of them if there is one worker, else those whose worker died.
    """
    count = min(_workers(settings), len(symbols))
    done = set()
    if count > 1:
        for symbol, outcome in _in_processes(settings, [symbols[i::count] for i in range(count)]):
            done.add(symbol)
            yield symbol, outcome
    left = [symbol for symbol in symbols if symbol not in done]
    if left and count > 1:
        logger.warning("a worker process died; its symbols are prepared in this one: %s", ", ".join(left))
        open_instance(settings).dispose()  # closes its run: readers wait for what that has announced
    for symbol in left:
        yield symbol, prepare(symbol)


def _workers(settings: Settings) -> int:
    if settings.prices.startswith("yfinance:"):
        return 1  # every process would download everything
    return settings.workers or os.cpu_count() or 1


def _in_processes(settings: Settings, shares: Sequence[Sequence[str]]) -> Iterator[tuple[str, RunOutcome]]:
    context = multiprocessing.get_context("spawn")  # a fork of a process with threads may deadlock
    with ExitStack() as stack:
        open_ends = []
        for share in shares:
            receiver, sender = context.Pipe(duplex=False)
            process = context.Process(target=_work, args=(sender, settings, share), daemon=True)
            process.start()
            sender.close()  # so that the end of the process is the end of the pipe
            stack.callback(process.join)
            stack.callback(process.terminate)
            open_ends.append(receiver)
        while open_ends:
            ready = wait(open_ends)
            for receiver in [end for end in open_ends if end in ready]:
                try:
                    yield receiver.recv()
                except EOFError:
                    open_ends.remove(receiver)


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
