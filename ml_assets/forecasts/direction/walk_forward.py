"""Names that the judging still takes from here."""

from ml_assets.forecasts.direction.forecasters import PROMOTION_BASELINES
from ml_assets.forecasts.direction.report import WalkForwardReport
from ml_assets.forecasts.report import Fold
from ml_assets.forecasts.report import Record as ChampionRecord

__all__ = ["PROMOTION_BASELINES", "ChampionRecord", "Fold", "WalkForwardReport"]
