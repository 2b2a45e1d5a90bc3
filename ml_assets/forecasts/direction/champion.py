"""The model in service, asked about the same days as the one that wants its place."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ml_assets.forecasts.direction.walk_forward import ChampionRecord
from ml_assets.windows.sequences import SequenceSet

if TYPE_CHECKING:
    from ml_assets.mamba.weights import MambaWeights

__all__ = ["champion_record"]

Predict = Callable[["MambaWeights", NDArray[np.float32]], NDArray[np.float64]]


def champion_record(
    sequences: SequenceSet, weights: MambaWeights, sha256: str, predict: Predict
) -> ChampionRecord:
    """Let the champion forecast the test days of the last fold that came after all it was trained on.

    Parameters
    ----------
    sequences : SequenceSet
        The newest sequences of the symbol.
    weights : MambaWeights
        The champion.
    sha256 : str
        Its version.
    predict : callable
        ``(weights, X) -> probabilities`` from raw windows.

    Returns
    -------
    ChampionRecord
        Without days where it knows them all, and marked where it cannot be asked: other features or another
        window.
    """
    position = sequences.positions("test")[:: sequences.horizon]
    known = int(np.searchsorted(sequences.dates, np.datetime64(weights.known_until), side="right")) - 1
    # A window may read days that the champion knows; the day forecast from must come after its last label.
    position = position[position >= known + sequences.horizon]
    alike = (weights.feature_names, weights.window) == (sequences.feature_names, sequences.window)
    if not alike or not position.size:
        return ChampionRecord(sha256, [], [], askable=alike)
    rows = np.isin(sequences.positions("test"), position)
    probability = predict(weights, sequences.X("test")[rows])
    return ChampionRecord(
        sha256, [str(day) for day in sequences.dates[position]], [float(p) for p in probability]
    )
