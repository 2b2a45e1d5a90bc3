"""Trailing-window reductions whose every result depends on its own window and on nothing else.

The usual rolling sum carries a running total: yesterday's total plus today's value minus the value that
left. Its last bits then depend on everything that came before, and a difference of two large totals can
lose all its digits. Here a window is added up as a fixed tree of its own values (1, 2, 4, ... neighbors),
so equal windows give bit-equal results wherever they stand, in ``log2(window)`` passes over the array.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

__all__ = ["Floats", "lag", "window_max", "window_mean", "window_min", "window_sum"]

Floats = NDArray[np.float64]
_Combine = Callable[[Floats, Floats], Floats]


def window_sum(values: Floats, window: int) -> Floats:
    """Sum of the last `window` values, today included.

    Parameters
    ----------
    values : ndarray, shape (n,)
        A NaN spoils only the windows that contain it.
    window : int
        At least 1.

    Returns
    -------
    ndarray, shape (n,)
        NaN in the first ``window - 1`` places.
    """
    return _reduce(values, window, np.add)


def window_mean(values: Floats, window: int) -> Floats:
    """Mean of the last `window` values; NaN in the first ``window - 1`` places."""
    return window_sum(values, window) / window


def window_max(values: Floats, window: int) -> Floats:
    """Largest of the last `window` values; NaN in the first ``window - 1`` places."""
    return _reduce(values, window, np.maximum)


def window_min(values: Floats, window: int) -> Floats:
    """Smallest of the last `window` values; NaN in the first ``window - 1`` places."""
    return _reduce(values, window, np.minimum)


def lag(values: Floats, days: int) -> Floats:
    """The value of `days` (0 or more) rows ago; NaN where there is none.

    Raises
    ------
    ValueError
        If `days` is negative: that would be a look into the future.
    """
    if days < 0:
        raise ValueError(f"a lag of {days} rows reads the future; give 0 or more")
    out = np.full(len(values), np.nan)
    out[days:] = values[: len(values) - days] if days <= len(values) else values[:0]
    return out


def _reduce(values: Floats, window: int, combine: _Combine) -> Floats:
    """Combine each window as a tree over its binary digits, in the same order for every window."""
    if window < 1:
        raise ValueError(f"window must be at least 1, got {window}")
    n = len(values)
    out = np.full(n, np.nan)
    if n < window:
        return out
    block, size = values, 1  # block[i] combines values[i : i + size]
    total, done = values[:0], 0  # total[i] combines values[i : i + done]
    for digit in range(window.bit_length()):
        if window >> digit & 1:
            kept = n - done - size + 1
            total = combine(total[:kept], block[done : done + kept]) if done else block[:kept]
            done += size
        if done < window:
            block = combine(block[:-size], block[size:])
            size *= 2
    out[window - 1 :] = total
    return out
