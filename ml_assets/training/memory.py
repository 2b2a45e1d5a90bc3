"""What to do when the accelerator runs out of memory: halve the batch."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

from ml_assets.training.errors import advice, classify

__all__ = ["RecoveryState", "handle_gpu_oom"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RecoveryState:
    """Batch size in force and how often it has been lowered.

    Parameters
    ----------
    batch_size : int
        Rows per step.
    attempts : int
        Reductions so far.
    min_batch_size : int
        Smallest batch that is tried.
    """

    batch_size: int = 32
    attempts: int = 0
    min_batch_size: int = 8


def handle_gpu_oom(exception: BaseException, state: RecoveryState) -> RecoveryState | None:
    """Choose the next batch size after running out of memory.

    Parameters
    ----------
    exception : BaseException
        What training raised.
    state : RecoveryState
        The state that failed.

    Returns
    -------
    RecoveryState or None
        The state to try next, with half the batch; ``None`` if the smallest batch has failed too.

    Raises
    ------
    ValueError
        If `exception` does not say that memory ran out.

    Examples
    --------
    >>> handle_gpu_oom(MemoryError(), RecoveryState(32))
    RecoveryState(batch_size=16, attempts=1, min_batch_size=8)
    >>> handle_gpu_oom(MemoryError(), RecoveryState(8, attempts=2)) is None
    True
    """
    if classify(exception) != "oom":
        raise ValueError(f"this is not an out-of-memory error: {exception!r}; raise it again") from exception
    if state.batch_size <= state.min_batch_size:
        logger.error("out of memory at the smallest batch size %d. %s", state.batch_size, advice("oom"))
        return None
    smaller = max(state.batch_size // 2, state.min_batch_size)
    logger.warning(
        "out of memory at batch size %d; trying again with %d. %s", state.batch_size, smaller, advice("oom")
    )
    return replace(state, batch_size=smaller, attempts=state.attempts + 1)
