"""All baselines of variance at once, fitted on what was known before a fold's test days."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ml_assets.forecasts.variance.baselines import (
    ewma_forecast,
    fit_decay,
    fit_har,
    fit_har_qlike,
    har_forecast,
    squared_returns,
)
from ml_assets.forecasts.variance.garch import fit_garch, garch_forecast
from ml_assets.windows.rolling import Floats
from ml_assets.windows.sequence_set import SequenceSet

__all__ = ["BASELINES", "known_rows", "range_variances", "rival_forecasts"]

BASELINES = ("mean", "ewma", "ewma_fitted", "garch", "har", "har_qlike", "har_range")
"""Names of the baselines; ``har_range`` only where the prices have open, high and low."""


def known_rows(sequences: SequenceSet, horizon: int) -> tuple[NDArray[np.int64], int]:
    """Rows that baselines are fitted on, and the last day known then, by position.

    They need no validation, so they also get the validation rows, and the purged ones between: a baseline
    with less data than there is would be no honest rival.
    """
    last = int(sequences.positions("validation")[-1]) + sequences.horizon
    rows = np.arange(int(sequences.positions("train")[0]), last - horizon + 1)
    return rows, last


def range_variances(frame: pd.DataFrame) -> Floats | None:
    """Variance of each day from open, high, low and close; None where a source has closes alone.

    The square of the overnight move plus the estimate of Garman and Klass (1980, Journal of Business
    53(1)), with a fraction of the noise of a squared return; that square on days with a missing column.
    """
    if not {"open", "high", "low"} <= set(frame.columns):
        return None
    opening, high, low, close = (frame[name].to_numpy() for name in ("open", "high", "low", "close"))
    gap = np.concatenate([[np.nan], np.log(opening[1:] / close[:-1])])
    inside = 0.5 * np.log(high / low) ** 2 - (2.0 * np.log(2.0) - 1.0) * np.log(close / opening) ** 2
    measured = gap**2 + np.maximum(inside, 0.0)
    return np.where(np.isfinite(measured), measured, squared_returns(close))


def rival_forecasts(
    frame: pd.DataFrame, sequences: SequenceSet, labels: Floats, horizons: tuple[int, ...]
) -> list[dict[str, Floats]]:
    """Forecasts of every baseline for every day of a fold, by horizon.

    Parameters
    ----------
    frame : DataFrame
        Prices of the whole history; days after the fold are cut off.
    sequences : SequenceSet
        The fold.
    labels : ndarray, shape (>= n_days, H)
        Realized variance; used on the known rows alone.
    horizons : tuple of int, length H

    Returns
    -------
    list of dict of str to ndarray, shape (n_days,)
    """
    frame = frame.iloc[: len(sequences.dates)]
    closes = frame["close"].to_numpy(dtype=np.float64)
    squares, ranges = squared_returns(closes), range_variances(frame)
    _, last = known_rows(sequences, 1)
    garch = fit_garch(np.diff(np.log(closes[: last + 1])))
    found = []
    for i, h in enumerate(horizons):
        rows, _ = known_rows(sequences, h)
        known = labels[: len(closes), i]
        level = float(np.mean(known[rows]))
        forecasts = {
            "mean": np.full(len(closes), level),
            "ewma": ewma_forecast(squares, h),
            "ewma_fitted": ewma_forecast(squares, h, fit_decay(squares, known, rows, h)),
            "garch": garch_forecast(squares, garch, h),
            "har": har_forecast(squares, fit_har(squares, known, rows), level),
            "har_qlike": har_forecast(squares, fit_har_qlike(squares, known, rows), level),
        }
        if ranges is not None:
            forecasts["har_range"] = har_forecast(ranges, fit_har_qlike(ranges, known, rows), level)
        found.append(forecasts)
    return found
