"""The direction of the next return: who forecasts it, and what a forecast of it is worth."""

from ml_assets.forecasts.direction.forecasters import BASELINES, PROMOTION_BASELINES
from ml_assets.forecasts.direction.mamba import MambaDirection
from ml_assets.forecasts.direction.report import DIRECTION_SCORING, WalkForwardReport, hit_rate

__all__ = [
    "BASELINES",
    "DIRECTION_SCORING",
    "PROMOTION_BASELINES",
    "MambaDirection",
    "WalkForwardReport",
    "hit_rate",
]
