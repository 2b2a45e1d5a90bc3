"""Variance over the coming days as a target: how its reports are read and its models compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ml_assets.forecasts.controls import VARIANCE as PLANTED
from ml_assets.forecasts.report import Score
from ml_assets.forecasts.succession import Champion
from ml_assets.forecasts.target import Contest, InCommon, Target
from ml_assets.forecasts.variance.drift import VarianceDrift
from ml_assets.forecasts.variance.live import LiveVariance
from ml_assets.forecasts.variance.losses import diebold_mariano, qlike
from ml_assets.forecasts.variance.report import VARIANCE_SCORING
from ml_assets.forecasts.verdicts import Promotion, PromotionRule

__all__ = ["VARIANCE", "VariancePromotion"]


@dataclass(frozen=True)
class VariancePromotion(Promotion):
    """Verdicts on variance."""

    kind: ClassVar[str] = "volatility_promotion"


def _contest(common: InCommon, _: Champion) -> Contest:
    """Compare candidate and champion by Diebold and Mariano.

    The champion promised to be better than the rules without a model: it declines where the best of them is
    better than it.
    """
    ours, theirs, baseline = (qlike(f, common.realized) for f in common[:3])
    days = common.realized.size
    levels = f"QLIKE {theirs.mean():.4f}, {common.best_baseline} {baseline.mean():.4f}" if days else "nothing"
    return Contest(
        diebold_mariano(ours, theirs), diebold_mariano(baseline, theirs), f"{levels} on {days} days"
    )  # fmt: skip


def _describe(gain: float, baseline: str) -> str:
    return f"QLIKE {gain:+.4f} against {baseline}" if baseline else f"QLIKE {gain:+.4f}"


def _suspect(score: Score, rule: PromotionRule) -> str:
    against = _describe(score.gain, score.best_baseline)
    return f"{against} is above {rule.quarantine}: that is how leaks look; inspect it"


VARIANCE = Target(
    name="variance",
    weights="volatility_weights",
    report="volatility_report",
    promotion=VariancePromotion,
    planted=PLANTED,
    rule=PromotionRule(margin=0.0, quarantine=0.20),
    higher_is_better=False,
    too_good="gain",
    describe=_describe,
    suspect=_suspect,
    scoring=VARIANCE_SCORING,
    drift=VarianceDrift,
    live=LiveVariance.of,
    contest=_contest,
    promises=lambda _: None,
)
