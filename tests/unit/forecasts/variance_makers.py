"""A small market, its rows, a trained model and its report for the tests of variance forecasts."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

from ml_assets.forecasts.forecaster import CLOSE, FoldRows, fold_rows
from ml_assets.forecasts.variance import (
    VARIANCE_SCORING,
    MambaVariance,
    VarianceSet,
    VolatilityReport,
    VolatilityWeights,
)
from ml_assets.forecasts.variance.mamba import rows_of
from ml_assets.forecasts.walk_forward import FoldModels, walk_forward
from ml_assets.mamba import MambaConfig, TrainingRecipe
from ml_assets.prices import PriceHistory
from ml_assets.prices.simulated import simulate
from ml_assets.windows.sequences import SequenceConfig, SequenceSet, build_sequences

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


def awkward(kind: str, seed: int, days: int = 900) -> np.ndarray:
    """Log returns whose losses have several minima.

    A number is that of the degrees of Student's t. ``big`` holds one day of 40 %, up or down, ``flat`` ninety
    days without a move, ``both`` both.
    """
    rng = np.random.default_rng(seed)
    if kind.isdigit():
        return 0.01 * rng.standard_t(int(kind), days)
    returns, _ = garch_returns(days, 2e-6, 0.08, 0.90, seed)
    if kind != "big":
        first = rng.integers(100, days - 200)
        returns[first : first + 90] = 0.0
    if kind != "flat":
        returns[rng.integers(100, days - 120)] = rng.choice([-1.0, 1.0]) * np.log(1.4)
    return returns


@cache
def market() -> tuple[PriceHistory, SequenceSet]:
    prices = simulate("leverage", 1100, seed=3, symbol="SIM").prices
    return prices, build_sequences(prices, SequenceConfig(window=30, test_days=240, folds=2))


def closes() -> np.ndarray:
    return market()[0].frame["close"].to_numpy()


@cache
def rows() -> list[FoldRows]:
    prices, sequences = market()
    return fold_rows(prices.frame, sequences, HORIZONS)


class Start:
    """Forecasts what models of these rows start from, as an untrained one does."""

    name, columns = "start", CLOSE

    def __init__(
        self, folds: Sequence[SequenceSet], rows: Sequence[VarianceSet], closes: np.ndarray | None = None
    ) -> None:
        """By the last day of each fold; from these closes, if they are others than those of the fold."""
        self.rules = {fold.dates[-1]: of.rule for fold, of in zip(folds, rows, strict=True)}
        self.closes = closes

    def fit(self, _: FoldRows) -> Start:
        return self

    def forecast(self, rows: FoldRows) -> np.ndarray:
        closes = rows.closes if self.closes is None else self.closes
        return self.rules[rows.sequences.dates[-1]].forecast(closes)[rows.days]

    def to_bytes(self) -> bytes:
        return b"start"

    def from_bytes(self, _: bytes) -> Start:
        return self


@cache
def models() -> FoldModels:
    return FoldModels(MambaVariance(TINY, QUICK), rows())


@cache
def folds() -> tuple[list[SequenceSet], list[VarianceSet]]:
    return [of.sequences for of in rows()], [rows_of(*fold) for fold in models()]


def trained(number: int) -> VolatilityWeights:
    return models()(number).weights  # type: ignore[attr-defined, no-any-return]


def forecast(number: int) -> np.ndarray:
    return models().forecast(number)


@cache
def scored() -> VolatilityReport:
    report = walk_forward(VARIANCE_SCORING, models(), market()[0].frame, rows())
    return VolatilityReport.from_bytes(report.to_bytes())
