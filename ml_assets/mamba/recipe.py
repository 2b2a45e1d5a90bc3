"""Train one Mamba model on one symbol, from scratch or from the base model, whichever validates better."""

from __future__ import annotations

import hashlib
import logging
import time
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ml_assets.mamba.base_weights import MambaBaseWeights
from ml_assets.mamba.config import MambaConfig, TrainingRecipe
from ml_assets.mamba.examples import Examples, check_windows, drawn_rows, standardized_targets
from ml_assets.mamba.figures import direction_losses, validation_figures
from ml_assets.mamba.fitting import Fitted, Progress, fit
from ml_assets.mamba.shapes import layer_of
from ml_assets.mamba.trainer import Trainer, compiled_trainer
from ml_assets.mamba.weights import MambaWeights, Origin
from ml_assets.windows.augmented_set import AugmentedSet

__all__ = ["train_mamba"]

logger = logging.getLogger(__name__)

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class _Candidate:
    """One way to the symbol's weights, and its outputs on the validation rows."""

    origin: Origin
    fitted: Fitted
    outputs: Floats


def train_mamba(
    augmented: AugmentedSet,
    config: MambaConfig | None = None,
    recipe: TrainingRecipe | None = None,
    *,
    base: MambaBaseWeights | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> MambaWeights:
    """Train a model on the augmented training rows; stop early on the validation rows.

    With a base model there are two candidates: one trained from scratch, and the base model fine-tuned at
    a lower rate for as long as that helps. What the base model knows holds for many symbols, so the other is
    chosen only if it validates better by more than the standard error of the difference.

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
    base : MambaBaseWeights, optional
        Where to start from. Layers that do not fit, as with other features, start at random. That it knows
        nothing of this symbol's validation days is for the gate `base_before_validation` to say.
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
    examples = _examples(augmented, recipe, center, scale)
    trainer = compiled_trainer(config, recipe, augmented.window, len(augmented.feature_names))
    with trainer.lock:
        trainer.reset(seed, recipe.learning_rate)
        untrained = trainer.outputs(augmented.X_val)
        fitted = fit(augmented.symbol, trainer, recipe, examples, seed=seed, progress=progress)
        candidates = [_Candidate("scratch", fitted, trainer.outputs(augmented.X_val))]
        if base is not None:
            candidates.append(_fine_tuned(trainer, recipe, augmented, examples, base, seed, progress))
    best = _choose(augmented, candidates)
    seconds = time.perf_counter() - started
    figures = validation_figures(augmented, untrained, best.outputs) | {
        "best_epoch": float(best.fitted.epoch)
    }
    logger.info(
        "%s: %s, best epoch %d of %d, validation loss %.4f (untrained %.4f), accuracy %.3f (majority %.3f), "
        "%.1f s",
        augmented.symbol, best.origin, best.fitted.epoch, len(best.fitted.history), figures["loss"],
        figures["untrained_loss"], figures["accuracy"], figures["majority_accuracy"], seconds,
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
        arrays=best.fitted.arrays,
        training_rows=len(augmented.X),
        known_until=str(augmented.as_of_val[-1]),
        data_sha256=hashlib.sha256(augmented.to_bytes()).hexdigest(),
        history=best.fitted.history,
        validation=figures,
        validation_outputs_sha256=hashlib.sha256(best.outputs.tobytes()).hexdigest(),
        origin=best.origin,
        candidates={c.origin: float(np.mean(direction_losses(augmented, c.outputs))) for c in candidates},
        base_sha256=None if base is None else hashlib.sha256(base.to_bytes()).hexdigest(),
        seconds=seconds,
    )


def _fine_tuned(
    trainer: Trainer,
    recipe: TrainingRecipe,
    augmented: AugmentedSet,
    examples: Examples,
    base: MambaBaseWeights,
    seed: int,
    progress: Progress | None,
) -> _Candidate:
    gentle = replace(
        recipe,
        learning_rate=recipe.learning_rate * recipe.fine_tuning,
        patience=max(1, recipe.patience // 3),
    )
    trainer.reset(seed, gentle.learning_rate)
    # Layers by name; those that see the features fit only if the features are the same ones.
    known = {
        path: values
        for path, values in base.arrays.items()
        if base.feature_names == augmented.feature_names or layer_of(path) not in ("embed", "feature_skip")
    }
    whole = not trainer.model.load_weights_by_layer(known).skipped
    fitted = fit(augmented.symbol, trainer, gentle, examples, seed=seed, keep_start=whole, progress=progress)
    origin: Origin = "fine_tuned" if fitted.epoch else "base"
    return _Candidate(origin, fitted, trainer.outputs(augmented.X_val))


def _choose(augmented: AugmentedSet, candidates: list[_Candidate]) -> _Candidate:
    """Prefer what comes from the base model unless the other is better by more than noise."""
    if len(candidates) == 1:
        return candidates[0]
    scratch, tuned = candidates
    gain = direction_losses(augmented, tuned.outputs) - direction_losses(augmented, scratch.outputs)
    noise = float(np.std(gain)) / np.sqrt(len(gain))
    return scratch if np.mean(gain) > noise else tuned


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
    recipe.require_steps(augmented.window)
    if not np.isfinite(augmented.step_returns[:, recipe.burn_in :]).any():
        raise ValueError(f"{augmented.symbol}: no step after the burn-in has a return; rebuild the sequences")


def _return_scale(augmented: AugmentedSet) -> tuple[float, float]:
    """Mean and deviation of the original training rows' labels; the copies repeat them."""
    labels = augmented.y[~augmented.is_copy]
    scale = float(np.std(labels))
    if not scale > 0:
        raise ValueError(f"{augmented.symbol}: all training returns are equal; there is nothing to learn")
    return float(np.mean(labels)), scale


def _examples(augmented: AugmentedSet, recipe: TrainingRecipe, center: float, scale: float) -> Examples:
    targets = standardized_targets(augmented.step_returns, center, scale)

    def draw(rng: np.random.Generator) -> tuple[Floats, Floats]:
        rows = drawn_rows(augmented.parent, recipe, rng)
        return augmented.X[rows], targets[rows]

    # Steps before the first validation row are not scored: their days belong to the purged gap.
    ends, scored = check_windows(np.arange(len(augmented.X_val)), augmented.window, recipe.burn_in)
    checked = standardized_targets(augmented.step_returns_val[ends], center, scale)
    return Examples(draw, (augmented.X_val[ends], np.where(scored[..., None], checked, np.float32(np.nan))))
