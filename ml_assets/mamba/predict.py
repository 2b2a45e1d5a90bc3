"""Predictions from stored weights and raw features."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ml_assets.mamba.config import MambaConfig
from ml_assets.mamba.model import MambaModel
from ml_assets.mamba.trainer import predictor
from ml_assets.mamba.weights import MambaWeights, StoredModel
from ml_assets.training.backend import placed_on, tf
from ml_assets.training.policy import Device
from ml_assets.windows.scaling import normalize

__all__ = ["DirectionStream", "model_from_weights", "predict_direction", "predict_outputs", "predict_returns"]

Floats = NDArray[np.float64]
_lock = threading.Lock()


def model_from_weights(weights: MambaWeights) -> MambaModel:
    """Return a fresh Keras model that carries these weights."""
    model = MambaModel(weights.config)
    model.build((None, weights.window, len(weights.feature_names)))
    model.assign_arrays(weights.arrays)
    return model


def predict_direction(weights: MambaWeights, X_raw: NDArray[np.floating]) -> Floats:
    """Probability that the next return is positive.

    Parameters
    ----------
    weights : MambaWeights
        Trained weights; their center and scale normalize the features.
    X_raw : ndarray (n, window, F)
        Raw features, as ``SequenceSet.X`` gives them.

    Returns
    -------
    ndarray (n,)

    Raises
    ------
    ValueError
        If the shape is not that of the training windows, or a value is not finite.
    """
    return 1.0 / (1.0 + np.exp(-_raw_outputs(weights, X_raw)[:, 0]))


def predict_returns(weights: MambaWeights, X_raw: NDArray[np.floating]) -> Floats:
    """Forecast of the next return, in units of a return; arguments as for :func:`predict_direction`.

    Raises
    ------
    ValueError
        Also if the model has no return head.
    """
    if not weights.config.return_head:
        raise ValueError(
            "these weights forecast direction only; train with MambaConfig(return_head=True) for returns"
        )
    return weights.return_center + weights.return_scale * _raw_outputs(weights, X_raw)[:, 1]


class DirectionStream:
    """Forecast day after day, at the cost of one day, with the state carried on.

    After exactly ``weights.window`` days the forecast is that of :func:`predict_direction` for the window of
    these days. Later it remembers more than a window holds, though the model was trained on windows;
    :meth:`reset` starts anew.

    Parameters
    ----------
    weights : MambaWeights
        Trained weights; their center and scale normalize the features.

    Examples
    --------
    >>> stream = DirectionStream(weights)  # doctest: +SKIP
    >>> for features in days:  # doctest: +SKIP
    ...     probability = stream.update(features)
    """

    def __init__(self, weights: MambaWeights) -> None:
        self._weights, self._model = weights, model_from_weights(weights)
        self._step = tf.function(self._model.step)
        self.reset()

    def reset(self) -> None:
        """Forget every day."""
        self._state = self._model.initial_state()
        self.days = 0

    def update(self, features: NDArray[np.floating]) -> float:
        """Take in the raw features of one day, (F,); return the probability that the next return is positive.

        Raises
        ------
        ValueError
            If the shape is another one or a value is not finite; the state is then unchanged.
        """
        wanted = (len(self._weights.feature_names),)
        if np.shape(features) != wanted:
            raise ValueError(
                f"{self._weights.symbol}: one day has features of shape {wanted}, got {np.shape(features)}"
            )
        if not np.isfinite(features).all():
            raise ValueError(f"{self._weights.symbol}: features hold NaN or infinity; drop the warm-up rows")
        day = normalize(np.asarray(features)[None], self._weights.center, self._weights.scale)
        outputs, self._state = self._step(tf.constant(day), self._state)
        self.days += 1
        return float(1.0 / (1.0 + np.exp(-float(outputs[0, 0]))))


def predict_outputs(weights: StoredModel, X: NDArray[np.float32]) -> NDArray[np.float32]:
    """Outputs of the last step for *normalized* windows: (n, window, F) -> (n, outputs)."""
    # Where it was trained: another device takes sums in another order.
    device = weights.recovery.device
    with _lock, placed_on(device):
        model, predict = _shared_model(weights.config, weights.window, len(weights.feature_names), device)
        model.assign_arrays(weights.arrays)
        return predict(X)


def _raw_outputs(weights: MambaWeights, X_raw: NDArray[np.floating]) -> Floats:
    wanted = (weights.window, len(weights.feature_names))
    if X_raw.ndim != 3 or X_raw.shape[1:] != wanted:
        raise ValueError(
            f"{weights.symbol}: features have shape {X_raw.shape}, the model was trained on (n, "
            f"{wanted[0]}, {wanted[1]}); build them with the same window and the features "
            f"{weights.feature_names}"
        )
    if not np.isfinite(X_raw).all():
        raise ValueError(f"{weights.symbol}: features hold NaN or infinity; drop the warm-up rows")
    outputs = predict_outputs(weights, normalize(X_raw, weights.center, weights.scale))
    return outputs.astype(np.float64)


@lru_cache(maxsize=4)
def _shared_model(
    config: MambaConfig,
    window: int,
    n_features: int,
    device: Device,  # noqa: ARG001  part of the key: the caller places it
) -> tuple[MambaModel, Callable[[NDArray[np.float32]], NDArray[np.float32]]]:
    """Trace the forward pass once per shape; weights are assigned for each symbol."""
    model = MambaModel(config)
    model.build((None, window, n_features))
    return model, predictor(model, (window, n_features))
