"""Train one Mamba model on one symbol."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml_assets.augmented_set import AugmentedSet
from ml_assets.mamba.config import MambaConfig, TrainingRecipe
from ml_assets.mamba.figures import validation_figures
from ml_assets.mamba.trainer import Trainer, compiled_trainer
from ml_assets.mamba.weights import MambaWeights
from ml_assets.training.errors import TrainingError
from ml_assets.training.nan_loss import handle_nan_loss

__all__ = ["Progress", "train_mamba"]

logger = logging.getLogger(__name__)

Floats = NDArray[np.float32]
_LOWER = "lower TrainingRecipe.learning_rate, and look for extreme values in this symbol's features"
History = list[Mapping[str, float]]
Progress = Callable[[Mapping[str, float]], None]


@dataclass
class _Best:
    """The best weights so far and the learning rate in force."""

    learning_rate: float
    loss: float = float("inf")
    epoch: int = 0
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)


def train_mamba(
    augmented: AugmentedSet,
    config: MambaConfig | None = None,
    recipe: TrainingRecipe | None = None,
    *,
    seed: int = 0,
    progress: Progress | None = None,
) -> MambaWeights:
    """Train a model on the augmented training rows; stop early on the validation rows.

    The first call in a process compiles (some seconds); later calls with the same settings, window and
    number of features reuse it. On one CPU, equal arguments give bit-equal weights.

    Parameters
    ----------
    augmented : AugmentedSet
        Normalized training rows with their copies, and the validation rows.
    config : MambaConfig, optional
        Shape of the model.
    recipe : TrainingRecipe, optional
        How to train.
    seed : int
        Seed of weights, dropout and the choice of windows.
    progress : callable, optional
        Called after every epoch with that epoch's entry of the history.

    Returns
    -------
    MambaWeights
        The weights of the epoch with the lowest validation loss.

    Raises
    ------
    ValueError
        If the inputs hold NaN, have no validation rows, or the window is not longer than the burn-in.
    TrainingError
        If the loss is not a number after the last allowed restart.
    """
    config, recipe = config or MambaConfig(), recipe or TrainingRecipe()
    _require_trainable(augmented, recipe)
    started = time.perf_counter()
    center, scale = _return_scale(augmented)
    data = (
        _targets(augmented.step_returns, center, scale),
        _targets(augmented.step_returns_val, center, scale),
    )
    trainer = compiled_trainer(config, recipe, augmented.window, len(augmented.feature_names))
    with trainer.lock:
        trainer.reset(seed, recipe.learning_rate)
        untrained = trainer.outputs(augmented.X_val)
        best, history = _fit(trainer, recipe, augmented, data, seed, progress)
        trainer.model.assign_arrays(best.arrays)
        outputs = trainer.outputs(augmented.X_val)
    seconds = time.perf_counter() - started
    figures = validation_figures(augmented, untrained, outputs) | {"best_epoch": float(best.epoch)}
    logger.info(
        "%s: best epoch %d of %d, validation loss %.4f (untrained %.4f), accuracy %.3f (majority %.3f), "
        "%.1f s",
        augmented.symbol, best.epoch, len(history), figures["loss"], figures["untrained_loss"],
        figures["accuracy"], figures["majority_accuracy"], seconds,
    )  # fmt: skip
    return MambaWeights(
        symbol=augmented.symbol,
        config=config,
        recipe=recipe,
        seed=seed,
        window=augmented.window,
        feature_names=augmented.feature_names,
        center=augmented.center,
        scale=augmented.scale,
        return_center=center,
        return_scale=scale,
        arrays=best.arrays,
        training_rows=len(augmented.X),
        data_sha256=hashlib.sha256(augmented.to_bytes()).hexdigest(),
        history=tuple(history),
        validation=figures,
        validation_outputs_sha256=hashlib.sha256(outputs.tobytes()).hexdigest(),
        seconds=seconds,
    )


def _require_trainable(augmented: AugmentedSet, recipe: TrainingRecipe) -> None:
    for name in ("X", "X_val"):
        array = getattr(augmented, name)
        if not len(array):
            raise ValueError(f"{augmented.symbol}: {name} has no rows; give a longer price history")
        if not np.isfinite(array).all():
            row = int(np.argmax(~np.isfinite(array).all(axis=(1, 2))))
            raise ValueError(
                f"{augmented.symbol}: {name} row {row} is not finite; warm-up rows must be dropped before "
                "training: rebuild the sequences"
            )
    if augmented.window <= recipe.burn_in:
        raise ValueError(
            f"the window of {augmented.window} days leaves no step after the burn-in of {recipe.burn_in}; "
            "lower TrainingRecipe.burn_in or lengthen the window"
        )
    if not np.isfinite(augmented.step_returns[:, recipe.burn_in :]).any():
        raise ValueError(f"{augmented.symbol}: no step after the burn-in has a return; rebuild the sequences")


def _return_scale(augmented: AugmentedSet) -> tuple[float, float]:
    """Mean and deviation of the original training rows' labels; the copies repeat them."""
    labels = augmented.y[~augmented.is_copy]
    scale = float(np.std(labels))
    if not scale > 0:
        raise ValueError(f"{augmented.symbol}: all training returns are equal; there is nothing to learn")
    return float(np.mean(labels)), scale


