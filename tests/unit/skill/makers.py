"""Reports and sequences for the tests of skill."""

from __future__ import annotations

import functools

import numpy as np

from ml_assets.prices import PriceHistory
from ml_assets.sequences import SequenceConfig, SequenceSet, build_sequences
from ml_assets.simulation import simulate
from ml_assets.skill import WalkForwardReport, score


def report(
    symbol: str = "A",
    *,
    accuracy: float = 0.55,
    p: float = 0.5,
    best: float = 0.52,
    days: int = 600,
    horizon: int = 1,
) -> WalkForwardReport:
    """Build a report that claims what the test wants; no prices stand behind it."""
    dates = [str(np.datetime64("2015-01-01") + i) for i in range(days)]
    return WalkForwardReport(
        symbol=symbol,
        horizon=horizon,
        dates=dates,
        probability=[0.5] * days,
        realized=[0.0] * days,
        accuracy=accuracy,
        baselines={"majority": best, "persistence": best - 0.02, "ar1": best - 0.01, "always_up": best},
        p_value=p,
    )


@functools.cache
def market(horizon: int = 1) -> tuple[PriceHistory, SequenceSet]:
    """Simulate a market small enough for every test."""
    prices = simulate("ar1", 900, seed=3, best_accuracy=0.6, ohlcv=False, symbol="SIM").prices
    return prices, build_sequences(prices, SequenceConfig(window=20, horizon=horizon))


def predict(X: np.ndarray) -> np.ndarray:
    """Forecast by a fixed rule on the last day of each window."""
    return 1 / (1 + np.exp(-np.nan_to_num(X[:, -1, 0].astype(np.float64)) * 50))


def scored(horizon: int = 1) -> WalkForwardReport:
    """Score the fixed rule on the market's sealed days."""
    _, sequences = market(horizon)
    return score(sequences, predict(sequences.X("test")))
