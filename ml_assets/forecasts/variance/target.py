"""Variance over the coming days as a target: how its reports are read and its models compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ml_assets.forecasts.controls import VARIANCE as PLANTED
from ml_assets.forecasts.succession import Champion, Comparison
from ml_assets.forecasts.target import Score, Target
from ml_assets.forecasts.variance.drift import VarianceDrift
from ml_assets.forecasts.variance.live import LiveVariance
from ml_assets.forecasts.variance.losses import diebold_mariano, qlike
from ml_assets.forecasts.variance.report import VolatilityReport
from ml_assets.forecasts.verdicts import Promotion, PromotionRule

__all__ = ["VARIANCE", "VariancePromotion"]


@dataclass(frozen=True)
class VariancePromotion(Promotion):
    """Verdicts on variance."""

    kind: ClassVar[str] = "volatility_promotion"


def _scores(report: VolatilityReport) -> dict[int, Score]:
    return {
        score.horizon: Score(
            days=score.days,
            last_day=score.dates[-1],
            level=score.qlike["model"],
            best_baseline=score.best_baseline,
            baseline_level=score.qlike[score.best_baseline],
            p_value=report.corrected_p(score),
            attempt=report.attempt,
        )
        for score in report.scores
    }


def _compare(report: VolatilityReport, horizon: int, champion: Champion | None) -> Comparison | None:
    """Compare candidate and champion by Diebold and Mariano.

    The champion promised to be better than the rules without a model: it declines where the best of them is
    better than it.
    """
    score = next((s for s in report.scores if s.horizon == horizon), None)
    record = None if score is None else score.champion
    if score is None or record is None or champion is None:
        return None
    if record.weights_sha256 != champion.weights_sha256:
        return None
    index = {day: i for i, day in enumerate(score.dates)}
    at = np.array([index[day] for day in record.dates], dtype=int)
    realized = np.array(score.realized)[at]
    ours = qlike(np.array(score.forecast)[at], realized)
    theirs = qlike(np.array(record.forecast), realized)
    baseline = qlike(np.array(score.baseline_forecast)[at], realized)
    levels = (
        f"QLIKE {theirs.mean():.4f}, {score.best_baseline} {baseline.mean():.4f}" if len(at) else "nothing"
    )
    return Comparison(
        days=len(at),
        replace_p=diebold_mariano(ours, theirs),
        decline_p=diebold_mariano(baseline, theirs),
        standing=f"{levels} on {len(at)} days",
        askable=record.askable,
    )


def _describe(gain: float, baseline: str) -> str:
    return f"QLIKE {gain:+.4f} against {baseline}" if baseline else f"QLIKE {gain:+.4f}"


def _suspect(score: Score, gain: float, rule: PromotionRule) -> str:
    against = _describe(gain, score.best_baseline)
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
    overlapping=True,
    drift=VarianceDrift,
    live=LiveVariance.of,
    scores=_scores,
    compare=_compare,
    promises=lambda _: None,
)
