"""Realized variance over the next day and the next week: rows, who forecasts it, and what that is worth."""

from ml_assets.forecasts.variance.forecasters import BASELINES, MambaVariance
from ml_assets.forecasts.variance.losses import diebold_mariano, qlike, squared_error
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
# BEGIN of what the judging takes from here until it is merged.
from ml_assets.forecasts.report import Record as VarianceRecord
from ml_assets.forecasts.report import Score as HorizonScore
from ml_assets.forecasts.variance.verdicts import (
    HorizonVerdict,
    VolatilityPromotion,
    VolatilityRule,
    decide_volatility,
)

__all__ += [
    "HorizonScore",
    "HorizonVerdict",
    "VarianceRecord",
    "VolatilityPromotion",
    "VolatilityRule",
    "decide_volatility",
]
# END
