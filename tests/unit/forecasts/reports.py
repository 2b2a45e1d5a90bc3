"""Honest reports of both targets, what they are judged by, and the gates that judge them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import pytest

from ml_assets.forecasts.report import Report
from ml_assets.gates.core import Gate, GateResult, by_name
from ml_assets.gates.forecasts.gates import (
    DIRECTION_REPORT_GATES,
    VARIANCE_REPORT_GATES,
    DirectionEvidence,
    VarianceEvidence,
)
from ml_assets.gates.forecasts.report import ReportEvidence
from ml_assets.windows.sequences import SequenceConfig, build_sequences
from tests.unit.forecasts import direction_makers as direction
from tests.unit.forecasts import variance_makers as variance

LINEAGE = GateResult("one_lineage", True, "of one history", 1)


@dataclass(frozen=True)
class Case:
    """An honest report, what it is judged by, and the gates that judge it."""

    report: Report
    evidence: ReportEvidence
    gates: tuple[Gate[Any, Any], ...]

    def gate(self, name: str, report: Report | None = None, **evidence: Any) -> GateResult:
        held = replace(self.evidence, **evidence)
        return by_name(self.gates)[name].run(self.report if report is None else report, held)

    def with_score(self, place: int, **change: Any) -> Report:
        scores = list(self.report.scores)
        scores[place] = replace(scores[place], **change)
        return replace(self.report, scores=scores)


def rebuild(prices: Any, days: int, horizon: int = 1) -> Any:
    return build_sequences(prices, SequenceConfig(window=20, horizon=horizon, test_days=days))


@cache
def case(target: str) -> Case:
    if target == "variance":
        prices, sequences = variance.market()
        evidence: ReportEvidence = VarianceEvidence(
            lambda: LINEAGE, prices, sequences, variance.HORIZONS, variance.forecast, 1, {}, [],
            rows=variance.folds()[1],
        )  # fmt: skip
        return Case(variance.scored(), evidence, VARIANCE_REPORT_GATES)
    horizon = int(target[-1])
    prices, sequences = direction.market(horizon)
    rows = direction.rows(horizon)
    evidence = DirectionEvidence(
        lambda: LINEAGE, prices, sequences, (horizon,), lambda n: direction.Fixed().forecast(rows[n - 1]), 1,
        {}, [], base=None, rebuild=lambda cut, days: rebuild(cut, days, horizon),
    )  # fmt: skip
    report = direction.scored(horizon)
    return Case(type(report).from_bytes(report.to_bytes()), evidence, DIRECTION_REPORT_GATES)


PLACES = [("direction 1", 0), ("direction 3", 0), ("variance", 0), ("variance", 1)]
every_score = pytest.mark.parametrize(("target", "place"), PLACES)
every_target = pytest.mark.parametrize("target", ["direction 1", "variance"])


def with_item(values: list[Any], index: int, value: Any) -> list[Any]:
    return [*values[:index], value, *values[index + 1 :]]