def _targets(step_returns: NDArray[np.float64], center: float, scale: float) -> Floats:
    """Stack direction (1 up, 0 not, NaN unknown) and standardized return: (n, L) -> (n, L, 2)."""
    up = np.where(np.isfinite(step_returns), step_returns > 0, np.nan)
    return np.stack([up, (step_returns - center) / scale], axis=-1).astype(np.float32)


def _fit(
    trainer: Trainer,
    recipe: TrainingRecipe,
    data: AugmentedSet,
    targets: tuple[Floats, Floats],
    seed: int,
    progress: Progress | None,
) -> tuple[_Best, History]:
    rng = np.random.default_rng(seed)
    X_check, target_check = _validation_windows(data.X_val, targets[1], recipe.burn_in)
    best = _Best(recipe.learning_rate, arrays=trainer.model.to_arrays())
    history: History = []
    restarts = 0
    for epoch in range(1, recipe.epochs + 1):
        rows = _draw_rows(data.parent, recipe, rng)
        loss = trainer.epoch(data.X[rows], targets[0][rows])
        checked, accuracy = trainer.score(X_check, target_check)
        entry = {
            "epoch": epoch, "loss": loss, "validation_loss": checked, "validation_accuracy": accuracy,
            "learning_rate": best.learning_rate,
        }  # fmt: skip
        history.append(entry)
        if not np.isfinite([loss, checked]).all():
            if restarts == recipe.max_restarts:
                reason = _nan_reason(trainer, best, history)
                raise TrainingError(
                    f"{data.symbol}: {reason}, after {restarts} restarts at lower rates; {_LOWER}"
                )
            restarts += 1
            _restart(trainer, best, history, data.symbol)
        elif checked < best.loss - 1e-5:
            best = _Best(best.learning_rate, checked, epoch, trainer.model.to_arrays())
        if progress is not None:
            progress(entry)
        if epoch - best.epoch >= recipe.patience:
            break
    if not best.epoch:
        raise TrainingError(
            f"{data.symbol}: no epoch of {len(history)} gave a finite validation loss; {_LOWER}"
        )
    return best, history


def _restart(trainer: Trainer, best: _Best, history: History, symbol: str) -> None:
    """Return to the best weights at half the rate."""
    best.learning_rate /= 2
    reason = _nan_reason(trainer, best, history)
    trainer.restart(best.learning_rate)
    logger.warning(
        "%s: %s; restarting from epoch %d at rate %.1e", symbol, reason, best.epoch, best.learning_rate
    )


def _nan_reason(trainer: Trainer, best: _Best, history: History) -> str:
    trainer.model.assign_arrays(best.arrays)
    losses = [entry["loss"] + entry["validation_loss"] for entry in history]
    return str(handle_nan_loss(trainer.model, losses)["stop_reason"])


def _draw_rows(
    parent: NDArray[np.int64], recipe: TrainingRecipe, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Every `stride`-th training row from a random offset, with its copies, shuffled into full batches."""
    originals = int(parent.max()) + 1
    stride = min(recipe.stride, max(1, originals // recipe.batch_size))
    rows = rng.permutation(np.flatnonzero(parent % stride == rng.integers(stride)))
    batches = -(-len(rows) // recipe.batch_size)
    return np.resize(rows, batches * recipe.batch_size)  # the last batch is filled from the first rows


def _validation_windows(X: Floats, targets: Floats, burn_in: int) -> tuple[Floats, Floats]:
    """Choose windows whose steps from `burn_in` on score every validation row once.

    A window ends on each `L - burn_in`-th row, counted back from the last. Steps before the first
    validation row are not scored: their days belong to the purged gap.
    """
    n, length = targets.shape[:2]
    ends = np.arange(n - 1, -1, burn_in - length)
    scored = targets[ends].copy()
    row = ends[:, None] - (length - 1) + np.arange(length)  # validation row of each step
    scored[(row < 0) | (np.arange(length) < burn_in)] = np.nan
    return X[ends], scored
