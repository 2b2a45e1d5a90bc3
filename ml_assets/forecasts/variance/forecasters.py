"""The baselines of variance: rules with four parameters or fewer.

A forecast is the variance of the returns over each horizon, in squared log returns.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ml_assets.forecasts.forecaster import Baseline, FoldRows, Forecaster
from ml_assets.forecasts.variance.baselines import (
    ewma_forecast,
    fit_decay,
    fit_har,
    fit_har_qlike,
    har_forecast,
    squared_returns,
)
from ml_assets.forecasts.variance.garch import Garch, fit_garch, garch_forecast
from ml_assets.storage.artifact import JsonArtifact
from ml_assets.windows.labels import forward_variance
from ml_assets.windows.rolling import Floats
from ml_assets.windows.sequence_set import SequenceSet

__all__ = ["BASELINES", "known_rows", "range_variances"]

Rows = NDArray[np.int64]
_RANGE = frozenset({"open", "high", "low", "close"})


@dataclass(frozen=True)
class Mean(JsonArtifact):
    """The mean outcome of the known days, at each horizon."""

    levels: list[float]

    def forecast(self, rows: FoldRows) -> Floats:
        """Repeat it, shape (n, H)."""
        return np.tile(np.array(self.levels), (rows.days.size, 1))


@dataclass(frozen=True)
class Ewma(JsonArtifact):
    """Exponentially weighted mean of the squared returns, with a decay for each horizon."""

    decays: list[float]

    def forecast(self, rows: FoldRows) -> Floats:
        """Variances, shape (n, H)."""
        squares = squared_returns(rows.closes)
        pairs = zip(rows.horizons, self.decays, strict=True)
        return np.column_stack([ewma_forecast(squares, h, decay)[rows.days] for h, decay in pairs])


@dataclass(frozen=True)
class GarchModel(JsonArtifact):
    """GARCH(1,1) with its parameters fixed; longer horizons by iteration."""

    parameters: Garch

    def forecast(self, rows: FoldRows) -> Floats:
        """Variances, shape (n, H)."""
        squares = squared_returns(rows.closes)
        return np.column_stack(
            [garch_forecast(squares, self.parameters, h)[rows.days] for h in rows.horizons]
        )


@dataclass(frozen=True)
class Har(JsonArtifact):
    """Linear in the mean variance of a day, a week and a month, with coefficients for each horizon.

    ``levels`` are the mean outcomes: a forecast is at least a thousandth of them. A day's variance is its
    squared return or, by ``ranges``, measured from open, high and low.
    """

    weights: list[list[float]]
    levels: list[float]
    ranges: bool = False

    def forecast(self, rows: FoldRows) -> Floats:
        """Variances, shape (n, H)."""
        days = _day_variances(rows, ranges=self.ranges)
        pairs = zip(self.weights, self.levels, strict=True)
        return np.column_stack([har_forecast(days, np.array(w), level)[rows.days] for w, level in pairs])


def known_rows(sequences: SequenceSet, horizon: int) -> tuple[Rows, int]:
    """Rows that baselines are fitted on, and the last day known then, by position.

    They need no validation, so they also get the validation rows, and the purged ones between: a baseline
    with less data than there is would be no honest rival.
    """
    last = int(sequences.positions("validation")[-1]) + sequences.horizon
    rows = np.arange(int(sequences.positions("train")[0]), last - horizon + 1)
    return rows, last


def range_variances(frame: pd.DataFrame) -> Floats:
    """Variance of each day from open, high, low and close.

    The square of the overnight move plus the estimate of Garman and Klass (1980, Journal of Business
    53(1)), with a fraction of the noise of a squared return; that square on days with a missing column.
    """
    opening, high, low, close = (frame[name].to_numpy() for name in ("open", "high", "low", "close"))
    gap = np.concatenate([[np.nan], np.log(opening[1:] / close[:-1])])
    inside = 0.5 * np.log(high / low) ** 2 - (2.0 * np.log(2.0) - 1.0) * np.log(close / opening) ** 2
    measured = gap**2 + np.maximum(inside, 0.0)
    return np.where(np.isfinite(measured), measured, squared_returns(close))


def _day_variances(rows: FoldRows, *, ranges: bool) -> Floats:
    return range_variances(rows.frame) if ranges else squared_returns(rows.closes)


def _known(rows: FoldRows) -> Iterator[tuple[int, Floats, Rows]]:
    """By horizon: its days, the outcomes of all days, and the rows whose outcome is known before the test."""
    for h in rows.horizons:
        yield h, forward_variance(rows.closes, h), known_rows(rows.sequences, h)[0]


def _levels(rows: FoldRows) -> list[float]:
    return [float(np.mean(labels[known])) for _, labels, known in _known(rows)]


def _fit_decays(rows: FoldRows) -> Ewma:
    squares = squared_returns(rows.closes)
    return Ewma([fit_decay(squares, labels, known, h) for h, labels, known in _known(rows)])


def _fit_garch(rows: FoldRows) -> GarchModel:
    _, last = known_rows(rows.sequences, 1)
    return GarchModel(fit_garch(np.diff(np.log(rows.closes[: last + 1]))))


def _fit_har(rows: FoldRows) -> Har:
    days = squared_returns(rows.closes)
    weights = [fit_har(days, labels, known).tolist() for _, labels, known in _known(rows)]
    return Har(weights, _levels(rows))


def _fit_har_qlike(rows: FoldRows, *, ranges: bool = False) -> Har:
    days = _day_variances(rows, ranges=ranges)
    weights = [fit_har_qlike(days, labels, known).tolist() for _, labels, known in _known(rows)]
    return Har(weights, _levels(rows), ranges)


BASELINES: tuple[Forecaster, ...] = (
    Baseline("mean", lambda rows: Mean(_levels(rows)), Mean.from_bytes),
    Baseline("ewma", lambda rows: Ewma([0.94] * len(rows.horizons)), Ewma.from_bytes),  # as RiskMetrics
    Baseline("ewma_fitted", _fit_decays, Ewma.from_bytes),
    Baseline("garch", _fit_garch, GarchModel.from_bytes),
    Baseline("har", _fit_har, Har.from_bytes),
    Baseline("har_qlike", _fit_har_qlike, Har.from_bytes),
    Baseline("har_range", lambda rows: _fit_har_qlike(rows, ranges=True), Har.from_bytes, _RANGE),
)
"""What stands beside the model in a report; the last only where prices have open, high and low."""
