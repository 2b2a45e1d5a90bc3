"""A training step compiled once per process and used for every symbol."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml_assets.mamba.config import MambaConfig, TrainingRecipe
from ml_assets.mamba.model import MambaModel
from ml_assets.mamba.objectives import Objective, objective_of
from ml_assets.training.backend import keras, placed_on, tf
from ml_assets.training.policy import Device
from ml_assets.training.watch import norms_by_path

__all__ = ["Trainer", "compiled_trainer", "forget_trainers", "predictor"]

Floats = NDArray[np.float32]
Tensor = Any

# Settings that the compiled step does not contain, so that changing them costs no compilation.
_NOT_COMPILED = ("epochs", "patience", "rises", "learning_rate", "stride", "fine_tuning", "max_restarts")
_CHUNK = 512  # windows per forward pass: bounds memory, and fixes the order of additions


class Trainer:
    """A model, its optimizer and their compiled steps; :meth:`reset` makes them new for the next symbol.

    Compiling costs seconds and is the same for every symbol, so one trainer serves a whole fleet.
    Targets are (n, L, k), as the :mod:`objective <ml_assets.mamba.objectives>` of the configuration says.

    Parameters
    ----------
    config, recipe
        Shape of the model and how it is trained.
    window, n_features : int
        Shape of a window.
    micro_batch : int
        Windows per forward pass; with fewer than a batch, gradients are added up to that of the batch.
    """

    def __init__(
        self, config: MambaConfig, recipe: TrainingRecipe, window: int, n_features: int, micro_batch: int
    ) -> None:
        self.shape, self._burn_in = (window, n_features), recipe.burn_in
        self._score_rows = None if micro_batch >= recipe.batch_size else micro_batch
        self.lock = threading.Lock()  # held by whoever trains: the weights are shared
        self.model = MambaModel(config, seed=0)
        self.model.build((None, *self.shape))
        self.optimizer = _optimizer(self.model, recipe)
        self.outputs = predictor(self.model, self.shape)
        self.objective = objective_of(config, recipe)
        self._epoch = _compiled_epoch(
            self.model, self.optimizer, recipe, self.objective, self.shape, micro_batch
        )
        self._score = _compiled_score(self.model, self.objective, self.shape)

    def reset(self, seed: int, learning_rate: float) -> None:
        """Start anew: weights, dropout and optimizer as a fresh model with this seed has them."""
        for variable, value in zip(
            self.model.variables, _fresh_values(self.model.config, seed, self.shape), strict=True
        ):
            variable.assign(value)
        self.restart(learning_rate)

    def restart(self, learning_rate: float) -> None:
        """Forget the optimizer's moments and set the learning rate; the weights stay."""
        for variable in self.optimizer.variables:
            variable.assign(keras.ops.zeros_like(variable))
        self.optimizer.learning_rate = learning_rate

    def epoch(self, X: Floats, targets: Floats) -> float:
        """Train once on (n, L, F) windows, `n` a multiple of the batch size; return the mean loss."""
        # As tensors: where NumPy finds no memory for the call's arguments, TensorFlow raises a TypeError.
        return float(self._epoch(tf.constant(X), tf.constant(targets)))

    def score(self, X: Floats, targets: Floats) -> tuple[float, float]:
        """Return the loss and the objective's second figure over the scored steps."""
        size = self._score_rows or max(1, len(X))
        parts = [(X[i : i + size], targets[i : i + size]) for i in range(0, len(X), size)]
        scored = [[float(figure) for figure in self._score(*part)] for part in parts]
        if len(scored) == 1:
            return scored[0][0], scored[0][1]
        known = np.array([np.count_nonzero(self.objective.known(of)) for _, of in parts])
        loss, figure = known @ np.array(scored) / max(known.sum(), 1)
        return float(loss), float(figure)

    def gradient_norms(self, X: Floats, targets: Floats) -> dict[str, float]:
        """Return the norm of each weight's gradient on some windows, to find what has made a loss NaN."""
        with tf.GradientTape() as tape:
            out = self.model.call_steps(X)[:, self._burn_in :]
            loss = self.objective.loss(out, tf.constant(targets)[:, self._burn_in :])
        return norms_by_path(self.model, tape.gradient(loss, self.model.trainable_weights))


