"""Relative direction as a target: direction in every respect but its label."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from ml_assets.forecasts.direction.target import DIRECTION
from ml_assets.forecasts.relative.drift import LiveRelative, RelativeDrift
from ml_assets.forecasts.relative.report import RELATIVE_SCORING
from ml_assets.forecasts.verdicts import Promotion

__all__ = ["RELATIVE", "RelativePromotion"]


@dataclass(frozen=True)
class RelativePromotion(Promotion):
    """Verdicts on relative direction."""

    kind: ClassVar[str] = "relative_promotion"


RELATIVE = replace(
    DIRECTION,
    name="relative",
    weights="relative_weights",
    report="relative_report",
    promotion=RelativePromotion,
    scoring=RELATIVE_SCORING,
    drift=RelativeDrift,
    live=LiveRelative.read,
)
