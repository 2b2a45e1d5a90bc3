"""Reports and sequences for the tests of skill."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping

import numpy as np

from ml_assets.forecasts.controls import EDGE, WALK
from ml_assets.forecasts.direction import ChampionRecord, Fold, WalkForwardReport, score
from ml_assets.forecasts.verdicts import Judged
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
    champion: ChampionRecord | None = None,
) -> WalkForwardReport:
    """Build a report that claims what the test wants; no prices stand behind it."""
    dates = [str(np.datetime64("2015-01-01") + i) for i in range(days)]
    lower = ("persistence", "ar1", "logistic")
    return WalkForwardReport(
        symbol=symbol,
        horizon=horizon,
        dates=dates,
        probability=[0.5] * days,
        realized=[0.0] * days,
        accuracy=accuracy,
        interval=[accuracy - 0.03, accuracy + 0.03],
        log_loss=0.69,
        # Boosted trees are no bar for a promotion.
        baselines={"majority": best, "always_up": best, "boosting": 0.99} | dict.fromkeys(lower, best - 0.02),
        p_value=p,
        folds=[Fold(1, 900, "2013-12-30", "2014-12-01", dates[0], dates[-1], days, "scratch", accuracy)],
        attempt=attempt,
        champion=champion,
    )


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


def predict(X: np.ndarray) -> np.ndarray:
    """Forecast by a fixed rule on the last day of each window."""
    return 1 / (1 + np.exp(-np.nan_to_num(X[:, -1, 0].astype(np.float64)) * 50))


def scored(horizon: int = 1) -> WalkForwardReport:
    """Score the fixed rule on the market's sealed days."""
    parts = folds(horizon)
    return score(parts, [predict(part.X("test")) for part in parts], origins=["scratch"] * len(parts))


def folds(horizon: int = 1) -> list[SequenceSet]:
    """Return the market's sequences as they stood at each fold."""
    _, sequences = market(horizon)
    return [sequences.fold(number + 1) for number in range(sequences.folds)]
