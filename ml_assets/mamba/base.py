"""Train the base model: one Mamba on many symbols, from which each symbol's own model may start."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ml_assets.mamba.base_weights import MambaBaseWeights
from ml_assets.mamba.config import MambaConfig, TrainingRecipe
from ml_assets.mamba.examples import Examples, Floats, check_windows, drawn_rows
from ml_assets.mamba.figures import direction_figures
from ml_assets.mamba.fitting import Fitted, Progress, Session, train
from ml_assets.mamba.pooled import PooledSet
from ml_assets.training.policy import TrainingRecord

__all__ = ["BASE_RECIPE", "base_figures", "train_base"]

BASE_RECIPE = TrainingRecipe(epochs=40, patience=8, learning_rate=2e-3, stride=30)
"""Many symbols bear larger steps than one does; the rest is compiled into the step that all share."""


def train_base(
    pooled: PooledSet,
    config: MambaConfig | None = None,
    recipe: TrainingRecipe | None = None,
    *,
    seed: int = 0,
    progress: Progress | None = None,
    record: TrainingRecord | None = None,
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
    record : TrainingRecord, optional
        What disturbed an earlier training, to repeat it to the bit.

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

    def work(session: Session) -> tuple[Fitted, dict[str, Any]]:
        untrained = base_figures(pooled, session.trainer.outputs)
        fitted = session.fit(_examples(pooled, recipe))
        trained = base_figures(pooled, session.trainer.outputs)
        return fitted, {
            "validation": {
                **trained,
                **{f"untrained_{name}": untrained[name] for name in ("loss", "accuracy")},
            },
            "horizon": pooled.horizon,
            "members": pooled.members,
            "boundary": str(pooled.boundary),
            "known_until": str(pooled.known_until),
            "training_rows": len(pooled.train),
            "data_sha256": pooled.sha256(),
        }

    return train(
        MambaBaseWeights, MambaBaseWeights.symbol, pooled, config, recipe, work,
        seed=seed, progress=progress, record=record,
    )  # fmt: skip


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
