"""The gates of relative direction: its label derived again from raw closes; all else as for direction."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from ml_assets.forecasts.direction import WalkForwardReport
from ml_assets.forecasts.drift import Look
from ml_assets.forecasts.relative import FEWEST, FleetMedian, RelativeReport
from ml_assets.forecasts.relative.drift import LiveRelative
from ml_assets.gates._verdict import Tally, require, verdict
from ml_assets.gates.core import Gate, GateResult
from ml_assets.gates.data._compare import bit_equal
from ml_assets.gates.data.gates import AUGMENTED_GATES, SEQUENCE_GATES, AugmentedEvidence, SequenceEvidence
from ml_assets.gates.data.oracle import oracle
from ml_assets.gates.forecasts.direction_drift import recompute_direction
from ml_assets.gates.forecasts.direction_figures import direction_figures
from ml_assets.gates.forecasts.direction_folds import DirectionEvidence
from ml_assets.gates.forecasts.gates import (
    DIRECTION_REPORT_GATES,
    DIRECTION_WEIGHT_GATES,
    DirectionWeightEvidence,
)
from ml_assets.mamba import MambaWeights
from ml_assets.prices import PriceHistory
from ml_assets.windows.augmented_set import AugmentedSet
from ml_assets.windows.sequence_set import SequenceSet

__all__ = [
    "FLEET_MEDIAN_GATES",
    "RELATIVE_REPORT_GATES",
    "RELATIVE_SEQUENCE_GATES",
    "RELATIVE_WEIGHT_GATES",
    "MedianEvidence",
    "RelativeEvidence",
    "RelativeSequenceEvidence",
    "RelativeWeightEvidence",
    "recompute_relative",
    "relative_history",
]

Closes = Mapping[str, pd.Series]

_TIE = 1e-12  # a stock that is the median stock itself, but for rounding


@dataclass(frozen=True)
class MedianEvidence:
    """What the fleet's median is judged by: closes of every stock that has to count, and who made it."""

    closes: Closes
    rebuild: Callable[[Closes], FleetMedian]
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class RelativeSequenceEvidence(SequenceEvidence):
    """What relative sequences are judged by: further, the certified median, and what it was taken of."""

    median: FleetMedian
    lineage: Callable[[], GateResult]


@dataclass(frozen=True)
class RelativeWeightEvidence(DirectionWeightEvidence):
    """What weights are judged by: further, how the rows trained on came from the certified sequences."""

    augmented: AugmentedEvidence


@dataclass(frozen=True)
class RelativeEvidence(DirectionEvidence):
    """What a report is judged by: further, the median by which its sequences were labelled."""

    median: FleetMedian


def median_recomputed(median: FleetMedian, evidence: MedianEvidence) -> GateResult:
    """Sort the returns of each session again, from raw closes: who counts, how many, and their median.

    Everybody with certified prices is a member, the controls aside. A member counts on a session if it has a
    close there and on the session before.
    """

    def inspect(tally: Tally) -> str:
        expected = tuple(sorted(evidence.closes))
        require(median.members == expected, f"members are {median.members}, certified were {expected}")
        days = sorted({day for series in evidence.closes.values() for day in series.index})
        require(
            [str(day) for day in median.sessions] == [str(day.date()) for day in days],
            f"{len(median.sessions)} sessions, on {len(days)} days a member was traded",
        )
        counts, middle = _by_session(evidence.closes, days)
        for k, day in enumerate(days):
            held, due = float(median.returns[k]), float(middle.get(day, np.nan))
            number = int(counts.get(day, 0))
            due = due if number >= FEWEST else np.nan
            require(
                int(median.counted[k]) == number,
                f"{day.date()}: {median.counted[k]} stocks are said to count, {number} were traded on it and "
                "on the session before",
            )
            same = abs(held - due) <= _TIE or (np.isnan(held) and np.isnan(due))
            require(same, f"{day.date()}: the median return is {held}, {due} by the closes of {number}")
        tally.checked = len(days)
        tally.figures |= {"members": len(expected), "fewest": int(median.counted[1:].min())}
        return f"{len(days)} medians of up to {int(median.counted.max())} stocks equal those of the closes"

    return verdict("recomputed", inspect)


def _by_session(closes: Closes, days: list[pd.Timestamp]) -> tuple[pd.Series, pd.Series]:
    before = pd.Series(days[:-1], index=days[1:])
    moves = []
    for series in closes.values():
        at = series.index.to_series()
        follows = at.shift(1).iloc[1:] == before.reindex(at.iloc[1:])
        moves.append((series / series.shift(1) - 1.0).iloc[1:][follows])
    grouped = pd.concat(moves).groupby(level=0)
    return grouped.count(), grouped.median()


