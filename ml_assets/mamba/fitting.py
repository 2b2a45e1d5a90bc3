"""The loop of a training: epochs, validation, early stopping, restarts; for one symbol and for many."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml_assets.mamba.config import TrainingRecipe
from ml_assets.mamba.examples import Examples
from ml_assets.mamba.trainer import Trainer
from ml_assets.training.errors import TrainingError
from ml_assets.training.nan_loss import handle_nan_loss

__all__ = ["Fitted", "Progress", "fit"]

logger = logging.getLogger(__name__)

Arrays = Mapping[str, NDArray[Any]]
Progress = Callable[[Mapping[str, float]], None]
"""Called after every epoch with that epoch's entry of the history."""

_LOWER = "lower TrainingRecipe.learning_rate, and look for extreme values in this symbol's features"
_LEAST_GAIN = 1e-5  # of the validation loss, in nats


@dataclass(frozen=True)
class Fitted:
    """The best weights of a training, their validation loss and epoch, and the history of all epochs."""

    arrays: Arrays
    loss: float
    epoch: int
    history: tuple[Mapping[str, float], ...]


@dataclass
class _State:
    """The best weights so far and the learning rate in force."""

    learning_rate: float
    arrays: Arrays
    loss: float = float("inf")
    epoch: int = 0
    restarts: int = 0
    history: list[Mapping[str, float]] = field(default_factory=list)


def fit(
    name: str,
    trainer: Trainer,
    recipe: TrainingRecipe,
    examples: Examples,
    *,
    seed: int,
    keep_start: bool = False,
    progress: Progress | None = None,
) -> Fitted:
    """Train from the weights that the trainer holds, at the rate of the recipe.

    Parameters
    ----------
    name : str
        Whose training it is, for messages.
    trainer : Trainer
        Already reset; its lock is held by the caller. On return it holds the best weights.
    recipe : TrainingRecipe
    examples : Examples
    seed : int
        Decides what is drawn.
    keep_start : bool
        Whether the weights at the start may be the best ones; epoch 0 then.
    progress : callable, optional

    Raises
    ------
    TrainingError
        If the loss is not a number after the last allowed restart, or in every epoch.
    """
    rng = np.random.default_rng(seed)
    state = _State(recipe.learning_rate, trainer.model.to_arrays())
    if keep_start:
        state.loss = trainer.score(*examples.check)[0]
    for epoch in range(1, recipe.epochs + 1):
        loss = trainer.epoch(*examples.draw(rng))
        checked, figure = trainer.score(*examples.check)
        entry = {
            "epoch": epoch, "loss": loss, "validation_loss": checked,
            f"validation_{trainer.objective.figure}": figure, "learning_rate": state.learning_rate,
        }  # fmt: skip
        state.history.append(entry)
        if not np.isfinite([loss, checked]).all():
            _restart(name, trainer, recipe, state)
        elif checked < state.loss - _LEAST_GAIN:
            state.loss, state.epoch, state.arrays = checked, epoch, trainer.model.to_arrays()
        if progress is not None:
            progress(entry)
        if epoch - state.epoch >= recipe.patience or _rising(state.history, recipe.rises):
            break
    if not np.isfinite(state.loss):
        raise TrainingError(
            f"{name}: no epoch of {len(state.history)} gave a finite validation loss; {_LOWER}"
        )
    trainer.model.assign_arrays(state.arrays)
    return Fitted(state.arrays, state.loss, state.epoch, tuple(state.history))


def _rising(history: Sequence[Mapping[str, float]], rises: int) -> bool:
    """Whether so many epochs in a row each validated worse than the one before."""
    losses = [entry["validation_loss"] for entry in history[-rises - 1 :]]
    return len(losses) > rises and all(before < after for before, after in itertools.pairwise(losses))


def _restart(name: str, trainer: Trainer, recipe: TrainingRecipe, state: _State) -> None:
    """Return to the best weights at half the rate, unless that was done often enough."""
    trainer.model.assign_arrays(state.arrays)
    losses = [entry["loss"] + entry["validation_loss"] for entry in state.history]
    reason = str(handle_nan_loss(trainer.model, losses)["stop_reason"])
    if state.restarts == recipe.max_restarts:
        raise TrainingError(f"{name}: {reason}, after {state.restarts} restarts at lower rates; {_LOWER}")
    state.restarts += 1
    state.learning_rate /= 2
    trainer.restart(state.learning_rate)
    logger.warning(
        "%s: %s; restarting from epoch %d at rate %.1e", name, reason, state.epoch, state.learning_rate
    )
