"""The direction of the next return: who forecasts it, and what a forecast of it is worth."""

from ml_assets.forecasts.direction.forecasters import BASELINES, PROMOTION_BASELINES, MambaDirection
from ml_assets.forecasts.direction.report import DIRECTION_SCORING, WalkForwardReport, hit_rate

__all__ = [
    "BASELINES",
    "DIRECTION_SCORING",
    "PROMOTION_BASELINES",
    "MambaDirection",
    "WalkForwardReport",
    "hit_rate",
]
# BEGIN of what the judging takes from here until it is merged.
from ml_assets.forecasts.direction.verdicts import (
    Judged,
    Promotion,
    PromotionRule,
    SymbolVerdict,
    decide,
)
from ml_assets.forecasts.report import Fold
from ml_assets.forecasts.report import Record as ChampionRecord
from ml_assets.forecasts.statistics import adjusted_p_values, pesaran_timmermann
from ml_assets.forecasts.succession import Champion, Served, SuccessionRule

__all__ += [
    "Champion",
    "ChampionRecord",
    "Fold",
    "Judged",
    "Promotion",
    "PromotionRule",
    "Served",
    "SuccessionRule",
    "SymbolVerdict",
    "adjusted_p_values",
    "decide",
    "pesaran_timmermann",
]
# END
