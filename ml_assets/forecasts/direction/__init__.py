"""Out-of-sample skill: scoring, baselines, statistics, verdicts."""

from ml_assets.forecasts.direction.baselines import ar1_forecast, majority_forecast, persistence_forecast
from ml_assets.forecasts.direction.verdicts import Judged, Promotion, PromotionRule, SymbolVerdict, decide
from ml_assets.forecasts.direction.walk_forward import (
    ChampionRecord,
    Fold,
    WalkForwardReport,
    hit_rate,
    score,
)
from ml_assets.forecasts.statistics import adjusted_p_values, pesaran_timmermann
from ml_assets.forecasts.succession import Champion, Served, SuccessionRule

__all__ = [
    "Champion",
    "ChampionRecord",
    "Fold",
    "Judged",
    "Promotion",
    "PromotionRule",
    "Served",
    "SuccessionRule",
    "SymbolVerdict",
    "WalkForwardReport",
    "adjusted_p_values",
    "ar1_forecast",
    "decide",
    "hit_rate",
    "majority_forecast",
    "persistence_forecast",
    "pesaran_timmermann",
    "score",
]
