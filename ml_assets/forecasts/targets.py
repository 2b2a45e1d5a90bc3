"""The targets. A new one is a folder beside `direction`, an oracle in the gates, and a line here."""

from __future__ import annotations

from ml_assets.forecasts.direction.target import DIRECTION
from ml_assets.forecasts.relative.target import RELATIVE
from ml_assets.forecasts.target import Target
from ml_assets.forecasts.variance.target import VARIANCE

__all__ = ["DIRECTION", "RELATIVE", "TARGETS", "VARIANCE"]

TARGETS: tuple[Target, ...] = (DIRECTION, VARIANCE, RELATIVE)
"""In the order in which they are judged and released. The first is part of every run."""