def compiled_trainer(
    config: MambaConfig,
    recipe: TrainingRecipe,
    window: int,
    n_features: int,
    *,
    micro_batch: int | None = None,
    device: Device = "default",
) -> Trainer:
    """Return this process' trainer for these settings; the first call compiles it.

    Parameters
    ----------
    config, recipe, window, n_features
        As of :class:`Trainer`.
    micro_batch : int, optional
        Windows per forward pass; a whole batch if left out.
    device : {'default', 'cpu'}
        Where the model lives. Call the trainer inside ``placed_on(device)``, too.
    """
    plain = TrainingRecipe()
    same = {name: getattr(plain, name) for name in _NOT_COMPILED}
    return _trainer(
        config, replace(recipe, **same), window, n_features, micro_batch or recipe.batch_size, device
    )


@lru_cache(maxsize=4)
def _trainer(
    config: MambaConfig,
    recipe: TrainingRecipe,
    window: int,
    n_features: int,
    micro_batch: int,
    device: Device,
) -> Trainer:
    with placed_on(device):
        return Trainer(config, recipe, window, n_features, micro_batch)


def forget_trainers() -> None:
    """Let go of every compiled trainer that nobody uses, and of its memory."""
    _trainer.cache_clear()


@lru_cache(maxsize=8)
def _fresh_values(config: MambaConfig, seed: int, shape: tuple[int, int]) -> tuple[NDArray[Any], ...]:
    """Variables of a fresh model, with the state of its dropout generators: the same for every symbol."""
    fresh = MambaModel(config, seed=seed)
    fresh.build((None, *shape))
    return tuple(np.asarray(keras.ops.convert_to_tensor(v)).copy() for v in fresh.variables)


def predictor(model: MambaModel, shape: tuple[int, int]) -> Callable[[Floats], Floats]:
    """Return a function from normalized windows (n, L, F) to the last step's outputs (n, outputs).

    It is the one way to predict: two models with equal weights give bit-equal outputs through it.
    """

    @tf.function(input_signature=[tf.TensorSpec((None, *shape))])  # type: ignore[untyped-decorator]
    def last_step(x: Tensor) -> Tensor:
        return model.call_last(x)

    def predict(X: Floats) -> Floats:
        parts = [last_step(X[i : i + _CHUNK]).numpy() for i in range(0, len(X), _CHUNK)]
        return np.concatenate(parts) if parts else np.empty((0, model.config.outputs), np.float32)

    return predict


def _optimizer(model: MambaModel, recipe: TrainingRecipe) -> Any:
    optimizer = keras.optimizers.AdamW(
        recipe.learning_rate, weight_decay=recipe.weight_decay, global_clipnorm=recipe.clip_norm
    )
    # Decay rates, skips, biases and norms are not pulled to zero: zero means nothing for them.
    kept = [w for w in model.trainable_variables if len(w.shape) < 2 or w.name == "A_log"]
    optimizer.exclude_from_weight_decay(var_list=kept)
    optimizer.build(model.trainable_variables)
    return optimizer


