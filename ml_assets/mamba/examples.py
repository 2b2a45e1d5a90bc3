"""What a training draws from its rows: targets, the windows of an epoch, the windows that are scored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ml_assets.mamba.config import TrainingRecipe

__all__ = ["Examples", "check_windows", "drawn_rows", "standardized_targets"]

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Examples:
    """What a training learns from and what it is stopped by.

    Parameters
    ----------
    draw : callable
        ``(rng) -> (X, targets)``: the windows of one epoch, (n, L, F) and (n, L, 2), `n` a multiple of the
        batch size.
    check : tuple of ndarray
        Windows and targets of the validation rows.
    """

    draw: Callable[[np.random.Generator], tuple[Floats, Floats]]
    check: tuple[Floats, Floats]


def standardized_targets(step_returns: NDArray[np.float64], center: float, scale: float) -> Floats:
    """Stack direction (1 up, 0 not, NaN unknown) and standardized return: (..., L) -> (..., L, 2)."""
    up = np.where(np.isfinite(step_returns), step_returns > 0, np.nan)
    return np.stack([up, (step_returns - center) / scale], axis=-1).astype(np.float32)


def drawn_rows(
    number: NDArray[np.int64], recipe: TrainingRecipe, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Choose the rows of one epoch: every `stride`-th by `number` from a random offset, in full batches.

    Parameters
    ----------
    number : ndarray (n,)
        Position of each row in its symbol's order; a copy has its parent's.

    Returns
    -------
    ndarray (m,)
        Shuffled; `m` is a multiple of the batch size, the last batch being filled from the first rows.
    """
    stride = min(recipe.stride, max(1, (int(number.max()) + 1) // recipe.batch_size))
    rows = rng.permutation(np.flatnonzero(number % stride == rng.integers(stride)))
    batches = -(-len(rows) // recipe.batch_size)
    return np.resize(rows, batches * recipe.batch_size)


def check_windows(
    rows: NDArray[np.int64], window: int, burn_in: int
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Choose windows whose steps from `burn_in` on score every validation row once.

    Parameters
    ----------
    rows : ndarray (n,)
        Day of each validation row, increasing.
    window, burn_in : int

    Returns
    -------
    ends : ndarray (m,)
        Last day of each window.
    scored : ndarray of bool (m, window)
        Which of its steps count. A day that is no validation row never does.
    """
    left = np.zeros(int(rows[-1]) + 1, bool)
    left[rows] = True
    ends, scored = [], []
    while left.any():
        end = int(np.flatnonzero(left)[-1])
        days = np.arange(end - window + 1, end + 1)
        counts = left[np.maximum(days, 0)] & (days >= 0) & (np.arange(window) >= burn_in)
        left[days[counts]] = False
        ends.append(end)
        scored.append(counts)
    return np.array(ends), np.array(scored)
