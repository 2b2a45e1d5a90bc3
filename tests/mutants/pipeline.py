"""What a mutant is, and how the gates are run on one."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ml_assets.forecasts.forecaster import FoldRows
from ml_assets.forecasts.variance import VARIANCE_SCORING, VarianceSet, VolatilityReport, variance_rows
from ml_assets.forecasts.walk_forward import walk_forward
from ml_assets.gates.core import GateResult, by_name
from ml_assets.gates.data.gates import AUGMENTED_GATES, SEQUENCE_GATES, AugmentedEvidence, SequenceEvidence
from ml_assets.gates.forecasts.gates import (
    VARIANCE_REPORT_GATES,
    VARIANCE_WEIGHT_GATES,
    VarianceEvidence,
    VarianceWeightEvidence,
)
from ml_assets.prices.history import PriceHistory
from ml_assets.windows.augmented_set import AugmentedSet, augment_sequences
from ml_assets.windows.sequence_set import SequenceSet
from ml_assets.windows.sequences import build_sequences
from ml_assets.windows.splits import SequenceConfig
from ml_assets.windows.steps import Steps
from tests.mutants.relative_leaks import RELATIVE_GATES, RelativePipeline
from tests.unit.forecasts.variance_makers import Start

Build = Callable[[PriceHistory], SequenceSet]
Augment = Callable[[SequenceSet], AugmentedSet]
Rows = Callable[[SequenceSet, NDArray[np.float64]], VarianceSet]
HORIZONS = (1, 5)


def _unchanged_sequences(staged: SequenceSet) -> SequenceSet:
    return staged


def _unchanged_augmented(staged: AugmentedSet) -> AugmentedSet:
    return staged


@dataclass(frozen=True)
class Pipeline:
    """The product's code, or a mutant of it.

    `build` and `augment` are what the gates may call again; `stored` and `stored_augmented` corrupt the
    staged artifact alone.
    """

    build: Build = build_sequences
    augment: Augment = augment_sequences
    stored: Callable[[SequenceSet], SequenceSet] = _unchanged_sequences
    stored_augmented: Callable[[AugmentedSet], AugmentedSet] = _unchanged_augmented

    def trial(self, prices: PriceHistory) -> Trial:
        """Run it on a market."""
        return Trial(prices, self)


def clean_variance(sequences: SequenceSet, closes: NDArray[np.float64]) -> VarianceSet:
    """Derive the rows as the product does."""
    return variance_rows(sequences, closes, HORIZONS)


@dataclass(frozen=True)
class VarianceCase:
    """A market with its folds, their rows, and the forecasts of models that say what they start from."""

    prices: PriceHistory
    folds: list[SequenceSet]
    rows: list[VarianceSet]

    @property
    def closes(self) -> NDArray[np.float64]:
        """Closes of the whole history."""
        return self.prices.frame["close"].to_numpy(dtype=np.float64)

    def forecast(self, number: int) -> NDArray[np.float64]:
        """Variances for the test rows of a fold."""
        fold = self.folds[number - 1]
        return self.rows[number - 1].rule.forecast(self.closes)[fold.positions("test")]


def clean_report(case: VarianceCase) -> VolatilityReport:
    """Score as the product does."""
    return scored(case, case.prices.frame)


def scored(case: VarianceCase, frame: pd.DataFrame) -> VolatilityReport:
    """Score the forecasts of these models by these prices."""
    rows = [FoldRows(frame.iloc[: len(fold.dates)], fold, HORIZONS) for fold in case.folds]
    return walk_forward(VARIANCE_SCORING, Start(case.folds, case.rows, case.closes), frame, rows)


@dataclass(frozen=True)
class VariancePipeline:
    """The same for variance: the certified sequences are clean, what is derived from them may not be.

    `rows` is what the gates may call again, `report` what scores.
    """

    rows: Rows = clean_variance
    report: Callable[[VarianceCase], VolatilityReport] = clean_report

    def trial(self, prices: PriceHistory) -> VarianceTrial:
        """Run it on a market."""
        return VarianceTrial(prices, self)


class AnyTrial(Protocol):
    """Staged artifacts on which a gate can be run."""

    def run(self, gate: str) -> GateResult:
        """Run one gate by its name."""
        ...


class AnyPipeline(Protocol):
    """What can be run on a market."""

    def trial(self, prices: PriceHistory) -> AnyTrial:
        """Run it."""
        ...


CLEAN, CLEAN_VARIANCE = Pipeline(), VariancePipeline()


@dataclass(frozen=True)
class Mutant:
    """A planted leak and the gate that has to kill it."""

    name: str
    gate: str
    pipeline: AnyPipeline


def with_steps(steps: Steps) -> Pipeline:
    """Inject functions into the product's pipeline."""
    return Pipeline(
        build=lambda prices: build_sequences(prices, steps=steps),
        augment=lambda sequences: augment_sequences(sequences, steps=steps),
    )


