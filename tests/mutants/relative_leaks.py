"""Medians, labels and reports of relative direction that know too much."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd

from ml_assets.forecasts.direction import BASELINES
from ml_assets.forecasts.forecaster import FoldRows, fold_rows
from ml_assets.forecasts.relative import (
    RELATIVE_SCORING,
    FleetMedian,
    fleet_median,
    relative_closes,
    relative_sequences,
)
from ml_assets.forecasts.walk_forward import walk_forward
from ml_assets.gates.core import GateResult, by_name
from ml_assets.gates.forecasts.relative import (
    FLEET_MEDIAN_GATES,
    RELATIVE_REPORT_GATES,
    RELATIVE_SEQUENCE_GATES,
    MedianEvidence,
    RelativeEvidence,
    RelativeSequenceEvidence,
)
from ml_assets.prices.history import PriceHistory
from ml_assets.prices.simulated import simulate
from ml_assets.windows.labels import forward_returns
from ml_assets.windows.rolling import Floats
from ml_assets.windows.sequence_set import SequenceSet
from ml_assets.windows.sequences import build_sequences
from ml_assets.windows.splits import SequenceConfig
from ml_assets.windows.steps import Steps

Closes = dict[str, pd.Series]
Rows = Callable[[PriceHistory, FleetMedian], SequenceSet]

CONFIG = SequenceConfig(window=30, test_days=100, folds=2)
RELATIVE_GATES = (
    "fleet/recomputed",
    "fleet/causal",
    "relative/oracle",
    "relative_report/figures_recomputed",
)


def clean_rows(prices: PriceHistory, median: FleetMedian) -> SequenceSet:
    """Label as the product does."""
    return relative_sequences(prices, median, CONFIG)


@dataclass(frozen=True)
class RelativePipeline:
    """`median` and `rows` are what the gates may call again; `scored` is what the report is made from."""

    median: Callable[[Closes], FleetMedian] = fleet_median
    rows: Rows = clean_rows
    scored: Rows = clean_rows

    def trial(self, prices: PriceHistory) -> RelativeTrial:
        """Run it on a market."""
        return RelativeTrial(prices, self)


class RelativeTrial:
    """A fleet around one market: others join later, leave early, or have a hole."""

    def __init__(self, prices: PriceHistory, pipeline: RelativePipeline) -> None:
        self.prices, self.pipeline = prices, pipeline
        days = len(prices)
        keep = (slice(None), slice(days // 3, None), slice(None, days // 2), np.arange(days) % 97 > 2)
        self.closes: Closes = {"OWN": prices.frame["close"]}
        for seed, part in enumerate(keep):
            values = simulate("random_walk", days, seed=20 + seed, ohlcv=False).prices.frame["close"]
            self.closes[f"OTHER{seed}"] = pd.Series(values.to_numpy(), prices.dates)[part]

    @cached_property
    def median(self) -> FleetMedian:
        """What the pipeline takes for the median, after a round trip through its bytes."""
        return FleetMedian.from_bytes(self.pipeline.median(self.closes).to_bytes())

    def run(self, gate: str) -> GateResult:
        """Run one gate by what it judges, and its name."""
        asset, _, name = gate.rpartition("/")
        if asset == "fleet":
            evidence = MedianEvidence(self.closes, self.pipeline.median)  # type: ignore[arg-type]
            return by_name(FLEET_MEDIAN_GATES)[name].run(self.median, evidence)
        rows = self.pipeline.rows(self.prices, self.median)
        if asset == "relative":
            judged = RelativeSequenceEvidence(
                self.prices, lambda p: self.pipeline.rows(p, self.median), median=self.median, lineage=_none
            )
            return by_name(RELATIVE_SEQUENCE_GATES)[name].run(rows, judged)
        scored = self.pipeline.scored(self.prices, self.median)
        last_move = next(one for one in BASELINES if one.name == "persistence")
        report = walk_forward(RELATIVE_SCORING, last_move, *_folds(self.prices, scored))
        return by_name(RELATIVE_REPORT_GATES)[name].run(report, self._evidence(rows))

    def _evidence(self, rows: SequenceSet) -> RelativeEvidence:
        def forecast(_: int) -> Floats:
            raise NotImplementedError

        return RelativeEvidence(
            _none, self.prices, rows, (1,), forecast, 1, {}, [], None, lambda p, _: rows, self.median
        )


def _folds(prices: PriceHistory, rows: SequenceSet) -> tuple[pd.DataFrame, list[FoldRows]]:
    return prices.frame, fold_rows(prices.frame, rows, (1,))


def _none() -> GateResult:
    raise NotImplementedError("a trial has no certificates")


def _of_median(change: Callable[[FleetMedian], FleetMedian]) -> RelativePipeline:
    return RelativePipeline(median=lambda closes: change(fleet_median(closes)))


def _survivors(closes: Closes) -> FleetMedian:
    """Only stocks that trade to the end count: who failed on the way is forgotten."""
    end = max(series.index[-1] for series in closes.values())
    alive = fleet_median({name: s for name, s in closes.items() if s.index[-1] == end})
    return replace(fleet_median(closes), returns=alive.returns)


def _filled(closes: Closes) -> FleetMedian:
    """A missing close is filled from the day before, as if the stock had stood still."""
    days = pd.DatetimeIndex(sorted({day for s in closes.values() for day in s.index}))
    return fleet_median({name: s.reindex(days).ffill().dropna() for name, s in closes.items()})


def _labelled(closes_of: Callable[[PriceHistory, FleetMedian], Floats]) -> Rows:
    def rows(prices: PriceHistory, median: FleetMedian) -> SequenceSet:
        closes = closes_of(prices, median)
        return build_sequences(prices, CONFIG, steps=Steps(labels=lambda _, h: forward_returns(closes, h)))

    return rows


def _later(median: FleetMedian) -> FleetMedian:
    return replace(median, returns=np.append(median.returns[1:], np.nan))


def _of_later_median(prices: PriceHistory, median: FleetMedian) -> Floats:
    return relative_closes(prices.frame["close"].to_numpy(), prices.dates.to_numpy(), _later(median))


def _a_day_late(prices: PriceHistory, median: FleetMedian) -> SequenceSet:
    rows = clean_rows(prices, median)
    return replace(rows, returns=np.append(rows.returns[1:], np.nan))


PIPELINES: dict[str, tuple[str, RelativePipeline]] = {
    "fleet median of the next session": ("fleet/recomputed", _of_median(_later)),
    "fleet median over filled closes": ("fleet/recomputed", RelativePipeline(median=_filled)),
    "fleet median of the survivors": ("fleet/causal", RelativePipeline(median=_survivors)),
    "relative label of the next day": ("relative/oracle", RelativePipeline(rows=_a_day_late)),
    "relative label by tomorrow's median": (
        "relative/oracle",
        RelativePipeline(rows=_labelled(_of_later_median)),
    ),
    "relative report on plain returns": (
        "relative_report/figures_recomputed",
        RelativePipeline(scored=lambda prices, _: build_sequences(prices, CONFIG)),
    ),
}
