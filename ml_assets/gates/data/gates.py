"""The gates of the assets between prices and training rows. Asset, mutants and docs take these lists."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ml_assets.gates.core import Gate
from ml_assets.gates.data._compare import Rebuild
from ml_assets.gates.data.augmented_ledger import augmented_ledger
from ml_assets.gates.data.causal import causal
from ml_assets.gates.data.ledger import ledger
from ml_assets.gates.data.non_interference import augmented_non_interference, non_interference
from ml_assets.gates.data.oracle import oracle
from ml_assets.gates.data.scale import scale
from ml_assets.prices.history import PriceHistory
from ml_assets.windows.augmented_set import AugmentedSet
from ml_assets.windows.sequence_set import SequenceSet

__all__ = ["AUGMENTED_GATES", "SEQUENCE_GATES", "AugmentedEvidence", "SequenceEvidence"]


@dataclass(frozen=True)
class SequenceEvidence:
    """What sequences are judged by.

    Parameters
    ----------
    prices : PriceHistory
        The certified prices that they were built from.
    rebuild : callable
        The pipeline that built them: the gates run it again on prices whose future is another.
    seed : int
        Decides cuts and redrawn days.
    """

    prices: PriceHistory
    rebuild: Rebuild
    seed: int = 0


@dataclass(frozen=True)
class AugmentedEvidence:
    """What an augmented training set is judged by; fields as of `SequenceEvidence`."""

    sequences: SequenceSet
    augment: Callable[[SequenceSet], AugmentedSet]
    seed: int = 0


SEQUENCE_GATES: tuple[Gate[SequenceSet, SequenceEvidence], ...] = (
    Gate(
        "causal",
        "No feature, window or label up to a day changes when later days are cut or perturbed.",
        lambda s, e: causal(e.prices, s, e.rebuild, seed=e.seed),
    ),
    Gate(
        "non_interference",
        "Nothing fitted on training rows changes when later prices change.",
        lambda s, e: non_interference(e.prices, s, e.rebuild, seed=e.seed),
    ),
    Gate(
        "ledger",
        "Splits are disjoint by the horizon, no row twice, every sealed day present.",
        lambda s, e: ledger(e.prices, s),
    ),
    Gate(
        "oracle",
        "Labels equal an independent recomputation from the raw prices.",
        lambda s, e: oracle(e.prices, s),
    ),
    Gate("scale", "No feature depends on the level of prices.", lambda s, e: scale(e.prices, s, e.rebuild)),
)
"""Gates of ``split_sequences``."""

AUGMENTED_GATES: tuple[Gate[AugmentedSet, AugmentedEvidence], ...] = (
    Gate(
        "non_interference",
        "Bit-equal when everything after the training rows is perturbed.",
        lambda a, e: augmented_non_interference(e.sequences, a, e.augment, seed=e.seed),
    ),
    Gate(
        "ledger",
        "Every augmented row has a training row as its parent; validation is untouched.",
        lambda a, e: augmented_ledger(e.sequences, a),
    ),
)
"""Gates of ``augmented_training_set``."""
