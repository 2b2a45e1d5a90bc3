"""Out-of-sample skill: scoring, baselines, statistics, verdicts."""

from ml_assets.forecasts.direction.baselines import ar1_forecast, majority_forecast, persistence_forecast
from ml_assets.forecasts.direction.walk_forward import (
    ChampionRecord,
    Fold,
    WalkForwardReport,
    hit_rate,
    score,
)
from ml_assets.forecasts.statistics import adjusted_p_values, pesaran_timmermann

__all__ = [
    "ChampionRecord",
    "Fold",
    "WalkForwardReport",
    "adjusted_p_values",
    "ar1_forecast",
    "hit_rate",
    "majority_forecast",
    "persistence_forecast",
    "pesaran_timmermann",
    "score",
]
