"""Which days become sequences, and the ledger that says for each one what it read and what it answers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ml_assets.windows.rolling import Floats
from ml_assets.windows.splits import SPLITS

__all__ = ["LEDGER_COLUMNS", "build_ledger", "split_column", "tradable_rows", "training_days"]

LEDGER_COLUMNS = ("position", "first_day", "as_of", "label_end", "split")

SPLIT_TYPE = pd.CategoricalDtype(list(SPLITS))


def tradable_rows(features: NDArray[np.floating], returns: Floats, window: int) -> NDArray[np.int64]:
    """Days on which a sequence ends: the last `window` days have all features, and the label is known.

    Parameters
    ----------
    features : ndarray, shape (n_days, F)
    returns : ndarray, shape (n_days,)
        Labels.
    window : int

    Returns
    -------
    ndarray of int, shape (n,)
        Positions in increasing order.
    """
    days = np.arange(len(features))
    complete = np.isfinite(features).all(axis=1)
    last_gap = np.maximum.accumulate(np.where(complete, -1, days)) if len(days) else days
    return np.flatnonzero((days - last_gap >= window) & np.isfinite(returns))


def build_ledger(
    dates: NDArray[np.datetime64],
    positions: NDArray[np.int64],
    splits: NDArray[np.str_],
    window: int,
    horizon: int,
) -> pd.DataFrame:
    """Write down, for each sequence, its days and its part.

    Parameters
    ----------
    dates : ndarray of datetime64[D], shape (n_days,)
    positions : ndarray of int, shape (n,)
        Position of each sequence's as-of day, the last day that it reads.
    splits : ndarray of str, shape (n,)
    window, horizon : int

    Returns
    -------
    DataFrame
        Columns `LEDGER_COLUMNS`; days as datetime64[s].
    """
    days: dict[str, Any] = {
        "first_day": dates[positions - window + 1],
        "as_of": dates[positions],
        "label_end": dates[positions + horizon],
    }
    columns = {name: value.astype("datetime64[s]") for name, value in days.items()}
    return pd.DataFrame({"position": positions, **columns, "split": split_column(splits)}, copy=False)


def split_column(splits: NDArray[np.str_]) -> pd.Categorical:
    """Store the names of the parts as categories; a name that is none of `SPLITS` becomes missing."""
    codes = np.full(len(splits), -1, dtype=np.int8)
    for code, name in enumerate(SPLITS):
        codes[splits == name] = code
    return pd.Categorical.from_codes(codes, dtype=SPLIT_TYPE)


def training_days(ends: NDArray[np.int64], window: int, n_days: int) -> NDArray[np.bool_]:
    """Mark the days that at least one training window contains, (n_days,); `ends` are their last days."""
    starts = np.bincount(ends - window + 1, minlength=n_days + 1)
    stops = np.bincount(ends + 1, minlength=n_days + 1)
    return np.cumsum(starts - stops)[:n_days] > 0
