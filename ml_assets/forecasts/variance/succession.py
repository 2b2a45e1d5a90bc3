"""The variance model in service, asked about the same days as the one that wants its place."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ml_assets.forecasts.variance.report import HorizonScore, VarianceRecord
from ml_assets.forecasts.variance.weights import VolatilityWeights
from ml_assets.windows.rolling import Floats
from ml_assets.windows.sequence_set import SequenceSet

__all__ = ["variance_record"]

Predict = Callable[[VolatilityWeights, NDArray[np.int64]], Floats]


def variance_record(
    sequences: SequenceSet, score: HorizonScore, weights: VolatilityWeights, sha256: str, predict: Predict
) -> VarianceRecord:
    """Let the champion forecast the scored days of the last fold that came after all it was trained on.

    Parameters
    ----------
    sequences : SequenceSet
        The newest sequences of the symbol.
    score : HorizonScore
        Of the new model.
    weights : VolatilityWeights
        The champion.
    sha256 : str
        Its version.
    predict : callable
        ``(weights, positions) -> variances (n, H)``.

    Returns
    -------
    VarianceRecord
        Without days where it knows them all or has no such horizon, and marked where it cannot be asked:
        other features or another window.
    """
    position, scored = sequences.positions("test"), np.array(score.dates, dtype="datetime64[D]")
    days = sequences.dates[position]
    position = position[(days > np.datetime64(weights.known_until)) & np.isin(days, scored)]
    alike = (weights.feature_names, weights.window) == (sequences.feature_names, sequences.window)
    if not alike or score.horizon not in weights.horizons or not position.size:
        return VarianceRecord(sha256, [], [], askable=alike)
    forecast = predict(weights, position)[:, weights.horizons.index(score.horizon)]
    return VarianceRecord(
        sha256, [str(day) for day in sequences.dates[position]], [float(v) for v in forecast]
    )
