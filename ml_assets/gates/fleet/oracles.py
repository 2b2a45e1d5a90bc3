"""What the reports of each target say, read by other code than the product's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from ml_assets.forecasts.controls import EDGE, VARIANCE
from ml_assets.forecasts.direction import PROMOTION_BASELINES
from ml_assets.forecasts.report import Record, Report, Score
from ml_assets.forecasts.verdicts import PromotionRule
from ml_assets.windows.rolling import Floats

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
    of_score : callable
        ``(report, score) -> Figures``.
    better, suspicious : callable
        ``(figures, rule) -> bool``: the gain is large enough; it is too large.
    lead : callable
        ``(new forecasts, old ones, outcomes) -> by how much the new model did better, and words``.
    """

    planted: str
    of_score: Callable[[Report, Score], Figures]
    better: Callable[[Figures, PromotionRule], bool]
    suspicious: Callable[[Figures, PromotionRule], bool]
    lead: Callable[[Floats, Floats, Floats], tuple[float, str]]

    def figures(self, report: Report, horizon: int) -> Figures | None:
        """What a verdict must show; None without such a horizon."""
        score = next((s for s in report.scores if s.horizon == horizon), None)
        return None if score is None else self.of_score(report, score)

    def meeting(self, report: Report, horizon: int) -> Meeting | None:
        """How the model did beside the champion; None if it met none."""
        score = next((s for s in report.scores if s.horizon == horizon), None)
        if score is None or score.champion is None:
            return None
        record = score.champion
        return Meeting(record.weights_sha256, *self.lead(*_common(score, record)), record.askable)


def _figures(score: Score, report: Report, best: str, gain: float) -> Figures:
    p = min(1.0, score.p_value * report.attempt)
    return Figures(len(score.dates), score.levels["model"], best, score.levels[best], gain, p)


def _direction(report: Report, score: Score) -> Figures:
    best = max(PROMOTION_BASELINES, key=score.levels.__getitem__)
    return _figures(score, report, best, score.levels["model"] - score.levels[best])


def _variance(report: Report, score: Score) -> Figures:
    best = min((name for name in score.levels if name != "model"), key=score.levels.__getitem__)
    return _figures(score, report, best, score.levels[best] - score.levels["model"])


def _common(score: Score, record: Record) -> tuple[Floats, Floats, Floats]:
    """Forecasts of the new model and of the old one on the days of both, and what followed."""
    known = {day: (f, x) for day, f, x in zip(score.dates, score.forecast, score.realized, strict=True)}
    pairs = [(*known[day], f) for day, f in zip(record.dates, record.forecast, strict=True)]
    new, x, old = np.array(pairs).reshape(-1, 3).T
    return new, old, x


def _hits(new: Floats, old: Floats, x: Floats) -> tuple[float, str]:
    """Days on which only the new model was right, and only the old one."""
    ours, theirs = (new > 0.5) == (x > 0), (old > 0.5) == (x > 0)
    gained, lost = int(np.sum(ours & ~theirs)), int(np.sum(theirs & ~ours))
    words = f"right {gained} times where that was wrong and wrong {lost} times where that was right"
    return gained - lost, words


def _losses(new: Floats, old: Floats, x: Floats) -> tuple[float, str]:
    """Mean QLIKE of the new model and of the old one."""
    if not x.size:
        return 0.0, "no day in common"
    ours, theirs = float(np.mean(np.log(new) + x / new)), float(np.mean(np.log(old) + x / old))
    return theirs - ours, f"QLIKE {ours:.4f} where that had {theirs:.4f}"


_SHARE = Oracle(
    EDGE,
    _direction,
    better=lambda f, rule: f.level >= f.baseline_level + rule.margin,
    suspicious=lambda f, rule: f.level > rule.quarantine,
    lead=_hits,
)
ORACLES: Mapping[str, Oracle] = {
    "direction": _SHARE,
    "relative": _SHARE,
    "variance": Oracle(
        VARIANCE,
        _variance,
        better=lambda f, _: f.gain > 0,
        suspicious=lambda f, rule: f.gain > rule.quarantine,
        lead=_losses,
    ),
}
"""By the name of a target."""
