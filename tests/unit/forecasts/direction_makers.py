"""Reports and sequences for the tests of skill."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping

import numpy as np

from ml_assets.forecasts.controls import EDGE, WALK
from ml_assets.forecasts.direction import DIRECTION_SCORING, WalkForwardReport
from ml_assets.forecasts.forecaster import CLOSE, FoldRows, fold_rows
from ml_assets.forecasts.report import Fold, Record, Score
from ml_assets.forecasts.verdicts import Judged
from ml_assets.forecasts.walk_forward import walk_forward
from ml_assets.prices import PriceHistory
from ml_assets.prices.simulated import simulate
from ml_assets.windows.sequences import SequenceConfig, SequenceSet, build_sequences


def report(
    symbol: str = "A",
    *,
    accuracy: float = 0.55,
    p: float = 0.5,
    best: float = 0.52,
    days: int = 600,
    horizon: int = 1,
    attempt: int = 1,
    champion: Record | None = None,
) -> WalkForwardReport:
    """Build a report that claims what the test wants; no prices stand behind it."""
    dates = [str(np.datetime64("2015-01-01") + i) for i in range(days)]
    lower = ("persistence", "ar1", "logistic")
    # Boosted trees are no bar for a promotion.
    baselines = {"majority": best, "always_up": best, "boosting": 0.99} | dict.fromkeys(lower, best - 0.02)
    figures = {"interval_low": accuracy - 0.03, "interval_high": accuracy + 0.03, "log_loss": 0.69}
    score = Score(
        horizon=horizon,
        dates=dates,
        forecast=[0.5] * days,
        realized=[0.0] * days,
        baseline_forecast=[1.0] * days,
        best_baseline="majority",
        levels={"model": accuracy, **baselines},
        gain=accuracy - best,
        p_value=p,
        figures={name: {"model": figure} for name, figure in figures.items()},
        champion=champion,
    )
    fold = Fold(
        1, 900, "2013-12-30", "2014-12-01", dates[0], dates[-1], days, "scratch", [accuracy], [best]
    )  # fmt: skip
    return WalkForwardReport(symbol, [score], [fold], attempt)


def judged(report: WalkForwardReport, weights: str = "weights") -> Judged:
    """Give a report the names of its version and of the weights that it scored."""
    sha256 = hashlib.sha256(report.to_bytes()).hexdigest()
    return Judged(report, sha256, hashlib.sha256(f"{weights} of {report.symbol}".encode()).hexdigest())


def with_controls(fleet: Mapping[str, Judged | str]) -> dict[str, Judged | str]:
    """Add the controls as they must come out: a random walk without skill, an edge that is found."""
    walk, edge = report(WALK, accuracy=0.5, p=0.6), report(EDGE, accuracy=0.64, p=1e-12, best=0.55)
    return {**fleet, WALK: judged(walk), EDGE: judged(edge)}


@functools.cache
def market(horizon: int = 1) -> tuple[PriceHistory, SequenceSet]:
    """Simulate a market small enough for every test."""
    prices = simulate("ar1", 900, seed=3, best_accuracy=0.6, ohlcv=False, symbol="SIM").prices
    return prices, build_sequences(prices, SequenceConfig(window=20, horizon=horizon, test_days=200, folds=2))


class Fixed:
    """Forecasts by a fixed rule on the last day, with nothing to fit."""

    name, columns, origin = "fixed", CLOSE, "scratch"

    def fit(self, _: FoldRows) -> Fixed:
        return self

    def forecast(self, rows: FoldRows) -> np.ndarray:
        last = rows.sequences.features[rows.days, 0].astype(np.float64)
        return (1 / (1 + np.exp(-np.nan_to_num(last) * 50)))[:, None]

    def to_bytes(self) -> bytes:
        return b"fixed"

    def from_bytes(self, _: bytes) -> Fixed:
        return self


@functools.cache
def rows(horizon: int = 1) -> list[FoldRows]:
    """Return the folds of the market."""
    prices, sequences = market(horizon)
    return fold_rows(prices.frame, sequences, (horizon,))


@functools.cache
def scored(horizon: int = 1) -> WalkForwardReport:
    """Score the fixed rule on the market's sealed days."""
    prices, _ = market(horizon)
    return walk_forward(DIRECTION_SCORING, Fixed(), prices.frame, rows(horizon))


def folds(horizon: int = 1) -> list[SequenceSet]:
    """Return the market's sequences as they stood at each fold."""
    return [fold.sequences for fold in rows(horizon)]
