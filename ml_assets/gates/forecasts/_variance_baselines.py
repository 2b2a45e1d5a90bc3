"""The baselines of variance once more, from closes: the product proposes fits, all else is the gate's own."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import lsq_linear

from ml_assets.forecasts.variance.baselines import fit_decay, fit_har_qlike
from ml_assets.forecasts.variance.garch import fit_garch
from ml_assets.gates.forecasts._variance_fits import (
    garch_path,
    har_table,
    loop,
    require_decay,
    require_garch,
    require_har,
)
from ml_assets.windows.sequence_set import SequenceSet

__all__ = ["EXACT", "NEAR", "recomputed_rivals"]

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.intp]

# Rules are fitted by the same search (and judged by another), but on sums that differ in their last bits.
NEAR = {"har_qlike": 1e-4, "har_range": 1e-4}
"""Room for the mean log of a forecast and for its loss [nats], by baseline; `EXACT` for the others."""
EXACT = 1e-6


def recomputed_rivals(
    symbol: str, frame: pd.DataFrame, folds: Sequence[SequenceSet], at: Sequence[Places], h: int
) -> dict[str, Floats]:
    """Forecasts of the baselines for the scored days.

    Parameters
    ----------
    symbol : str
    frame : DataFrame
        The raw prices.
    folds : sequence of SequenceSet
        Give the days that were known before each fold's test days.
    at : sequence of ndarray of int
        Positions of the scored days of each fold.
    h : int
        Horizon.

    Raises
    ------
    Violation
        If the product's fit of a rule is not the best on those days, see `_variance_fits`.
    """
    close = frame["close"].to_numpy()
    energy = pd.Series(close).apply(np.log).diff().pow(2)
    squares = energy.to_numpy()
    ahead = np.convolve(squares[1:], np.ones(h), mode="valid")
    ranges = _ranges(frame, energy) if {"open", "high", "low"} <= set(frame.columns) else None
    found: dict[str, list[Floats]] = {}
    for number, (fold, places) in enumerate(zip(folds, at, strict=True), 1):
        first, end = fold.positions("train")[0], fold.positions("validation")[-1] + fold.horizon
        known = np.arange(first, end - h + 1)
        outcome, level = ahead[known], float(ahead[known].mean())
        # What proposes is handed nothing of the days after `end`.
        past, told = squares[: end + 1], ahead[: end - h + 1]
        of = f"{symbol} fold {number} over {h} day(s)"
        garch = _judged_garch(f"{symbol} fold {number}", close[: end + 1].tobytes())
        decay = fit_decay(past, told, known, h)
        require_decay(of, past, outcome, known, h, decay)

        forecasts = {
            "mean": np.full(len(close), level),
            "ewma": h * loop(squares, 0.0, 0.06, 0.94),
            "ewma_fitted": h * loop(squares, 0.0, 1 - decay, decay),
            "garch": garch_path(squares, *garch, h),
            "har": _least_squares(squares, outcome, known, level),
            "har_qlike": _by_qlike(of, squares, told, known),
        }
        if ranges is not None:
            forecasts["har_range"] = _by_qlike(of, ranges, told, known)
        for name, values in forecasts.items():
            found.setdefault(name, []).append(values[places])
    return {name: np.concatenate(parts) for name, parts in found.items()}


@lru_cache(maxsize=16)
def _judged_garch(of: str, closes: bytes) -> tuple[float, float, float]:
    """Fit and judge once for all horizons."""
    returns = np.diff(np.log(np.frombuffer(closes)))
    fitted = fit_garch(returns)
    require_garch(of, np.square(returns), fitted.omega, fitted.alpha, fitted.beta)
    return fitted.omega, fitted.alpha, fitted.beta


def _by_qlike(of: str, days: Floats, told: Floats, known: Places) -> Floats:
    table, weights = har_table(days), fit_har_qlike(days[: len(told)], told, known)
    require_har(of, table[known], told[known], weights)
    return np.asarray(table @ weights)


def _least_squares(days: Floats, outcome: Floats, known: Places, level: float) -> Floats:
    """Convex, so it has one best fit; the product's algorithm for it is another."""
    table = har_table(days) * [1.0, 1 / level, 1 / level, 1 / level]
    weights = lsq_linear(table[known], outcome / level, bounds=(0, np.inf), method="bvls").x
    return np.maximum(table @ weights, 1e-3) * level


def _ranges(frame: pd.DataFrame, energy: pd.Series) -> Floats:
    opening, high, low, close = (
        pd.Series(np.log(frame[c].to_numpy())) for c in ("open", "high", "low", "close")
    )
    inside = 0.5 * (high - low).pow(2) - (2 * np.log(2) - 1) * (close - opening).pow(2)
    measured = (opening - close.shift(1)).pow(2) + inside.clip(lower=0)
    return np.asarray(measured.fillna(energy))
