"""A Keras callback that watches one ``fit``, and the state it takes and puts back. Imports TensorFlow."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from ml_assets.training.backend import keras, placed_on, tf
from ml_assets.training.checkpoints import Snapshot
from ml_assets.training.nan_loss import explodes
from ml_assets.training.rows import EpochRows
from ml_assets.training.signals import StopRequest

__all__ = ["TrainingWatch", "fits", "gradient_norms", "norms_by_path", "on_cpu", "put_back", "take"]


class TrainingWatch(keras.callbacks.Callback):  # type: ignore[misc]
    """Keeps the last good state, and stops on a signal or on a loss that is out of order.

    Parameters
    ----------
    good : Snapshot
        State to start from.
    stop : StopRequest
        Set by a signal.
    save : callable or None
        Called with every good state at the end of an epoch.
    explosion_factor : float
        See :func:`ml_assets.training.nan_loss.explodes`.
    rows : EpochRows or None
        Arranged anew at the beginning of every epoch.
    """

    def __init__(
        self,
        good: Snapshot,
        stop: StopRequest,
        save: Callable[[Snapshot], Any] | None,
        *,
        explosion_factor: float,
        rows: EpochRows | None,
    ) -> None:
        super().__init__()
        self.good, self._stop, self._save = good, stop, save
        self._factor, self._rows = explosion_factor, rows
        self.epoch = good.epoch
        self.broken = float("nan")  # the loss that stopped the fit before Keras could record its epoch
        self.is_broken = False

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:  # noqa: ARG002
        """Arrange the rows."""
        self.epoch = epoch
        if self._rows is not None:
            self._rows.begin(epoch)

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:  # noqa: ARG002
        """Stop at once on a signal or a loss that is out of order."""
        loss = (logs or {}).get("loss", 0.0)
        if not np.isfinite(loss) or explodes(loss, self.good.losses.get("loss", []), self._factor):
            self._break(loss)
        if self._stop.signum:
            self.model.stop_training = True

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Keep the state if the epoch was completed and every number is in order."""
        if self._stop.signum or self.is_broken:
            return
        losses = {name: [*self.good.losses.get(name, []), float(v)] for name, v in (logs or {}).items()}
        state = take(self.model, epoch=epoch + 1, losses=losses, batch_size=self.good.batch_size)
        if not state.finite:  # the last step broke the weights after its loss was computed
            self._break(float("nan"))
            return
        self.good = state
        if self._save is not None:
            self._save(state)

    def _break(self, loss: float) -> None:
        self.broken, self.is_broken = float(loss), True
        self.model.stop_training = True


def take(
    model: Any, *, epoch: int, losses: Mapping[str, list[float]] | None = None, batch_size: int = 0
) -> Snapshot:
    """Copy the variables of a model and its optimizer."""
    optimizer = model.optimizer.variables if getattr(model, "optimizer", None) else []
    return Snapshot(
        epoch=epoch,
        model=_copied(_state(model)),
        optimizer=_copied(optimizer),
        losses=losses or {},
        batch_size=batch_size,
    )


def fits(model: Any, snapshot: Snapshot) -> bool:
    """Say whether a snapshot has the variables of this model and its optimizer."""
    optimizer = model.optimizer.variables if getattr(model, "optimizer", None) else []
    pairs = ((_state(model), snapshot.model), (optimizer, snapshot.optimizer))
    return all([math.prod(v.shape) for v in own] == [v.size for v in theirs] for own, theirs in pairs)


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
    return norms_by_path(model, tape.gradient(loss, model.trainable_weights))


def norms_by_path(model: Any, gradients: Sequence[Any]) -> dict[str, float]:
    """Return the norms of gradients by the paths of the model's trainable weights."""
    pairs = zip(model.trainable_weights, gradients, strict=True)
    return {w.path: float(tf.norm(g)) for w, g in pairs if g is not None}


def on_cpu(model: Any) -> AbstractContextManager[Any]:
    """Return a context in which the model is compiled anew for the CPU."""
    if getattr(model, "compiled", False):
        model.make_train_function(force=True)
    return placed_on("cpu")


def _state(model: Any) -> list[Any]:
    """Weights and random generators, without metrics: those start anew every epoch."""
    metrics = {id(v) for v in getattr(model, "metrics_variables", [])}
    return [v for v in model.variables if id(v) not in metrics]


def _copied(variables: list[Any]) -> list[Any]:
    return [np.asarray(keras.ops.convert_to_tensor(v)).copy() for v in variables]
