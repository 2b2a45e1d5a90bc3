"""Ctrl-C and SIGTERM: finish the step at hand, save, then let the signal do what it would have done."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

__all__ = ["StopRequest", "deliver", "stop_on_signal"]

logger = logging.getLogger(__name__)

_WATCHED = (signal.SIGINT, signal.SIGTERM)


@dataclass
class StopRequest:
    """Whether a signal has asked to stop, and which: 0 is none."""

    signum: int = 0

    @property
    def name(self) -> str:
        """Name of the signal, for instance ``'SIGTERM'``."""
        return signal.Signals(self.signum).name if self.signum else ""


@contextmanager
def stop_on_signal() -> Iterator[StopRequest]:
    """Note the first Ctrl-C or SIGTERM instead of dying of it; a second one acts at once.

    Outside the main thread Python allows no signal handlers: there the request never comes, and the
    process' own handlers stay in force. A signal that the process ignores stays ignored.

    Yields
    ------
    StopRequest
        Look at its `signum` between steps. After the block, hand it to :func:`deliver`.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    before: dict[signal.Signals, Any] = {}

    def note(signum: int, _frame: FrameType | None) -> None:
        if request.signum:
            _restore(before)
            signal.raise_signal(signum)
            return
        request.signum = signum
        logger.warning("%s received: stopping after this step; send it again to stop at once", request.name)

    for signum in _WATCHED:
        # What the process ignores, as in the background of a shell, could not act in the end.
        if signal.getsignal(signum) is not signal.SIG_IGN:
            before[signum] = signal.signal(signum, note)
    try:
        yield request
    finally:
        _restore(before)


def deliver(request: StopRequest) -> None:
    """Let a noted signal act: Ctrl-C interrupts, SIGTERM exits with status 143 and runs ``finally`` blocks.

    A handler that the program itself has installed is called instead, and may return.
    """
    if not request.signum:
        return
    if request.signum == signal.SIGTERM and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        raise SystemExit(128 + request.signum)
    signal.raise_signal(request.signum)


def _restore(before: dict[signal.Signals, Any]) -> None:
    for signum, handler in before.items():
        # None: installed by C code, which Python cannot put back
        signal.signal(signum, signal.SIG_DFL if handler is None else handler)
