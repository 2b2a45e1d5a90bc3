"""The gates of trained models. Asset, tests and docs take these lists."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ml_assets.gates.core import Gate
from ml_assets.gates.models.pooling import Pool, base_learned, calendar_boundary, pooled_non_interference
from ml_assets.gates.models.training import weights_finite_and_complete

if TYPE_CHECKING:
    from ml_assets.mamba.base_weights import MambaBaseWeights
    from ml_assets.mamba.pooled import PooledSet
    from ml_assets.windows.sequence_set import SequenceSet

__all__ = ["BASE_GATES", "BaseEvidence"]


@dataclass(frozen=True)
class BaseEvidence:
    """What a base model is judged by.

    Parameters
    ----------
    sets : sequence of SequenceSet
        The certified sequences of the symbols that were read, as they stood at the first fold.
    pool : callable
        The code that pools them: the gates run it again on sequences whose later days are others.
    pooled : PooledSet
        What the model was trained on.
    seed : int
        Decides the redrawn days.
    """

    sets: Sequence[SequenceSet]
    pool: Pool
    pooled: PooledSet
    seed: int = 0


BASE_GATES: tuple[Gate[MambaBaseWeights, BaseEvidence], ...] = (
    Gate(
        "calendar_boundary",
        "No training row or label of any symbol reaches any symbol's validation.",
        lambda w, e: calendar_boundary(w, e.sets, e.pool),
    ),
    Gate(
        "pooled_non_interference",
        "Bit-equal training rows when all later days of all symbols are redrawn.",
        lambda _, e: pooled_non_interference(e.sets, e.pool, seed=e.seed),
    ),
    Gate(
        "finite_and_complete",
        "Every weight exists, has its shape, is finite and was trained.",
        lambda w, _: weights_finite_and_complete(w),
    ),
    Gate(
        "learned",
        "Validation loss is finite and no worse than before training.",
        lambda w, e: base_learned(w, e.pooled),
    ),
)
"""Gates of ``mamba_base_weights``."""
