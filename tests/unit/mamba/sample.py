"""A small training set for tests: an AR(1) market and cheap settings."""

from __future__ import annotations

from functools import cache

from ml_assets.mamba import MambaConfig, TrainingRecipe
from ml_assets.prices.simulated import SimulatedMarket, simulate
from ml_assets.windows.augmented_set import AugmentedSet, augment_sequences
from ml_assets.windows.sequence_set import SequenceSet
from ml_assets.windows.sequences import build_sequences

TINY = MambaConfig(d_model=8, d_state=4, head_dim=8, dropout=0.1)
QUICK = TrainingRecipe(epochs=2, jit_compile=False)


@cache
def market(seed: int = 0, days: int = 1500, kind: str = "ar1") -> SimulatedMarket:
    return simulate(kind, days, best_accuracy=0.75, seed=seed)


@cache
def sequences(seed: int = 0, days: int = 1500, kind: str = "ar1") -> SequenceSet:
    return build_sequences(market(seed, days, kind).prices)


@cache
def augmented(seed: int = 0, days: int = 1500, kind: str = "ar1") -> AugmentedSet:
    return augment_sequences(sequences(seed, days, kind))
