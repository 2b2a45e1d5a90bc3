"""The direction of the next return as a target: how its reports are read and its models compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ml_assets.forecasts.controls import EDGE
from ml_assets.forecasts.direction.drift import DirectionDrift, LiveDirection
from ml_assets.forecasts.direction.report import DIRECTION_SCORING
from ml_assets.forecasts.report import Score
from ml_assets.forecasts.statistics import decline_p, paired_p
from ml_assets.forecasts.succession import Champion
from ml_assets.forecasts.target import Contest, InCommon, Target
from ml_assets.forecasts.verdicts import Promotion, PromotionRule

__all__ = ["DIRECTION", "DirectionPromotion"]


@dataclass(frozen=True)
class DirectionPromotion(Promotion):
    """Verdicts on direction."""

    kind: ClassVar[str] = "promotion"


def _contest(common: InCommon, champion: Champion) -> Contest | None:
    """Compare hits of the candidate and of the champion, which must keep the share that it promised."""
    if champion.promised is None:
        return None
    rose, days = common.realized > 0, common.realized.size
    ours, theirs = (common.ours > 0.5) == rose, (common.theirs > 0.5) == rose
    share = f"{np.mean(theirs):.1%}" if days else "nothing"
    return Contest(
        paired_p(ours, theirs),
        decline_p(theirs, champion.promised),
        f"{share} on {days} days where {champion.promised:.1%} was promised",
    )


def _describe(gain: float, baseline: str) -> str:
    return f"{gain:+.1%} against {baseline}" if baseline else f"{gain:+.0%}"


def _suspect(score: Score, rule: PromotionRule) -> str:
    return (
        f"accuracy {score.level:.1%} is above {rule.quarantine:.0%}: on daily prices that is how leaks look; "
        "inspect before use"
    )


DIRECTION = Target(
    name="direction",
    weights="mamba_weights",
    report="walk_forward_report",
    promotion=DirectionPromotion,
    planted=EDGE,
    rule=PromotionRule(margin=0.01, quarantine=0.60),
    higher_is_better=True,
    too_good="level",
    describe=_describe,
    suspect=_suspect,
    scoring=DIRECTION_SCORING,
    drift=DirectionDrift,
    live=LiveDirection.of,
    contest=_contest,
    promises=lambda score: score.level,
)