def median_causal(median: FleetMedian, evidence: MedianEvidence) -> GateResult:
    """No session changes by a bit when later days are cut or redrawn, or a stock never joins later."""
    rng = np.random.default_rng(evidence.seed)

    def inspect(tally: Tally) -> str:
        days = median.sessions
        # Before the first stock leaves: who forgets it afterwards says something else of that time.
        left = min(np.datetime64(s.index[-1], "D") for s in evidence.closes.values())
        chosen = [*rng.choice(np.arange(1, len(days)), size=3), np.searchsorted(days, left) - 1]
        for place in sorted({int(place) for place in chosen if place > 0}):
            end = pd.Timestamp(days[place])
            known = {name: s.loc[:end] for name, s in evidence.closes.items() if s.index[0] <= end}
            redrawn = {name: _redrawn(s, end, rng) for name, s in evidence.closes.items()}
            for change, closes in (("cut", known), ("redrawn", redrawn)):
                if len(closes) >= FEWEST:
                    again = evidence.rebuild(closes)
                    tally.checked += _require_same(median, again, place + 1, f"{change} after {end.date()}")
        last = max(evidence.closes, key=lambda name: evidence.closes[name].index[0])
        joined = np.datetime64(evidence.closes[last].index[0], "D")
        others = {name: s for name, s in evidence.closes.items() if name != last}
        if len(others) >= FEWEST:
            before = int(np.searchsorted(median.sessions, joined))
            again = evidence.rebuild(others)
            tally.checked += 1 + _require_same(
                median, again, before, f"built without {last}, which joins after it"
            )
        return f"{tally.checked} sessions are the same whatever comes later"

    return verdict("causal", inspect)


def _redrawn(closes: pd.Series, end: pd.Timestamp, rng: np.random.Generator) -> pd.Series:
    later = np.asarray(closes.index > end)
    moves = rng.normal(0.0, 0.05, int(later.sum()))
    values = closes.to_numpy().copy()
    values[later] *= np.exp(np.cumsum(moves))
    return pd.Series(values, closes.index)


def _require_same(held: FleetMedian, again: FleetMedian, first: int, change: str) -> int:
    for name in ("sessions", "returns", "counted"):
        mine, theirs = getattr(held, name)[:first], getattr(again, name)[:first]
        require(
            bit_equal(mine, theirs),
            f"{name} up to {held.sessions[first - 1]} are others where the fleet is {change}",
        )
    return first


def relative_history(prices: PriceHistory, median: FleetMedian) -> PriceHistory:
    """The closes relative to the fleet, from raw closes and medians alone, as a history of their own.

    An index is compounded session by session, and looked up on the symbol's days.
    """
    level = pd.Series(median.returns, pd.DatetimeIndex(median.sessions)).fillna(0.0).add(1.0).cumprod()
    index = level.reindex(level.index.union(prices.dates)).ffill().fillna(1.0).reindex(prices.dates)
    close = prices.frame["close"]
    ratio = (close / close.shift(1)) / (index / index.shift(1))
    ratio[(ratio - 1.0).abs() < _TIE] = 1.0
    return replace(prices, frame=pd.DataFrame({"close": ratio.fillna(1.0).cumprod()}))


def recompute_relative(
    where: str, look: Look, live: LiveRelative, report: RelativeReport, block: int, false_alarms: float
) -> float:
    """As for direction, with outcomes from raw closes and the medians of the new days; the p-value."""
    relative = replace(live, prices=relative_history(live.prices, live.median))
    return recompute_direction(where, look, relative, report, block, false_alarms)


def _of_rows(gate: Gate[AugmentedSet, AugmentedEvidence]) -> Gate[MambaWeights, RelativeWeightEvidence]:
    return Gate(gate.name, gate.text, lambda _, e: gate.check(e.rows, e.augmented))


FLEET_MEDIAN_GATES: tuple[Gate[FleetMedian, MedianEvidence], ...] = (
    Gate(
        "recomputed",
        "Members, who counts and the median of each session derived again from the raw closes.",
        median_recomputed,
    ),
    Gate("causal", "Later days, and stocks that join later, change no earlier session.", median_causal),
)
"""Gates of ``fleet_median``."""

RELATIVE_SEQUENCE_GATES: tuple[Gate[SequenceSet, RelativeSequenceEvidence], ...] = (
    Gate(
        "one_lineage", "The median was taken of the very prices that are labelled.", lambda _, e: e.lineage()
    ),
    *(gate for gate in SEQUENCE_GATES if gate.name != "oracle"),
    Gate(
        "oracle",
        "Labels equal an independent recomputation from raw closes and the fleet's medians.",
        lambda s, e: oracle(relative_history(e.prices, e.median), s),
    ),
)
"""Gates of ``relative_sequences``."""

RELATIVE_WEIGHT_GATES: tuple[Gate[MambaWeights, RelativeWeightEvidence], ...] = (
    *map(_of_rows, AUGMENTED_GATES),
    *DIRECTION_WEIGHT_GATES,
)
"""Gates of ``relative_weights``: of the rows, which are no artifact of their own, and of the weights."""

RELATIVE_REPORT_GATES: tuple[Gate[WalkForwardReport, RelativeEvidence], ...] = tuple(
    Gate(
        "figures_recomputed",
        "Relative outcomes, accuracy, baselines and p-value derived again from raw closes and medians.",
        lambda r, e: direction_figures(relative_history(e.prices, e.median), e.folds, r),
    )
    if gate.name == "figures_recomputed"
    else gate
    for gate in DIRECTION_REPORT_GATES
)
"""Gates of ``relative_report``."""
