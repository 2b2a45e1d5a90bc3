"""Trained weights of a variance model, with everything needed to forecast from prices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ml_assets.forecasts.variance.start import StartRule
from ml_assets.mamba.trained import TrainedMamba

__all__ = ["VolatilityWeights"]


@dataclass(frozen=True, eq=False, kw_only=True)
class VolatilityWeights(TrainedMamba):
    """The outcome of one training on a symbol's variance (artifact of kind ``'volatility_weights'``).

    `known_until` is the last day that a training or validation label ends on, `data_sha256` that of the rows,
    see `VarianceSet.sha256`. `validation` holds ``rows``; the mean loss at each horizon, of the model and of
    the start (``loss_5``, ``start_loss_5``), relative to the start: 1 is what a perfect level without any
    knowledge of its changes would have; and ``best_epoch``. See
    :class:`~ml_assets.mamba.trained.TrainedMamba` for the other fields.

    Parameters
    ----------
    symbol : str
    horizons : tuple of int, length H
        Days ahead; output i is the logarithm of the variance over ``horizons[i]`` days as a ratio to that of
        `rule`.
    center, scale : ndarray (F,)
        Normalization fitted on the training rows.
    rule : StartRule
        The forecast that the model corrects, fitted on the training rows.
    validation_outputs_sha256 : str
        Hash of the trained model's outputs on the validation rows, for the gate that reloads it.
    """

    kind: ClassVar[str] = "volatility_weights"
    decoders: ClassVar = {
        "horizons": tuple, "center": np.array, "scale": np.array, "rule": StartRule.from_dict
    }  # fmt: skip

    symbol: str
    horizons: tuple[int, ...]
    center: NDArray[np.float64]
    scale: NDArray[np.float64]
    rule: StartRule
    validation_outputs_sha256: str
