"""The direction of the next return as a target: how its reports are read and its models compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ml_assets.forecasts.controls import EDGE
from ml_assets.forecasts.direction.drift import DirectionDrift, LiveDirection
from ml_assets.forecasts.direction.walk_forward import WalkForwardReport
from ml_assets.forecasts.statistics import decline_p, paired_p
from ml_assets.forecasts.succession import Champion, Comparison
from ml_assets.forecasts.target import Score, Target
from ml_assets.forecasts.verdicts import Promotion, PromotionRule

__all__ = ["DIRECTION", "DirectionPromotion"]


@dataclass(frozen=True)
class DirectionPromotion(Promotion):
    """Verdicts on direction."""

    kind: ClassVar[str] = "promotion"


def _scores(report: WalkForwardReport) -> dict[int, Score]:
    name, baseline = report.best_baseline
    return {
        report.horizon: Score(
            days=report.days,
            last_day=report.dates[-1],
            level=report.accuracy,
            best_baseline=name,
            baseline_level=baseline,
            p_value=report.corrected_p,
            attempt=report.attempt,
        )
    }


def _compare(report: WalkForwardReport, horizon: int, champion: Champion | None) -> Comparison | None:
    """Compare hits of the candidate and of the champion."""
    record = report.champion
    if record is None or champion is None or champion.promised is None or horizon != report.horizon:
        return None
    if record.weights_sha256 != champion.weights_sha256:
        return None
    index = {day: i for i, day in enumerate(report.dates)}
    at = np.array([index[day] for day in record.dates], dtype=int)
    rose = np.array(report.realized)[at] > 0
    ours, theirs = report.right[at], (np.array(record.probability) > 0.5) == rose
    share = f"{np.mean(theirs):.1%}" if len(at) else "nothing"
    return Comparison(
        days=len(at),
        replace_p=paired_p(ours, theirs),
        decline_p=decline_p(theirs, champion.promised),
        standing=f"{share} on {len(at)} days where {champion.promised:.1%} was promised",
        askable=record.askable,
    )


def _describe(gain: float, baseline: str) -> str:
    return f"{gain:+.1%} against {baseline}" if baseline else f"{gain:+.0%}"


def _suspect(score: Score, _gain: float, rule: PromotionRule) -> str:
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
    overlapping=False,
    drift=DirectionDrift,
    live=LiveDirection.of,
    scores=_scores,
    compare=_compare,
    promises=lambda score: score.level,
)
