"""The frame of every Mamba training: epochs, validation, early stopping, recovery from what goes wrong."""

from __future__ import annotations

import gc
import itertools
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from ml_assets.mamba.config import MambaConfig, TrainingRecipe
from ml_assets.mamba.examples import Examples, Floats
from ml_assets.mamba.trained import TrainedMamba
from ml_assets.mamba.trainer import Trainer, compiled_trainer, forget_trainers
from ml_assets.training.backend import placed_on
from ml_assets.training.errors import TrainingError
from ml_assets.training.nan_loss import handle_nan_loss
from ml_assets.training.policy import Recovery, TrainingRecord
from ml_assets.training.safe import safe_training
from ml_assets.training.signals import deliver, stop_on_signal

__all__ = ["Fitted", "Progress", "Session", "train"]

logger = logging.getLogger(__name__)

Arrays = Mapping[str, NDArray[Any]]
Progress = Callable[[Mapping[str, float]], None]
"""Called after every epoch with that epoch's entry of the history."""
M = TypeVar("M", bound=TrainedMamba)

_LOWER = "lower TrainingRecipe.learning_rate, and look for extreme values in this symbol's features"
_LEAST_GAIN = 1e-5  # of the validation loss, in nats


class Rows(Protocol):
    """What the frame asks of the rows of a training."""

    @property
    def window(self) -> int: ...
    @property
    def feature_names(self) -> tuple[str, ...]: ...


@dataclass(frozen=True)
class Fitted:
    """The best weights of a training, their validation loss and epoch, and the history of all epochs."""

    arrays: Arrays
    loss: float
    epoch: int
    history: tuple[Mapping[str, float], ...]


