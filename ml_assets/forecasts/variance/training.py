"""Train one small Mamba to correct the variance forecast of a symbol, and forecast with it."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml_assets.forecasts.variance.losses import qlike
from ml_assets.forecasts.variance.rows import VarianceSet
from ml_assets.forecasts.variance.weights import VolatilityWeights
from ml_assets.mamba.config import MambaConfig, TrainingRecipe
from ml_assets.mamba.examples import Examples, check_windows, drawn_rows
from ml_assets.mamba.fitting import Fitted, Progress, Session, train
from ml_assets.mamba.predict import predict_outputs
from ml_assets.storage.arrays import unfold_windows
from ml_assets.training.policy import TrainingRecord
from ml_assets.windows.rolling import Floats
from ml_assets.windows.scaling import normalize
from ml_assets.windows.sequence_set import SequenceSet

__all__ = ["VOLATILITY_RECIPE", "predict_variance", "train_volatility", "validation_figures"]

VOLATILITY_RECIPE = TrainingRecipe(learning_rate=3e-4)
"""Smaller steps than for direction: the start is good already, and one epoch at 1e-3 went past the best."""


def train_volatility(
    rows: VarianceSet,
    config: MambaConfig | None = None,
    recipe: TrainingRecipe | None = None,
    *,
    seed: int = 0,
    progress: Progress | None = None,
    record: TrainingRecord | None = None,
) -> VolatilityWeights:
    """Train on the training rows, every step of a window being a target; stop early on the validation rows.

    The first call in a process compiles (some seconds); later calls with the same settings, window and number
    of features reuse it. On one CPU, equal arguments give bit-equal weights.

    Parameters
    ----------
    rows : VarianceSet
    config : MambaConfig, optional
        Shape of the model; ``variance_heads`` is set to the number of horizons.
    recipe : TrainingRecipe, optional
        `VOLATILITY_RECIPE` if left out.
    seed : int
        Seed of weights, dropout and the choice of windows.
    progress : callable, optional
        Called after every epoch with that epoch's entry of the history.
    record : TrainingRecord, optional
        What disturbed an earlier training, to repeat it to the bit.

    Returns
    -------
    VolatilityWeights
        The weights of the epoch with the lowest validation loss.

    Raises
    ------
    ValueError
        If the window is not longer than the burn-in, or an input is not finite.
    TrainingError
        If the loss is not a number after the last allowed restart.
    """
    config = config or MambaConfig(variance_heads=len(rows.horizons))
    recipe = recipe or VOLATILITY_RECIPE
    _require_trainable(rows, config, recipe)

    def work(session: Session) -> tuple[Fitted, dict[str, Any]]:
        fitted = session.fit(_examples(rows, recipe))
        outputs = session.trainer.outputs(rows.windows(rows.validation)[0])
        return fitted, {
            "validation": validation_figures(rows, outputs),
            "validation_outputs_sha256": hashlib.sha256(outputs.tobytes()).hexdigest(),
            "symbol": rows.symbol,
            "horizons": rows.horizons,
            "center": rows.center,
            "scale": rows.scale,
            "rule": rows.rule,
            "training_rows": len(rows.train),
            "known_until": rows.known_until,
            "data_sha256": rows.sha256(),
        }

    return train(
        VolatilityWeights, rows.symbol, rows, config, recipe, work,
        seed=seed, progress=progress, record=record,
    )  # fmt: skip


def predict_variance(
    weights: VolatilityWeights, sequences: SequenceSet, closes: Floats, positions: NDArray[np.int64]
) -> Floats:
    """Variance over each horizon from the close of each given day on.

    Parameters
    ----------
    weights : VolatilityWeights
    sequences : SequenceSet
        Gives the raw features of the windows.
    closes : ndarray, shape (>= n_days,)
        Closes of the same history. What comes after a day does not enter its forecast.
    positions : ndarray of int, shape (n,)
        Last days of the windows.

    Returns
    -------
    ndarray, shape (n, H)
        In squared log returns over the horizon.

    Raises
    ------
    ValueError
        If the sequences have other features or another window than the weights, or a feature is not finite.
    """
    if (sequences.feature_names, sequences.window) != (weights.feature_names, weights.window):
        raise ValueError(
            f"{weights.symbol}: trained on windows of {weights.window} days of {len(weights.feature_names)} "
            f"features, got {sequences.window} of {len(sequences.feature_names)}; train again"
        )
    raw = unfold_windows(sequences.features, positions - weights.window + 1, weights.window)
    if not np.isfinite(raw).all():
        raise ValueError(f"{weights.symbol}: features hold NaN or infinity; ask for days after the warm-up")
    outputs = predict_outputs(weights, normalize(raw, weights.center, weights.scale)).astype(np.float64)
    start = weights.rule.forecast(closes[: int(positions.max()) + 1])[positions]
    return np.asarray(start * np.exp(outputs))


def validation_figures(rows: VarianceSet, outputs: NDArray[np.float32]) -> dict[str, float]:
    """QLIKE of the realized ratios on the validation rows, at each horizon, of model and start."""
    ratios = (rows.labels / rows.start)[rows.validation]
    figures = {"rows": float(len(rows.validation))}
    for i, h in enumerate(rows.horizons):
        forecast = np.exp(outputs[:, i].astype(np.float64))
        figures[f"loss_{h}"] = float(np.mean(qlike(forecast, ratios[:, i])))
        figures[f"start_loss_{h}"] = float(np.mean(ratios[:, i]))
    return figures


def _examples(rows: VarianceSet, recipe: TrainingRecipe) -> Examples:
    number = np.arange(len(rows.train))

    def draw(rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        return rows.windows(rows.train[drawn_rows(number, recipe, rng)])

    # Steps before the first validation row are not scored: their days belong to the purged gap.
    ends, scored = check_windows(rows.validation, rows.window, recipe.burn_in)
    X, ratios = rows.windows(ends)
    return Examples(draw, (X, np.where(scored[..., None], ratios, np.float32(np.nan))))


def _require_trainable(rows: VarianceSet, config: MambaConfig, recipe: TrainingRecipe) -> None:
    if config.variance_heads != len(rows.horizons):
        raise ValueError(
            f"{rows.symbol}: MambaConfig.variance_heads is {config.variance_heads}, but there are "
            f"{len(rows.horizons)} horizons; give one head for each"
        )
    recipe.require_steps(rows.window)
    used = np.concatenate([rows.train, rows.validation])
    values = {"features": rows.days[used], "labels": rows.labels[used], "start": np.log(rows.start[used])}
    for name, array in values.items():
        if not np.isfinite(array).all():
            day = rows.dates[used[int(np.argmax(~np.isfinite(array).all(axis=1)))]]
            raise ValueError(f"{rows.symbol} {day}: {name} are not finite; rebuild the sequences")
