"""What a forecast must beat: rules that need no model."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["ar1_forecast", "majority_forecast", "persistence_forecast"]

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


def majority_forecast(train_returns: Floats, n: int) -> Bools:
    """Forecast for all ``n`` days the direction that was more frequent in training; a tie is up."""
    return np.full(n, np.mean(train_returns > 0) >= 0.5)


def persistence_forecast(last_returns: Floats) -> Bools:
    """Forecast the direction of the last known return, shape (n,)."""
    return last_returns > 0


def ar1_forecast(train_last: Floats, train_next: Floats, last_returns: Floats) -> Bools:
    """Forecast by a straight line from the last return to the next, fitted on training days.

    Parameters
    ----------
    train_last, train_next : ndarray, shape (m,)
        Last known and following return of each training day.
    last_returns : ndarray, shape (n,)
        Last known return of the days to forecast.
    """
    centered = train_last - train_last.mean()
    spread = float(centered @ centered)
    slope = float(centered @ train_next) / spread if spread > 0 else 0.0
    return np.asarray(train_next.mean() + slope * (last_returns - train_last.mean()) > 0, dtype=bool)