def train(
    kind: type[M],
    name: str,
    rows: Rows,
    config: MambaConfig,
    recipe: TrainingRecipe,
    work: Callable[[Session], tuple[Fitted, dict[str, Any]]],
    *,
    seed: int,
    progress: Progress | None = None,
    record: TrainingRecord | None = None,
) -> M:
    """Train a model under the recovery policy and make its artifact.

    A training takes seconds. After running out of memory or a CUDA error it is therefore made again from
    the start under the new conditions. So it depends on nothing but rows, recipe, seed and its record, and a
    gate can repeat it to the bit.

    Parameters
    ----------
    kind : type
        Of the artifact.
    name : str
        Whose training it is, for messages.
    rows : AugmentedSet, PooledSet or VarianceSet
    config, recipe
        Shape of the model and how to train.
    work : callable
        Fits in the given session, once or more; returns what is kept, and the artifact's other fields.
    seed : int
    progress : callable, optional
    record : TrainingRecord, optional
        Of an earlier training that this one is to repeat.
    """
    started = time.perf_counter()
    size = recipe.batch_size
    # A signal is noted, and acts when the training is over, after seconds. Dagster's own handler raises, and
    # Python drops that in a callback of the garbage collector: the signal would be lost.
    with (
        stop_on_signal() as request,
        safe_training(
            initial_batch_size=size,
            min_batch_size=max(1, size // 4),
            max_nan_restarts=recipe.max_restarts,
            rate_factor=0.5,
            record=record,
        ) as recovery,
    ):

        def attempt() -> tuple[Fitted, dict[str, Any]]:
            recovery.begin()
            state = recovery.state
            if state.batch_size < size:
                forget_trainers()  # the memory of the larger batch shape
                gc.collect()
            with placed_on(state.device):
                trainer = compiled_trainer(
                    config, recipe, rows.window, len(rows.feature_names),
                    micro_batch=state.batch_size, device=state.device,
                )  # fmt: skip
                with trainer.lock:
                    trainer.reset(seed, recipe.learning_rate)
                    return work(Session(name, trainer, recipe, seed, recovery, progress))

        fitted, fields = recovery.attempt(attempt)
    deliver(request)
    seconds = time.perf_counter() - started
    figures = {**fields.pop("validation"), "best_epoch": float(fitted.epoch)}
    logger.info(
        "%s: best epoch %d of %d, %s, %.1f s", name, fitted.epoch, len(fitted.history), figures, seconds
    )
    return kind(
        config=config,
        recipe=recipe,
        seed=seed,
        window=rows.window,
        feature_names=rows.feature_names,
        arrays=fitted.arrays,
        history=fitted.history,
        validation=figures,
        recovery=recovery.record,
        seconds=seconds,
        **fields,
    )


@dataclass
class _Best:
    """The best weights so far and the learning rate in force."""

    learning_rate: float
    arrays: Arrays
    loss: float = float("inf")
    epoch: int = 0
    history: list[Mapping[str, float]] = field(default_factory=list)


@dataclass(frozen=True)
class Session:
    """One attempt at a training: a trainer, fresh and locked, and the recovery policy.

    Parameters
    ----------
    name : str
        Whose training it is, for messages.
    trainer : Trainer
    recipe : TrainingRecipe
    seed : int
    recovery : Recovery
    progress : callable, optional
    """

    name: str
    trainer: Trainer
    recipe: TrainingRecipe
    seed: int
    recovery: Recovery
    progress: Progress | None

    def fit(
        self,
        examples: Examples,
        *,
        stage: str = "scratch",
        recipe: TrainingRecipe | None = None,
        keep_start: bool = False,
    ) -> Fitted:
        """Train from the weights that the trainer holds; on return it holds the best ones.

        Parameters
        ----------
        examples : Examples
        stage : str
            Which of the fits of this training it is.
        recipe : TrainingRecipe, optional
            Another one than the session's.
        keep_start : bool
            Whether the weights at the start may be the best ones; epoch 0 then.

        Raises
        ------
        TrainingError
            If the loss is not a number after the last allowed restart, or in every epoch.
        """
        trainer, recipe, rng = self.trainer, recipe or self.recipe, np.random.default_rng(self.seed)
        best = _Best(recipe.learning_rate, trainer.model.to_arrays())
        if keep_start:
            best.loss = trainer.score(*examples.check)[0]
        for epoch in range(1, recipe.epochs + 1):
            X, targets = examples.draw(rng)
            loss = trainer.epoch(X, targets)
            checked, figure = trainer.score(*examples.check)
            broken = not np.isfinite([loss, checked]).all() or self.recovery.repeats_nan(stage, epoch)
            if broken:
                loss = checked = figure = float("nan")
            entry = {
                "epoch": epoch, "loss": loss, "validation_loss": checked,
                f"validation_{trainer.objective.figure}": figure, "learning_rate": best.learning_rate,
            }  # fmt: skip
            best.history.append(entry)
            if broken:
                size = self.recovery.state.batch_size
                self._restart(stage, best, X[:size], targets[:size])
            elif checked < best.loss - _LEAST_GAIN:
                best.loss, best.epoch, best.arrays = checked, epoch, trainer.model.to_arrays()
            if self.progress is not None:
                self.progress(entry)
            if epoch - best.epoch >= recipe.patience or _rising(best.history, recipe.rises):
                break
        if not np.isfinite(best.loss):
            raise TrainingError(
                f"{self.name}: no epoch of {len(best.history)} gave a finite validation loss; {_LOWER}"
            )
        trainer.model.assign_arrays(best.arrays)
        return Fitted(best.arrays, best.loss, best.epoch, tuple(best.history))

    def _restart(self, stage: str, best: _Best, X: Floats, targets: Floats) -> None:
        """Return to the best weights at half the rate, unless that was done often enough."""
        trainer, epoch = self.trainer, len(best.history)
        trainer.model.assign_arrays(best.arrays)
        losses = [entry["loss"] for entry in best.history]
        found = handle_nan_loss(trainer.model, losses, gradient_norms=trainer.gradient_norms(X, targets))
        reason = f"{self.name}: {found['stop_reason']}"
        best.learning_rate *= self.recovery.after_nan(stage, epoch, reason, _LOWER)
        trainer.restart(best.learning_rate)
        self.recovery.note(f"{reason}; restarting from epoch {best.epoch} at rate {best.learning_rate:.1e}")


def _rising(history: Sequence[Mapping[str, float]], rises: int) -> bool:
    """Whether so many epochs in a row each validated worse than the one before."""
    losses = [entry["validation_loss"] for entry in history[-rises - 1 :]]
    return len(losses) > rises and all(before < after for before, after in itertools.pairwise(losses))
