"""Train one Mamba model on one symbol, from scratch or from the base model, whichever validates better."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml_assets.mamba.base_weights import MambaBaseWeights
from ml_assets.mamba.config import MambaConfig, TrainingRecipe
from ml_assets.mamba.examples import Examples, check_windows, drawn_rows, standardized_targets
from ml_assets.mamba.figures import direction_losses, validation_figures
from ml_assets.mamba.fitting import Fitted, Progress, Session, train
from ml_assets.mamba.shapes import layer_of
from ml_assets.mamba.weights import MambaWeights, Origin
from ml_assets.training.policy import TrainingRecord
from ml_assets.windows.augmented_set import AugmentedSet

__all__ = ["train_mamba"]

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
    record: TrainingRecord | None = None,
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
    record : TrainingRecord, optional
        What disturbed an earlier training, to repeat it to the bit.

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
    center, scale = _return_scale(augmented)
    examples = _examples(augmented, recipe, center, scale)

    def work(session: Session) -> tuple[Fitted, dict[str, Any]]:
        outputs = session.trainer.outputs
        untrained = outputs(augmented.X_val)
        candidates = [_Candidate("scratch", session.fit(examples), outputs(augmented.X_val))]
        if base is not None:
            candidates.append(_fine_tuned(session, augmented, examples, base))
        best = _choose(augmented, candidates)
        return best.fitted, {
            "validation": validation_figures(augmented, untrained, best.outputs),
            "validation_outputs_sha256": hashlib.sha256(best.outputs.tobytes()).hexdigest(),
            "origin": best.origin,
            "candidates": {
                c.origin: float(np.mean(direction_losses(augmented, c.outputs))) for c in candidates
            },
            "symbol": augmented.symbol,
            "center": augmented.center,
            "scale": augmented.scale,
            "return_center": center,
            "return_scale": scale,
            "training_rows": len(augmented.X),
            "known_until": str(augmented.as_of_val[-1]),
            "data_sha256": hashlib.sha256(augmented.to_bytes()).hexdigest(),
            "base_sha256": None if base is None else hashlib.sha256(base.to_bytes()).hexdigest(),
        }

    return train(
        MambaWeights, augmented.symbol, augmented, config, recipe, work,
        seed=seed, progress=progress, record=record,
    )  # fmt: skip


def _fine_tuned(
    session: Session, augmented: AugmentedSet, examples: Examples, base: MambaBaseWeights
) -> _Candidate:
    trainer, recipe = session.trainer, session.recipe
    gentle = replace(
        recipe,
        learning_rate=recipe.learning_rate * recipe.fine_tuning,
        patience=max(1, recipe.patience // 3),
    )
    trainer.reset(session.seed, gentle.learning_rate)
    # Layers by name; those that see the features fit only if the features are the same ones.
    known = {
        path: values
        for path, values in base.arrays.items()
        if base.feature_names == augmented.feature_names or layer_of(path) not in ("embed", "feature_skip")
    }
    whole = not trainer.model.load_weights_by_layer(known).skipped
    fitted = session.fit(examples, stage="fine_tuned", recipe=gentle, keep_start=whole)
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
