"""What a mutant is, and how the gates are run on one."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from ml_assets.augmented_set import AugmentedSet, augment_sequences
from ml_assets.gates.data import AUGMENTED_GATES, SEQUENCE_GATES
from ml_assets.gates.result import GateResult
from ml_assets.prices.history import PriceHistory
from ml_assets.sequence_set import SequenceSet
from ml_assets.sequences import build_sequences
from ml_assets.steps import Steps

Build = Callable[[PriceHistory], SequenceSet]
Augment = Callable[[SequenceSet], AugmentedSet]


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


CLEAN = Pipeline()


@dataclass(frozen=True)
class Mutant:
    """A planted leak and the gate that has to kill it."""

    name: str
    gate: str
    pipeline: Pipeline


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
        if gate in SEQUENCE_GATES:
            return SEQUENCE_GATES[gate](self.prices, self.sequences, p.build)
        return AUGMENTED_GATES[gate](self.sequences, self.augmented(), p.augment)


GATES = (*SEQUENCE_GATES, *AUGMENTED_GATES)


def run_mutant(mutant: Mutant, prices: PriceHistory) -> tuple[GateResult, float]:
    """Run the gate that has to kill the mutant; the verdict and the CPU seconds that it took."""
    trial = Trial(prices, mutant.pipeline)
    start = time.process_time()
    result = trial.run(mutant.gate)
    return result, time.process_time() - start


def run_clean(prices: PriceHistory) -> tuple[list[GateResult], float]:
    """Run every gate on the product as it is."""
    start = time.process_time()
    trial = Trial(prices, CLEAN)
    return [trial.run(gate) for gate in GATES], time.process_time() - start