@dataclass
class Trial:
    """Staged artifacts of one pipeline on one market, and the gates to run on them."""

    prices: PriceHistory
    pipeline: Pipeline
    sequences: SequenceSet = field(init=False)

    def __post_init__(self) -> None:
        staged = self.pipeline.stored(self.pipeline.build(self.prices))
        self.sequences = SequenceSet.from_bytes(staged.to_bytes())

    def augmented(self) -> AugmentedSet:
        staged = self.pipeline.stored_augmented(self.pipeline.augment(self.sequences))
        return AugmentedSet.from_bytes(staged.to_bytes())

    def run(self, gate: str) -> GateResult:
        p = self.pipeline
        asset, _, name = gate.rpartition("/")
        if asset == "augmented":
            evidence = AugmentedEvidence(self.sequences, p.augment)
            return by_name(AUGMENTED_GATES)[name].run(self.augmented(), evidence)
        return by_name(SEQUENCE_GATES)[name].run(self.sequences, SequenceEvidence(self.prices, p.build))


class VarianceTrial:
    """Rows and report of one pipeline on two folds of one market, and the gates to run on them."""

    def __init__(self, prices: PriceHistory, pipeline: VariancePipeline) -> None:
        self.prices, self.pipeline = prices, pipeline
        self.sequences = build_sequences(prices, SequenceConfig(window=30, test_days=100, folds=2))
        self.folds = [self.sequences.fold(number) for number in (1, 2)]

    @cached_property
    def case(self) -> VarianceCase:
        """What the pipeline derives."""
        closes = self.prices.frame["close"].to_numpy(dtype=np.float64)
        return VarianceCase(self.prices, self.folds, [self.pipeline.rows(f, closes) for f in self.folds])

    @cached_property
    def report(self) -> VolatilityReport:
        """What the pipeline says of it, after a round trip through its bytes."""
        return VolatilityReport.from_bytes(self.pipeline.report(self.case).to_bytes())

    def run(self, gate: str) -> GateResult:
        """Run one gate by what it judges, and its name."""
        asset, _, name = gate.rpartition("/")
        case, rows = self.case, self.case.rows
        if asset == "weights":
            weighed = VarianceWeightEvidence(
                _no_lineage, self.prices, self.folds[-1], rows[-1], self.pipeline.rows
            )  # fmt: skip
            return by_name(VARIANCE_WEIGHT_GATES)[name].run(None, weighed)  # type: ignore[arg-type]
        evidence = VarianceEvidence(
            _no_lineage, self.prices, self.sequences, HORIZONS, case.forecast, 1, {}, [], rows=rows
        )
        # What the rows are judged by needs no report, and a mutant of them may have none.
        report = None if name in _REPORT[:3] else self.report
        return by_name(VARIANCE_REPORT_GATES)[name].run(report, evidence)  # type: ignore[arg-type]


def _no_lineage() -> GateResult:
    raise NotImplementedError("a trial has no certificates")


# What certificates say of lineage and attempts, and what a trained file says, needs a store and a training.
_WEIGHTS = ("non_interference",)
_REPORT = (
    "oracle", "ledger", "start_recomputed", "folds_sealed", "every_test_day_scored", "figures_recomputed",
    "predictions_reproduced",
)  # fmt: skip
VARIANCE_GATES = (
    *(f"weights/{n}" for n in _WEIGHTS),
    *(f"report/{n}" for n in _REPORT),
)
GATES = (
    *by_name(SEQUENCE_GATES),
    *(f"augmented/{name}" for name in by_name(AUGMENTED_GATES)),
    *VARIANCE_GATES,
    *RELATIVE_GATES,
)


def run_mutant(mutant: Mutant, prices: PriceHistory) -> tuple[GateResult, float]:
    """Run the gate that has to kill the mutant; the verdict and the CPU seconds that it took."""
    trial = mutant.pipeline.trial(prices)
    start = time.process_time()
    result = trial.run(mutant.gate)
    return result, time.process_time() - start


def run_clean(prices: PriceHistory) -> tuple[list[GateResult], float]:
    """Run every gate on the product as it is."""
    start = time.process_time()
    data, variance, relative = (p.trial(prices) for p in (CLEAN, CLEAN_VARIANCE, RelativePipeline()))
    trials = dict.fromkeys(VARIANCE_GATES, variance) | dict.fromkeys(RELATIVE_GATES, relative)
    results = [trials.get(gate, data).run(gate) for gate in GATES]
    return results, time.process_time() - start
