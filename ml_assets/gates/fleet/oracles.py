"""What the reports of each target say, read by other code than the product's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ml_assets.forecasts.controls import EDGE, VARIANCE
from ml_assets.forecasts.direction import WalkForwardReport
from ml_assets.forecasts.direction.walk_forward import PROMOTION_BASELINES
from ml_assets.forecasts.variance import VolatilityReport
from ml_assets.forecasts.verdicts import PromotionRule

__all__ = ["ORACLES", "Figures", "Meeting", "Oracle"]


@dataclass(frozen=True)
class Figures:
    """What a verdict must show: of the model, of the best baseline, and what they were tested by."""

    days: int
    level: float
    best_baseline: str
    baseline_level: float
    gain: float
    p_value: float


@dataclass(frozen=True)
class Meeting:
    """How a model did beside the champion that it met, on the days of both.

    ``lead`` is by how much it did better, in any unit; ``words`` say so. The champion is not ``askable``
    where it reads what there is no more.
    """

    met: str
    lead: float
    words: str
    askable: bool


@dataclass(frozen=True)
class Oracle:
    """How the gates read the reports of one target.

    Parameters
    ----------
    planted : str
        The control that must pass.
    figures : callable
        ``(report, horizon) -> Figures``, or None without such a horizon.
    better, suspicious : callable
        ``(figures, rule) -> bool``: the gain is large enough; it is too large.
    meeting : callable
        ``(report, horizon) -> Meeting``, or None if it met no champion.
    """

    planted: str
    figures: Callable[[Any, int], Figures | None]
    better: Callable[[Figures, PromotionRule], bool]
    suspicious: Callable[[Figures, PromotionRule], bool]
    meeting: Callable[[Any, int], Meeting | None]


def _direction(report: WalkForwardReport, horizon: int) -> Figures | None:
    if report.horizon != horizon:
        return None
    rivals = {name: report.baselines[name] for name in PROMOTION_BASELINES}
    best = max(rivals, key=rivals.__getitem__)
    return Figures(
        report.days,
        report.accuracy,
        best,
        rivals[best],
        report.accuracy - rivals[best],
        min(1.0, report.p_value * report.attempt),
    )


def _hits(report: WalkForwardReport, _horizon: int) -> Meeting | None:
    """Days on which only the new model was right, and only the old one."""
    record = report.champion
    if record is None:
        return None
    at = np.searchsorted(np.array(report.dates), np.array(record.dates))
    rose = np.array(report.realized)[at] > 0
    new = (np.array(report.probability)[at] > 0.5) == rose
    old = (np.array(record.probability) > 0.5) == rose
    gained, lost = int(np.sum(new & ~old)), int(np.sum(old & ~new))
    words = f"right {gained} times where that was wrong and wrong {lost} times where that was right"
    return Meeting(record.weights_sha256, gained - lost, words, record.askable)


def _variance(report: VolatilityReport, horizon: int) -> Figures | None:
    scores = [score for score in report.scores if score.horizon == horizon]
    if not scores:
        return None
    losses = dict(scores[0].qlike)
    own = losses.pop("model")
    best = min(losses, key=losses.__getitem__)
    p = min(1.0, scores[0].p_values[best] * report.attempt)
    return Figures(len(scores[0].dates), own, best, losses[best], losses[best] - own, p)


def _losses(report: VolatilityReport, horizon: int) -> Meeting | None:
    """Mean QLIKE of the new model and of the old one on the days of both."""
    score = next((s for s in report.scores if s.horizon == horizon), None)
    record = None if score is None else score.champion
    if score is None or record is None:
        return None
    if not record.dates:
        return Meeting(record.weights_sha256, 0.0, "no day in common", record.askable)
    known = {day: (f, x) for day, f, x in zip(score.dates, score.forecast, score.realized, strict=True)}
    pairs = [(*known[day], f) for day, f in zip(record.dates, record.forecast, strict=True)]
    mine, x, old = np.array(pairs).T
    ours, theirs = float(np.mean(np.log(mine) + x / mine)), float(np.mean(np.log(old) + x / old))
    words = f"QLIKE {ours:.4f} where that had {theirs:.4f}"
    return Meeting(record.weights_sha256, theirs - ours, words, record.askable)


ORACLES: Mapping[str, Oracle] = {
    "direction": Oracle(
        EDGE,
        _direction,
        better=lambda f, rule: f.level >= f.baseline_level + rule.margin,
        suspicious=lambda f, rule: f.level > rule.quarantine,
        meeting=_hits,
    ),
    "variance": Oracle(
        VARIANCE,
        _variance,
        better=lambda f, _: f.gain > 0,
        suspicious=lambda f, rule: f.gain > rule.quarantine,
        meeting=_losses,
    ),
}
"""By the name of a target."""
