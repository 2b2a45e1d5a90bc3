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

__all__ = ["Floats", "TrailingSums", "lag", "window_max", "window_mean", "window_min", "window_sum"]

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
    return _reduce([values], window, np.add)


def window_mean(values: Floats, window: int) -> Floats:
    """Mean of the last `window` values; NaN in the first ``window - 1`` places."""
    return window_sum(values, window) / window


def window_max(values: Floats, window: int) -> Floats:
    """Largest of the last `window` values; NaN in the first ``window - 1`` places."""
    return _reduce([values], window, np.maximum)


def window_min(values: Floats, window: int) -> Floats:
    """Smallest of the last `window` values; NaN in the first ``window - 1`` places."""
    return _reduce([values], window, np.minimum)


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


class TrailingSums:
    """Sums and means of one series over several windows, which share the blocks that they are made of.

    Parameters
    ----------
    values : ndarray, shape (n,)
        A NaN spoils only the windows that contain it.
    """

    def __init__(self, values: Floats) -> None:
        self._blocks = [values]

    def sum(self, window: int) -> Floats:
        """As `window_sum`, to the last bit."""
        return _reduce(self._blocks, window, np.add)

    def mean(self, window: int) -> Floats:
        """As `window_mean`, to the last bit."""
        return self.sum(window) / window


def _reduce(blocks: list[Floats], window: int, combine: _Combine) -> Floats:
    """Combine each window as a tree over its binary digits, in the same order for every window.

    ``blocks[k][i]`` combines ``values[i : i + 2**k]``; `blocks` begins with the values alone, and those that
    this window needs are added.
    """
    if window < 1:
        raise ValueError(f"window must be at least 1, got {window}")
    n = len(blocks[0])
    out = np.full(n, np.nan)
    if n < window:
        return out
    total, done = blocks[0][:0], 0  # total[i] combines values[i : i + done]
    for digit in range(window.bit_length()):
        if digit == len(blocks):
            last, size = blocks[-1], 1 << (digit - 1)
            blocks.append(combine(last[:-size], last[size:]))
        if window >> digit & 1:
            kept = n - done - (1 << digit) + 1
            block = blocks[digit][done : done + kept]
            total = combine(total[:kept], block) if done else block
            done += 1 << digit
    out[window - 1 :] = total
    return out
