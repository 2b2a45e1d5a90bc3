"""A Keras callback that watches one ``fit``, and the state it takes and puts back. Imports TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from ml_assets.training.backend import keras, tf
from ml_assets.training.checkpoints import Snapshot
from ml_assets.training.signals import StopRequest

__all__ = ["TrainingWatch", "gradient_norms", "on_cpu", "put_back", "take"]


class TrainingWatch(keras.callbacks.Callback):  # type: ignore[misc]
    """Keeps the last good state, and stops on a signal or on a loss that is not a number.

    Parameters
    ----------
    good : Snapshot
        State to start from.
    stop : StopRequest
        Set by a signal.
    save : callable or None
        Called with every good state at the end of an epoch.
    """

    def __init__(self, good: Snapshot, stop: StopRequest, save: Callable[[Snapshot], Any] | None) -> None:
        super().__init__()
        self.good, self._stop, self._save = good, stop, save
        self._epoch, self._batch = good.epoch, 0
        self.broken = False  # whether a weight is not finite although its loss was

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:  # noqa: ARG002
        """Note where training stands."""
        self._epoch, self._batch = epoch, 0

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        """Stop at once on a signal or a loss that is not a number."""
        self._batch = batch + 1
        if self._stop.signum or not np.isfinite((logs or {}).get("loss", 0.0)):
            self.model.stop_training = True

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Keep the state if the epoch was completed and every number is finite."""
        logs = logs or {}
        if self._stop.signum or not np.isfinite(logs.get("loss", 0.0)):
            return
        losses = {name: [*self.good.losses.get(name, []), float(v)] for name, v in logs.items()}
        state = take(self.model, epoch=epoch + 1, losses=losses)
        if not state.finite:  # the last step broke the weights after its loss was computed
            self.broken = self.model.stop_training = True
            return
        self.good = state
        if self._save is not None:
            self._save(state)

    def now(self) -> Snapshot:
        """Return the state at this very batch, or the last good one if a number in it is not finite."""
        state = take(self.model, epoch=self._epoch, batch=self._batch, losses=self.good.losses)
        return state if state.finite else self.good


def take(
    model: Any, *, epoch: int, batch: int = 0, losses: Mapping[str, list[float]] | None = None
) -> Snapshot:
    """Copy the variables of a model and its optimizer."""
    optimizer = model.optimizer.variables if getattr(model, "optimizer", None) else []
    return Snapshot(
        epoch=epoch,
        batch=batch,
        model=_copied(_state(model)),
        optimizer=_copied(optimizer),
        losses=losses or {},
    )


def put_back(model: Any, snapshot: Snapshot) -> None:
    """Set the variables of a model and its optimizer.

    Raises
    ------
    ValueError
        If the model has other variables than the snapshot.
    """
    optimizer = model.optimizer.variables if getattr(model, "optimizer", None) else []
    for variables, values in ((_state(model), snapshot.model), (optimizer, snapshot.optimizer)):
        if len(variables) != len(values):
            raise ValueError(
                f"the checkpoint has {len(values)} variables, the model {len(variables)}; compile the model "
                "with the same optimizer as before, or give another checkpoint_dir"
            )
        for variable, value in zip(variables, values, strict=True):
            variable.assign(np.reshape(value, variable.shape))


def gradient_norms(model: Any, X: Any, y: Any) -> dict[str, float]:
    """Return the norm of each weight's gradient on one batch; empty if the model is not compiled."""
    if not getattr(model, "compiled", False):
        return {}
    with tf.GradientTape() as tape:
        loss = model.compute_loss(x=X, y=keras.ops.convert_to_tensor(y), y_pred=model(X, training=False))
    gradients = tape.gradient(loss, model.trainable_weights)
    pairs = zip(model.trainable_weights, gradients, strict=True)
    return {w.path: float(tf.norm(g)) for w, g in pairs if g is not None}


def on_cpu(model: Any) -> AbstractContextManager[Any]:
    """Return a context in which the model is compiled anew for the CPU."""
    if getattr(model, "compiled", False):
        model.make_train_function(force=True)
    return tf.device("/CPU:0")  # type: ignore[no-any-return]


def _state(model: Any) -> list[Any]:
    """Weights and random generators, without metrics: those start anew every epoch."""
    metrics = {id(v) for v in getattr(model, "metrics_variables", [])}
    return [v for v in model.variables if id(v) not in metrics]


def _copied(variables: list[Any]) -> list[Any]:
    return [np.asarray(keras.ops.convert_to_tensor(v)).copy() for v in variables]
