"""What is forecast. All that differs between targets in the judgement of a fleet stands in one value each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from ml_assets.forecasts.controls import WALK
from ml_assets.forecasts.drift import DriftReport, Live, WatchedModel
from ml_assets.forecasts.report import Report, Score
from ml_assets.forecasts.succession import Champion, Comparison
from ml_assets.forecasts.verdicts import Promotion, PromotionRule
from ml_assets.forecasts.walk_forward import Scoring
from ml_assets.prices import PriceHistory
from ml_assets.storage import ArtifactStore
from ml_assets.windows.rolling import Floats
from ml_assets.windows.steps import Steps

__all__ = ["Contest", "InCommon", "Target"]


class InCommon(NamedTuple):
    """Forecasts and outcomes of the days that candidate and champion have both not seen, (n,) each."""

    ours: Floats
    theirs: Floats
    baseline: Floats
    realized: Floats
    best_baseline: str


class Contest(NamedTuple):
    """One-sided p-values: the candidate is no better, the champion keeps its promise; and that in words."""

    replace_p: float
    decline_p: float
    standing: str


@dataclass(frozen=True)
class Target:
    """One thing that is forecast: its assets, its rule, and how its reports are read.

    Parameters
    ----------
    name : str
        For people, and for whoever looks a target up.
    weights, report : str
        Assets of its models and of their reports.
    promotion : type
        Its verdicts; their kind is the name of the asset.
    planted : str
        The control market that must be promoted, at the shortest horizon. The random walk must not be.
    rule : PromotionRule
        As it is without settings.
    higher_is_better : bool
        Whether a larger level is a better one.
    too_good : {'level', 'gain'}
        Which of the two is held against ``rule.quarantine``.
    describe : callable
        ``(gain, baseline) -> str``: by how much a model is better than its best baseline, in words; an empty
        name stands for none.
    suspect : callable
        ``(score, rule) -> str``: why a score that is too good is one, in words.
    scoring : Scoring
        How forecasts are scored.
    drift : type
        The report of a look at its released models; its kind is the name of the asset.
    live : callable
        ``(store, model, prices, steps) -> Live``: a released model on its new days.
    contest : callable
        ``(days in common, champion) -> Contest``, or None where that champion promised nothing.
    promises : callable
        ``score -> level that a champion must keep``, or None.
    """

    name: str
    weights: str
    report: str
    promotion: type[Promotion]
    planted: str
    rule: PromotionRule
    higher_is_better: bool
    too_good: Literal["level", "gain"]
    describe: Callable[[float, str], str]
    suspect: Callable[[Score, PromotionRule], str]
    scoring: Scoring[Any]
    drift: type[DriftReport]
    live: Callable[[ArtifactStore, WatchedModel, PriceHistory, Steps], Live]
    contest: Callable[[InCommon, Champion], Contest | None]
    promises: Callable[[Score], float | None]

    @property
    def verdicts(self) -> str:
        """Asset of its verdicts."""
        return self.promotion.kind

    @property
    def controls(self) -> tuple[str, str]:
        """The simulated symbols beside the fleet: the planted edge first, then the random walk."""
        return self.planted, WALK

    @property
    def overlapping(self) -> bool:
        """Whether scored outcomes may share days with each other; else only every h-th day is scored."""
        return self.scoring.overlapping

    def compare(self, report: Report, horizon: int, champion: Champion | None) -> Comparison | None:
        """Compare the candidate with the champion that it met; None where it met another one, or none."""
        score = report.at(horizon)
        record = None if score is None else score.champion
        if score is None or record is None or champion is None:
            return None
        if record.weights_sha256 != champion.weights_sha256:
            return None
        index = {day: i for i, day in enumerate(score.dates)}
        at = np.array([index[day] for day in record.dates], dtype=int)
        baseline = (
            np.array(score.baseline_forecast)[at] if score.baseline_forecast else np.full(at.size, np.nan)
        )
        common = InCommon(
            np.array(score.forecast)[at], np.array(record.forecast), baseline, np.array(score.realized)[at],
            score.best_baseline,
        )  # fmt: skip
        contest = self.contest(common, champion)
        return None if contest is None else Comparison(at.size, *contest, askable=record.askable)

    def is_better(self, score: Score, rule: PromotionRule) -> bool:
        """Whether the gain is what the rule asks; without a margin, any gain at all."""
        if not rule.margin:
            return score.gain > 0
        if self.higher_is_better:
            return score.level >= score.baseline_level + rule.margin
        return score.level <= score.baseline_level - rule.margin

    def is_suspicious(self, score: Score, rule: PromotionRule) -> bool:
        """Whether the score is more likely a leak than skill."""
        return (score.level if self.too_good == "level" else score.gain) > rule.quarantine
