"""A fleet as the promotion rule sees it: one score per symbol, controls beside them, verdicts by `decide`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, NamedTuple, Self

import numpy as np
from scipy.stats import binom

from ml_assets.forecasts import report
from ml_assets.forecasts.controls import EDGE, WALK
from ml_assets.forecasts.direction import PROMOTION_BASELINES, WalkForwardReport
from ml_assets.forecasts.judging import decide
from ml_assets.forecasts.targets import DIRECTION
from ml_assets.forecasts.verdicts import Judged, PromotionRule

__all__ = ["CONTROLS_AS_THEY_MUST", "NAIVE", "RULES", "Fleet", "Found", "Score", "Tally", "judge"]


class Score(NamedTuple):
    """The figures of a walk-forward report that the rule looks at."""

    days: int
    accuracy: float
    p_value: float
    baselines: Mapping[str, float]

    @classmethod
    def of(cls, scored: WalkForwardReport) -> Score:
        (score,) = scored.scores
        return cls(score.days, score.level, score.p_value, score.baselines)

    def judged(self, symbol: str) -> Judged:
        """A report with these figures; the forecasts behind them are left out, for the rule reads none."""
        best = max(PROMOTION_BASELINES, key=self.baselines.__getitem__)
        score = report.Score(
            horizon=1, dates=_dates(self.days), forecast=[], realized=[], baseline_forecast=[],
            best_baseline=best, levels={"model": self.accuracy, **self.baselines},
            gain=self.accuracy - self.baselines[best], p_value=self.p_value,
        )  # fmt: skip
        return Judged(WalkForwardReport(symbol, [score], []), "report", "weights")


class Found(NamedTuple):
    """What one rule made of one fleet."""

    edges: int
    edges_promoted: int
    edges_quarantined: int
    walks_promoted: int

    @property
    def false_share(self) -> float:
        """False discoveries among the discoveries; 0 without any."""
        return self.walks_promoted / max(1, self.edges_promoted + self.walks_promoted)


@dataclass(frozen=True)
class Fleet:
    """Symbols without skill (walks) and with skill (edges), and the two controls of the run."""

    walks: Sequence[Score]
    edges: Sequence[Score] = ()
    controls: Mapping[str, Score] | None = None


_PLAIN = {"majority": 0.51, "persistence": 0.50, "ar1": 0.50, "always_up": 0.51, "logistic": 0.50}
CONTROLS_AS_THEY_MUST = {
    EDGE: Score(1000, 0.69, 1e-12, _PLAIN),
    WALK: Score(1000, 0.50, 0.5, _PLAIN),
}

RULES = {
    "rule in force": DIRECTION.rule,
    "without quarantine": replace(DIRECTION.rule, quarantine=1.0),
    "without quarantine and margin": replace(DIRECTION.rule, quarantine=1.0, margin=-1.0),
}
"""Quarantine says "on real prices this is a leak": where an edge was planted on purpose it is lifted."""

NAIVE: dict[str, Callable[[Score], bool]] = {
    "accuracy of 55 % or more": lambda s: s.accuracy >= 0.55,
    "binomial test against one half at 5 %": (
        lambda s: bool(binom.sf(round(s.accuracy * s.days) - 1, s.days, 0.5) <= 0.05)
    ),
    "Pesaran-Timmermann at 5 %, symbol by symbol": lambda s: s.p_value <= 0.05,
}
"""What others promote by."""


def judge(fleet: Fleet, rule: PromotionRule) -> Found:
    """Let the product's own `decide` judge a fleet, and count."""
    controls = CONTROLS_AS_THEY_MUST if fleet.controls is None else fleet.controls
    scores = {
        **{f"walk {i}": score for i, score in enumerate(fleet.walks)},
        **{f"edge {i}": score for i, score in enumerate(fleet.edges)},
        **controls,
    }
    judged = {symbol: score.judged(symbol) for symbol, score in scores.items()}
    promotion = decide(DIRECTION, judged, [1], rule)
    if promotion.void is not None:
        raise RuntimeError(f"the controls void this fleet, so nothing can be counted: {promotion.void}")
    found = Counter((v.symbol.split()[0], v.verdict) for v in promotion.verdicts)
    return Found(
        edges=len(fleet.edges),
        edges_promoted=found["edge", "PROMOTE"],
        edges_quarantined=found["edge", "QUARANTINE"],
        walks_promoted=found["walk", "PROMOTE"],
    )


@dataclass
class Tally:
    """What every rule made of many fleets: counts by rule, and whether a naive rule promoted any walk."""

    found: dict[str, list[Found]] = field(default_factory=lambda: {name: [] for name in RULES})
    naive: dict[str, list[bool]] = field(default_factory=lambda: {name: [] for name in NAIVE})

    @classmethod
    def of(cls, fleets: Iterable[Fleet]) -> Self:
        """Judge fleets one after another; none is kept."""
        tally = cls()
        for fleet in fleets:
            for name, rule in RULES.items():
                tally.found[name].append(judge(fleet, rule))
            for name, passes in NAIVE.items():
                tally.naive[name].append(any(map(passes, fleet.walks)))
        return tally

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Self:
        """Read back from JSON, into which it goes as it is."""
        return cls(
            {name: [Found(*f) for f in found] for name, found in record["found"].items()}, record["naive"]
        )

    @property
    def fleets(self) -> int:
        """How many."""
        return len(next(iter(self.found.values())))

    def edges(self, rule: str) -> int:
        """Symbols with an edge in all fleets."""
        return sum(f.edges for f in self.found[rule])

    def promoted(self, rule: str) -> int:
        """How many of them a rule promoted."""
        return sum(f.edges_promoted for f in self.found[rule])

    def with_false(self, rule: str) -> int:
        """Fleets in which a rule promoted a walk."""
        return sum(f.walks_promoted > 0 for f in self.found[rule])


@lru_cache(maxsize=8)
def _dates(days: int) -> list[str]:
    return [str(day) for day in np.datetime64("2000-01-03") + np.arange(days)]
