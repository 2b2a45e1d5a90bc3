"""Training inside a ``with`` block that always leaves a clean process."""

from __future__ import annotations

import gc
import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from ml_assets.training.errors import TrainingError, advice, classify
from ml_assets.training.recovery import TrainingErrorHandler

__all__ = ["safe_training"]

logger = logging.getLogger(__name__)


@contextmanager
def safe_training(**handler_kwargs: Any) -> Iterator[TrainingErrorHandler]:
    """Give a :class:`TrainingErrorHandler`, and end every training in an orderly way.

    A known failure that leaves the block (out of memory, CUDA, disk full) becomes a
    :class:`TrainingError` that says what to do; other exceptions pass unchanged. SIGTERM ends the block
    like an exception, so that ``finally`` parts run and locks are given back. What a failed training held in
    memory is collected.

    Parameters
    ----------
    **handler_kwargs
        Passed to :class:`TrainingErrorHandler`.

    Yields
    ------
    TrainingErrorHandler

    Raises
    ------
    TrainingError
        From a known failure.

    Examples
    --------
    >>> with safe_training(initial_batch_size=16) as handler:
    ...     handler.current_batch_size
    16
    """
    handler = TrainingErrorHandler(**handler_kwargs)
    with _orderly_sigterm():
        try:
            yield handler
        except Exception as error:
            gc.collect()
            kind = classify(error)
            if kind is None:
                raise
            raise TrainingError(f"training failed: {error}. {advice(kind)}") from error


@contextmanager
def _orderly_sigterm() -> Iterator[None]:
    """Turn a SIGTERM that nobody handles into ``SystemExit(143)``."""
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return

    def leave(signum: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + signum)

    signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
