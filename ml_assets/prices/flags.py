"""What deserves a look in a clean history. Nothing here changes a row."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml_assets.prices.report import Tally

__all__ = ["flag_rows"]

_STALE = 5
_LONG_GAP_DAYS = 10
_SPLITS = (2, 3, 4, 5, 6, 7, 8, 10, 15, 20, 25, 30, 50, 1.5)
_UNITS = (100, 1000)
_NEAR = 0.03
_REVERSED = 0.05


def flag_rows(frame: pd.DataFrame, large_move: float) -> dict[str, Tally]:
    """Point out rows that may be wrong and may as well be true.

    All flags look at the day and at days before it, with one exception: ``reverted next day`` looks one day
    ahead. It is the best sign of a bad print, and it may serve only here, in a report, because a row must not
    be judged by its future.

    Parameters
    ----------
    frame : pandas.DataFrame
        A clean frame, index ``date``.
    large_move : float
        Absolute daily return from which a move is large, for instance 0.25.

    Returns
    -------
    dict of str to Tally
        Only flags that occur.
    """
    dates, close = frame.index.to_numpy(), frame["close"].to_numpy()
    ratio = np.r_[1.0, close[1:] / close[:-1]]
    large = np.abs(ratio - 1) > large_move
    masks = {
        "large move": large,
        "looks like a split": large & _near(ratio, _SPLITS),
        "looks like a change of unit": large & _near(ratio, _UNITS),
        "reverted next day": large & np.r_[np.abs(ratio[1:] * ratio[:-1] - 1) < _REVERSED, False],
        "same close for five days or more": _stale(close),
        "long gap before": np.r_[False, np.diff(dates) > np.timedelta64(_LONG_GAP_DAYS, "D")],
        "week end": pd.DatetimeIndex(frame.index).day_of_week.to_numpy() >= 5,
    }
    if "volume" in frame:
        masks["zero volume"] = (frame["volume"] == 0).to_numpy()
        masks["volume missing"] = frame["volume"].isna().to_numpy()
    bars = [name for name in ("open", "high", "low") if name in frame]
    for name in bars:
        masks[f"{name} missing"] = frame[name].isna().to_numpy()
    if len(bars) == 3:
        opened, high, low = (frame[name].to_numpy() for name in bars)
        masks["flat bar"] = (high == low) & (opened == close)
    return {name: Tally.of_dates(dates[mask]) for name, mask in masks.items() if mask.any()}


def _near(ratio: npt.NDArray[np.float64], factors: tuple[float, ...]) -> npt.NDArray[np.bool_]:
    """Tell which ratios are near a factor or near its inverse."""
    found = np.zeros(len(ratio), dtype=bool)
    for factor in factors:
        found |= (np.abs(ratio / factor - 1) < _NEAR) | (np.abs(ratio * factor - 1) < _NEAR)
    return found


def _stale(close: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Tell on which days the close is, for the fifth day or more, the same."""
    start = np.r_[True, close[1:] != close[:-1]]
    return pd.Series(close).groupby(np.cumsum(start)).cumcount().to_numpy() >= _STALE - 1