def _compiled_epoch(
    model: MambaModel,
    optimizer: Any,
    recipe: TrainingRecipe,
    objective: Objective,
    shape: tuple[int, int],
    micro_batch: int,
) -> Any:
    """Loop over batches outside XLA, each step compiled for one fixed batch shape."""
    size = recipe.batch_size
    make = _whole_step if micro_batch >= size else partial(_step_in_parts, micro_batch=micro_batch)
    step = make(model, optimizer, recipe, objective)

    window, n_features = shape
    signature = [tf.TensorSpec((None, window, n_features)), tf.TensorSpec((None, window, objective.width))]

    @tf.function(input_signature=signature)  # type: ignore[untyped-decorator]
    def epoch(X: Tensor, targets: Tensor) -> Tensor:
        total, batches = tf.constant(0.0), tf.shape(X)[0] // size
        for i in tf.range(batches):
            rows = slice(i * size, (i + 1) * size)
            x = tf.ensure_shape(X[rows], (size, window, n_features))
            total += step(x, tf.ensure_shape(targets[rows], (size, window, objective.width)))
        return total / tf.cast(batches, tf.float32)

    return epoch


def _whole_step(
    model: MambaModel, optimizer: Any, recipe: TrainingRecipe, objective: Objective
) -> Callable[[Tensor, Tensor], Tensor]:
    """One step on a batch at once: ``(x, targets) -> loss``."""

    @tf.function(jit_compile=recipe.jit_compile)  # type: ignore[untyped-decorator]
    def step(x: Tensor, targets: Tensor) -> Tensor:
        with tf.GradientTape() as tape:
            out = model.call_steps(x, training=True)[:, recipe.burn_in :]
            loss = objective.loss(out, targets[:, recipe.burn_in :])
        optimizer.apply(tape.gradient(loss, model.trainable_variables))
        return loss

    return step  # type: ignore[no-any-return]


def _step_in_parts(
    model: MambaModel, optimizer: Any, recipe: TrainingRecipe, objective: Objective, *, micro_batch: int
) -> Callable[[Tensor, Tensor], Tensor]:
    """The same step with the memory of a part of the batch: gradients are added up before they are applied.

    The loss is a mean over the known targets of the whole batch, so each part weighs as many as it has. Up to
    rounding and the draws of dropout, the step is that on the whole batch.
    """

    @tf.function(jit_compile=recipe.jit_compile)  # type: ignore[untyped-decorator]
    def part(x: Tensor, targets: Tensor, share: Tensor) -> tuple[Tensor, list[Tensor]]:
        with tf.GradientTape() as tape:
            loss = share * objective.loss(model.call_steps(x, training=True)[:, recipe.burn_in :], targets)
        return loss, tape.gradient(loss, model.trainable_variables)

    @tf.function(jit_compile=recipe.jit_compile)  # type: ignore[untyped-decorator]
    def apply(gradients: list[Tensor]) -> None:
        optimizer.apply(gradients)

    def step(x: Tensor, targets: Tensor) -> Tensor:
        targets = targets[:, recipe.burn_in :]
        known = tf.maximum(_count(objective, targets), 1.0)
        loss, gradients = tf.constant(0.0), [tf.zeros_like(v) for v in model.trainable_variables]
        for begin in range(0, recipe.batch_size, micro_batch):
            rows = slice(begin, begin + micro_batch)
            # One part after the other: side by side they would need the memory of the whole batch again.
            with tf.control_dependencies(gradients):
                share = _count(objective, targets[rows]) / known
                of_part, more = part(tf.identity(x[rows]), targets[rows], share)
            loss, gradients = loss + of_part, [a + b for a, b in zip(gradients, more, strict=True)]
        apply(gradients)
        return loss

    return step


def _count(objective: Objective, targets: Tensor) -> Tensor:
    return tf.reduce_sum(tf.cast(objective.known(targets), tf.float32))


def _compiled_score(model: MambaModel, objective: Objective, shape: tuple[int, int]) -> Any:
    window, n_features = shape
    signature = [tf.TensorSpec((None, window, n_features)), tf.TensorSpec((None, window, objective.width))]

    @tf.function(input_signature=signature)  # type: ignore[untyped-decorator]
    def score(X: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        scored: tuple[Tensor, Tensor] = objective.score(model.call_steps(X), targets)
        return scored

    return score
