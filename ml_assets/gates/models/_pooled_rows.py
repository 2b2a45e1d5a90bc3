"""Whether pooled days are the certified ones: their features, their labels, their place in the calendar."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ml_assets.gates._verdict import require
from ml_assets.gates.data._compare import unequal_bits
from ml_assets.windows.scaling import fit_scale, normalize

if TYPE_CHECKING:
    from ml_assets.mamba.pooled import PooledSet
    from ml_assets.windows.sequence_set import SequenceSet

__all__ = ["require_certified_rows", "row_name"]


def require_certified_rows(pooled: PooledSet, sequences: Mapping[str, SequenceSet]) -> None:
    """Require that every pooled day is the certified day of the symbol and date that it claims to be.

    Its features are normalized again from the certified ones, by the mean and deviation of the member's
    training days alone; its label and the day on which that is known are looked up.

    Raises
    ------
    Violation
        Naming the first day that is not.
    """
    for number, symbol in enumerate(pooled.members):
        own = np.flatnonzero(pooled.member == number)
        source = sequences[symbol]
        position = np.searchsorted(source.dates, pooled.dates[own])
        position = np.minimum(position, len(source.dates) - source.horizon - 1)
        known = np.isfinite(pooled.targets[own, 0])
        same = {
            "days": (source.dates[position] == pooled.dates[own]) & (np.diff(position, prepend=-1) > 0),
            "features": ~unequal_bits(
                pooled.days[own], _features(pooled, own, source, position)
            ).any(axis=1),
            "labels": ~known | _labels_agree(pooled, own, source, position),
        }  # fmt: skip
        for what, holds in same.items():
            wrong = own[~holds]
            where = "" if not len(wrong) else row_name(pooled, wrong[0])
            require(not len(wrong), f"{where}: its {what} are not those of the certified sequences")


def row_name(pooled: PooledSet, row: int) -> str:
    """Name the symbol and the day of a pooled row."""
    return f"{pooled.members[pooled.member[row]]} on {pooled.dates[row]}"


def _features(
    pooled: PooledSet, own: NDArray[np.int64], source: SequenceSet, position: NDArray[np.int64]
) -> NDArray[np.float32]:
    last = pooled.train[np.isin(pooled.train, own)].max()
    trained = np.zeros(len(source.dates), bool)
    trained[position[own <= last]] = True
    return normalize(source.features[position], *fit_scale(source.features, trained))


def _labels_agree(
    pooled: PooledSet, own: NDArray[np.int64], source: SequenceSet, position: NDArray[np.int64]
) -> NDArray[np.bool_]:
    rows = position[np.isin(own, pooled.train)]
    center, scale = np.mean(source.returns[rows]), np.std(source.returns[rows]) or 1.0
    returns = source.returns[position]
    return np.asarray(
        (source.dates[position + source.horizon] == pooled.label_ends[own])
        & ((pooled.targets[own, 0] > 0.5) == (returns > 0))
        & np.isclose(pooled.targets[own, 1], (returns - center) / scale, rtol=1e-5, atol=1e-6)
    )
