"""A small market, its rows, a trained model and its report for the tests of variance forecasts."""

from __future__ import annotations

from functools import cache

import numpy as np

from ml_assets.mamba import MambaConfig, TrainingRecipe
from ml_assets.prices import PriceHistory
from ml_assets.sequences import SequenceConfig, SequenceSet, build_sequences
from ml_assets.simulation import simulate
from ml_assets.volatility import (
    VarianceSet,
    VolatilityReport,
    VolatilityWeights,
    predict_variance,
    score_variance,
    train_volatility,
    variance_rows,
)

HORIZONS = (1, 5)
TINY = MambaConfig(d_model=8, d_state=4, head_dim=8, dropout=0.1, variance_heads=2)
QUICK = TrainingRecipe(epochs=2, jit_compile=False, learning_rate=3e-4)


def garch_returns(
    days: int, omega: float, alpha: float, beta: float, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Simulate GARCH(1,1) with normal innovations; return the log returns and each one's true variance."""
    rng = np.random.default_rng(seed)
    returns, variance = np.zeros(days), np.full(days, omega / (1 - alpha - beta))
    for t in range(days):
        if t:
            variance[t] = omega + alpha * returns[t - 1] ** 2 + beta * variance[t - 1]
        returns[t] = np.sqrt(variance[t]) * rng.standard_normal()
    return returns, variance


@cache
def market() -> tuple[PriceHistory, SequenceSet]:
    prices = simulate("leverage", 1100, seed=3, symbol="SIM").prices
    return prices, build_sequences(prices, SequenceConfig(window=30, test_days=240, folds=2))


def closes() -> np.ndarray:
    return market()[0].frame["close"].to_numpy()


@cache
def folds() -> tuple[list[SequenceSet], list[VarianceSet]]:
    sequences = [market()[1].fold(number) for number in (1, 2)]
    return sequences, [variance_rows(fold, closes(), HORIZONS) for fold in sequences]


@cache
def trained(number: int) -> VolatilityWeights:
    return train_volatility(folds()[1][number - 1], TINY, QUICK)


def forecast(number: int) -> np.ndarray:
    fold = folds()[0][number - 1]
    return predict_variance(trained(number), fold, closes(), fold.positions("test"))


@cache
def scored() -> VolatilityReport:
    report = score_variance(market()[0].frame, *folds(), [forecast(1), forecast(2)])
    return VolatilityReport.from_bytes(report.to_bytes())
