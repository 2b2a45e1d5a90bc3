"""Out-of-sample skill: scoring, baselines, statistics, verdicts."""

from ml_assets.skill.baselines import ar1_forecast, majority_forecast, persistence_forecast
from ml_assets.skill.statistics import adjusted_p_values, pesaran_timmermann
from ml_assets.skill.succession import Champion, Served, SuccessionRule
from ml_assets.skill.verdicts import Judged, Promotion, PromotionRule, SymbolVerdict, decide
from ml_assets.skill.walk_forward import ChampionRecord, Fold, WalkForwardReport, hit_rate, score

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
