"""Comparing feature rows and saying what differs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml_assets.gates._verdict import Violation
from ml_assets.gates.data._changes import day
from ml_assets.prices.history import PriceHistory
from ml_assets.windows.rolling import Floats
from ml_assets.windows.sequence_set import SequenceSet

__all__ = [
    "RELATIVE",
    "Rebuild",
    "bit_equal",
    "columns_of",
    "first_difference",
    "rebuilt",
    "unequal",
    "unequal_bits",
]

Rebuild = Callable[[PriceHistory], SequenceSet]
RELATIVE = 1.3e-7
"""One unit in the last place of float32: two float64 values that agree to 1e-9 may be stored so far apart."""
_ABSOLUTE = 1e-12
_VISIBLE = 1e-3  # of a standardized feature


def rebuilt(rebuild: Rebuild, prices: PriceHistory, change: str) -> SequenceSet:
    """Rebuild, and turn a crash into a finding: code that fails on another future depends on it."""
    try:
        return rebuild(prices)
    except Exception as error:
        raise Violation(
            f"{prices.symbol}: the pipeline builds on the true prices but fails {change}: "
            f"{type(error).__name__}: {error}"
        ) from error


def bit_equal(a: NDArray[Any], b: NDArray[Any]) -> bool:
    """Whether two arrays have the same shape, type and bits (any NaN equals any NaN)."""
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    if a.dtype.kind != "f":
        return bool(np.array_equal(a, b))
    return not unequal_bits(a, b).any()


def unequal_bits(a: NDArray[np.floating], b: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Mark where the values differ at all, a NaN against a number included."""
    different = np.asarray(a != b)
    if different.any():  # hardly ever, but in warm-up rows: so only these few are asked for NaN
        different[different] = ~(np.isnan(a[different]) & np.isnan(b[different]))
    return different


def unequal(
    a: NDArray[np.floating], b: NDArray[np.floating], spread: Floats | None = None
) -> NDArray[np.bool_]:
    """Mark where the values differ by more than the rounding of float32.

    Parameters
    ----------
    a, b : ndarray, shape (rows, columns)
    spread : ndarray, shape (columns,), optional
        What each column is divided by before a model reads it. A rounding error that this would blow up
        (a column of 1000 plus or minus its last digit) counts as a difference.
    """
    different = unequal_bits(a, b)
    if different.any():
        with np.errstate(invalid="ignore"):
            apart = np.abs(a[different] - b[different])
            close = apart <= RELATIVE * np.abs(b[different]) + _ABSOLUTE
            if spread is not None:
                close &= apart <= _VISIBLE * np.broadcast_to(spread, a.shape)[different]
        different[different] = ~close
    return different


def columns_of(staged: SequenceSet, other: SequenceSet) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Columns of the features that both sets have, matched by name."""
    if staged.feature_names == other.feature_names:
        same = np.arange(len(staged.feature_names))
        return same, same
    place = {name: k for k, name in enumerate(other.feature_names)}
    both = [(k, place[name]) for k, name in enumerate(staged.feature_names) if name in place]
    pairs = np.array(both, dtype=np.int64).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def first_difference(
    prices: PriceHistory,
    staged: SequenceSet,
    other: SequenceSet,
    different: NDArray[np.bool_],
    columns: tuple[NDArray[np.int64], NDArray[np.int64]],
) -> str:
    """Name the latest differing feature value: symbol, feature, date and both values.

    Parameters
    ----------
    different : ndarray of bool, shape (rows, len(columns[0]))
        Its rows are the first rows of both feature tables. The latest one lies closest to the cut.
    """
    row = int(np.flatnonzero(different.any(axis=1))[-1])
    column = int(np.argmax(different[row]))
    mine, theirs = int(columns[0][column]), int(columns[1][column])
    return (
        f"{staged.symbol}: feature {staged.feature_names[mine]!r} on {day(prices, row)} is "
        f"{staged.features[row, mine]!s} as stored but {other.features[row, theirs]!s}"
    )
