"""Train the base model: one Mamba on many symbols, from which each symbol's own model may start."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import numpy as np

from ml_assets.mamba.base_weights import MambaBaseWeights
from ml_assets.mamba.config import MambaConfig, TrainingRecipe
from ml_assets.mamba.examples import Examples, Floats, check_windows, drawn_rows
from ml_assets.mamba.figures import direction_figures
from ml_assets.mamba.fitting import Progress, fit
from ml_assets.mamba.pooled import PooledSet
from ml_assets.mamba.trainer import compiled_trainer

__all__ = ["BASE_RECIPE", "base_figures", "train_base"]

logger = logging.getLogger(__name__)

BASE_RECIPE = TrainingRecipe(epochs=40, patience=8, learning_rate=2e-3, stride=30)
"""Many symbols bear larger steps than one does; the rest is compiled into the step that all share."""


def train_base(
    pooled: PooledSet,
    config: MambaConfig | None = None,
    recipe: TrainingRecipe | None = None,
    *,
    seed: int = 0,
    progress: Progress | None = None,
) -> MambaBaseWeights:
    """Train on the pooled rows; stop early on the members' validation rows.

    Parameters
    ----------
    pooled : PooledSet
        Rows of many symbols before one calendar boundary.
    config : MambaConfig, optional
        Shape of the model; the same as the symbols' own, or less can be transferred.
    recipe : TrainingRecipe, optional
        How to train; `BASE_RECIPE` if left out.
    seed : int
        Seed of weights, dropout and the choice of windows.
    progress : callable, optional
        Called after every epoch with that epoch's entry of the history.

    Returns
    -------
    MambaBaseWeights
        The weights of the epoch with the lowest validation loss.

    Raises
    ------
    ValueError
        If the window is not longer than the burn-in.
    TrainingError
        If the loss is not a number after the last allowed restart.
    """
    config, recipe = config or MambaConfig(), recipe or BASE_RECIPE
    recipe.require_steps(pooled.window)
    started = time.perf_counter()
    trainer = compiled_trainer(config, recipe, pooled.window, len(pooled.feature_names))
    with trainer.lock:
        trainer.reset(seed, recipe.learning_rate)
        untrained = base_figures(pooled, trainer.outputs)
        fitted = fit("base model", trainer, recipe, _examples(pooled, recipe), seed=seed, progress=progress)
        trained = base_figures(pooled, trainer.outputs)
    seconds = time.perf_counter() - started
    figures = {
        **trained,
        **{f"untrained_{name}": untrained[name] for name in ("loss", "accuracy")},
        "best_epoch": float(fitted.epoch),
    }
    logger.info(
        "base model: %d symbols, %d rows before %s; best epoch %d of %d, validation loss %.4f (untrained "
        "%.4f), accuracy %.3f, %.1f s",
        len(pooled.members), len(pooled.train), pooled.boundary, fitted.epoch, len(fitted.history),
        figures["loss"], figures["untrained_loss"], figures["accuracy"], seconds,
    )  # fmt: skip
    return MambaBaseWeights(
        config=config,
        recipe=recipe,
        seed=seed,
        window=pooled.window,
        horizon=pooled.horizon,
        feature_names=pooled.feature_names,
        members=pooled.members,
        boundary=str(pooled.boundary),
        known_until=str(pooled.known_until),
        arrays=fitted.arrays,
        training_rows=len(pooled.train),
        data_sha256=pooled.sha256(),
        history=fitted.history,
        validation=figures,
        seconds=seconds,
    )


def base_figures(pooled: PooledSet, predict: Callable[[Floats], Floats]) -> dict[str, float]:
    """Return ``rows``, ``up_share``, ``loss`` and ``accuracy`` on the validation rows, last step of each."""
    logits = [
        predict(pooled.windows(part)[0])[:, 0]
        for part in np.array_split(pooled.validation, 1 + len(pooled.validation) // 4096)
    ]
    up = pooled.targets[pooled.validation, 0] > 0.5
    loss, accuracy = direction_figures(np.concatenate(logits), up)
    return {"rows": float(len(up)), "up_share": float(np.mean(up)), "loss": loss, "accuracy": accuracy}


def _examples(pooled: PooledSet, recipe: TrainingRecipe) -> Examples:
    members = pooled.member[pooled.train]
    first = np.searchsorted(members, np.arange(len(pooled.members)))
    number = np.arange(len(members)) - first[members]  # position of each row among its symbol's

    def draw(rng: np.random.Generator) -> tuple[Floats, Floats]:
        return pooled.windows(pooled.train[drawn_rows(number, recipe, rng)])

    ends, scored = check_windows(pooled.validation, pooled.window, recipe.burn_in)
    X, targets = pooled.windows(ends)
    return Examples(draw, (X, np.where(scored[..., None], targets, np.float32(np.nan))))
