"""Realized variance over the next day and the next week: rows, model, baselines, scores, verdicts.

Importing this package imports no TensorFlow; names that need it are loaded at first use (PEP 562).
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ml_assets.forecasts.variance.losses import diebold_mariano, qlike, squared_error
from ml_assets.forecasts.variance.report import (
    HorizonScore,
    VarianceFold,
    VarianceRecord,
    VolatilityReport,
    score_variance,
)
from ml_assets.forecasts.variance.rows import VarianceSet, variance_rows
from ml_assets.forecasts.variance.weights import VolatilityWeights

if TYPE_CHECKING:
    from ml_assets.forecasts.variance.training import VOLATILITY_RECIPE, predict_variance, train_volatility

__all__ = [
    "VOLATILITY_RECIPE",
    "HorizonScore",
    "VarianceFold",
    "VarianceRecord",
    "VarianceSet",
    "VolatilityReport",
    "VolatilityWeights",
    "diebold_mariano",
    "predict_variance",
    "qlike",
    "score_variance",
    "squared_error",
    "train_volatility",
    "variance_rows",
]


def __getattr__(name: str) -> Any:
    if name not in ("VOLATILITY_RECIPE", "predict_variance", "train_volatility"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.training"), name)
