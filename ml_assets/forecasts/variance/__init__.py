"""Realized variance over the next day and the next week: rows, who forecasts it, and what that is worth."""

from ml_assets.forecasts.variance.forecasters import BASELINES
from ml_assets.forecasts.variance.losses import diebold_mariano, qlike, squared_error
from ml_assets.forecasts.variance.mamba import MambaVariance
from ml_assets.forecasts.variance.report import VARIANCE_SCORING, VolatilityReport
from ml_assets.forecasts.variance.rows import VarianceSet, variance_rows
from ml_assets.forecasts.variance.weights import VolatilityWeights

__all__ = [
    "BASELINES",
    "VARIANCE_SCORING",
    "MambaVariance",
    "VarianceSet",
    "VolatilityReport",
    "VolatilityWeights",
    "diebold_mariano",
    "qlike",
    "squared_error",
    "variance_rows",
]
