"""A training step compiled once per process and used for every symbol."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml_assets.mamba.config import MambaConfig, TrainingRecipe
from ml_assets.mamba.model import MambaModel
from ml_assets.mamba.objectives import Objective, objective_of
from ml_assets.training.backend import keras, tf

__all__ = ["Trainer", "compiled_trainer", "predictor"]

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
    """

    def __init__(self, config: MambaConfig, recipe: TrainingRecipe, window: int, n_features: int) -> None:
        self.shape = (window, n_features)
        self.lock = threading.Lock()  # held by whoever trains: the weights are shared
        self.model = MambaModel(config, seed=0)
        self.model.build((None, *self.shape))
        self.optimizer = _optimizer(self.model, recipe)
        self.outputs = predictor(self.model, self.shape)
        self.objective = objective_of(config, recipe)
        self._epoch = _compiled_epoch(self.model, self.optimizer, recipe, self.objective, self.shape)
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
        return float(self._epoch(X, targets))

    def score(self, X: Floats, targets: Floats) -> tuple[float, float]:
        """Return the loss and the objective's second figure over the scored steps."""
        loss, figure = self._score(X, targets)
        return float(loss), float(figure)


def compiled_trainer(config: MambaConfig, recipe: TrainingRecipe, window: int, n_features: int) -> Trainer:
    """Return this process' trainer for these settings; the first call compiles it."""
    plain = TrainingRecipe()
    same = {name: getattr(plain, name) for name in _NOT_COMPILED}
    return _trainer(config, replace(recipe, **same), window, n_features)


@lru_cache(maxsize=4)
def _trainer(config: MambaConfig, recipe: TrainingRecipe, window: int, n_features: int) -> Trainer:
    return Trainer(config, recipe, window, n_features)


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
    model: MambaModel, optimizer: Any, recipe: TrainingRecipe, objective: Objective, shape: tuple[int, int]
) -> Any:
    """Loop over batches outside XLA, each step compiled for one fixed batch shape."""
    size = recipe.batch_size

    @tf.function(jit_compile=recipe.jit_compile)  # type: ignore[untyped-decorator]
    def step(x: Tensor, targets: Tensor) -> Tensor:
        with tf.GradientTape() as tape:
            out = model.call_steps(x, training=True)[:, recipe.burn_in :]
            loss = objective.loss(out, targets[:, recipe.burn_in :])
        optimizer.apply(tape.gradient(loss, model.trainable_variables))
        return loss

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


def _compiled_score(model: MambaModel, objective: Objective, shape: tuple[int, int]) -> Any:
    window, n_features = shape
    signature = [tf.TensorSpec((None, window, n_features)), tf.TensorSpec((None, window, objective.width))]

    @tf.function(input_signature=signature)  # type: ignore[untyped-decorator]
    def score(X: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        scored: tuple[Tensor, Tensor] = objective.score(model.call_steps(X), targets)
        return scored

    return score
