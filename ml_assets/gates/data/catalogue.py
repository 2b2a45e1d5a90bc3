"""The gates on data by artifact, so that orchestration, mutants and tests run the same list."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ml_assets.gates.core import GateResult
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

__all__ = ["AUGMENTED_GATES", "SEQUENCE_GATES"]

Augment = Callable[[SequenceSet], AugmentedSet]

SEQUENCE_GATES: Mapping[str, Callable[[PriceHistory, SequenceSet, Rebuild], GateResult]] = {
    "ledger": lambda prices, staged, _: ledger(prices, staged),
    "oracle": lambda prices, staged, _: oracle(prices, staged),
    "scale": scale,
    "causal": causal,
    "non_interference": non_interference,
}
"""Gates of the asset ``split_sequences``: ``gate(prices, staged, rebuild)``, cheapest first."""

AUGMENTED_GATES: Mapping[str, Callable[[SequenceSet, AugmentedSet, Augment], GateResult]] = {
    "augmented_ledger": lambda sequences, staged, _: augmented_ledger(sequences, staged),
    "augmented_non_interference": augmented_non_interference,
}
"""Gates of the asset ``augmented_training_set``: ``gate(sequences, staged, augment)``."""
