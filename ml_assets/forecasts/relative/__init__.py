"""Relative direction: will a stock do better than the median stock of the fleet?"""

from ml_assets.forecasts.relative.median import FEWEST, FleetMedian, fleet_median
from ml_assets.forecasts.relative.report import RELATIVE_SCORING, RelativeReport
from ml_assets.forecasts.relative.rows import relative_closes, relative_sequences, relative_steps

__all__ = [
    "FEWEST",
    "RELATIVE_SCORING",
    "FleetMedian",
    "RelativeReport",
    "fleet_median",
    "relative_closes",
    "relative_sequences",
    "relative_steps",
]
