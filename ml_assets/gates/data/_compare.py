"""Comparing feature rows and saying what differs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml_assets.gates._verdict import Violation, require
from ml_assets.gates.data._changes import day
from ml_assets.prices.history import PriceHistory
from ml_assets.windows.rolling import Floats
from ml_assets.windows.sequence_set import SequenceSet

__all__ = [
    "RELATIVE",
    "Rebuild",
    "bit_equal",
    "columns_of",
    "rebuilt",
    "require_same_features",
    "require_same_labels",
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


def unequal_bits(a: NDArray[Any], b: NDArray[Any]) -> NDArray[np.bool_]:
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


def require_same_features(
    prices: PriceHistory,
    staged: SequenceSet,
    other: SequenceSet,
    rows: slice,
    change: str,
    *,
    exact: bool = False,
) -> int:
    """Require that the features which both sets have are the same on these days.

    Parameters
    ----------
    prices : PriceHistory
        Names the days.
    staged, other : SequenceSet
        As stored, and as built after a change of the prices.
    rows : slice
        Positions of the days, with a start.
    change : str
        Ends the finding.
    exact : bool
        To the bit; else up to the rounding of float32, see `unequal`.

    Returns
    -------
    int
        Values compared.

    Raises
    ------
    Violation
        Names the latest value that differs, which lies closest to the change: symbol, feature, date, values.
    """
    columns = columns_of(staged, other)
    require(len(columns[0]) > 0, f"{staged.symbol}: no feature of the artifact is left {change}")
    mine, theirs = staged.features[rows, columns[0]], other.features[rows, columns[1]]
    different = unequal_bits(mine, theirs) if exact else unequal(mine, theirs, staged.scale[columns[0]])
    if different.any():
        row = int(np.flatnonzero(different.any(axis=1))[-1])
        column = int(np.argmax(different[row]))
        raise Violation(
            f"{staged.symbol}: feature {staged.feature_names[columns[0][column]]!r} on "
            f"{day(prices, rows.start + row)} is {mine[row, column]!s} as stored but "
            f"{theirs[row, column]!s} {change}"
        )
    return int(different.size)


def require_same_labels(
    prices: PriceHistory, staged: SequenceSet, other: SequenceSet, known: int, change: str
) -> None:
    """Require that the labels of the first `known` days are the same, to the bit; else name the latest."""
    wrong = np.flatnonzero(unequal_bits(staged.returns[:known], other.returns[:known]))
    if len(wrong):
        row = int(wrong[-1])
        raise Violation(
            f"{staged.symbol}: the label of {day(prices, row)} is {staged.returns[row]} as stored but "
            f"{other.returns[row]} {change}, although it ends before: it reads beyond its horizon"
        )
