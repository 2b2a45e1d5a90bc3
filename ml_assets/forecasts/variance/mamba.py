"""Mamba as a forecaster of variance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ml_assets.forecasts.forecaster import CLOSE, FoldRows, Model, TrainedModel, WeightsModel
from ml_assets.forecasts.variance.rows import VarianceSet, variance_rows
from ml_assets.forecasts.variance.weights import VolatilityWeights
from ml_assets.mamba.config import MambaConfig, TrainingRecipe
from ml_assets.windows.rolling import Floats
from ml_assets.windows.sequence_set import SequenceSet

__all__ = ["MambaVariance", "VarianceModel", "rows_of"]


@dataclass(frozen=True, eq=False)
class VarianceModel(WeightsModel[VolatilityWeights]):
    """Variance weights as a model that can be asked; ``rows`` are what they were trained on, if known."""

    rows: VarianceSet | None = None

    @property
    def horizons(self) -> tuple[int, ...]:
        """Days ahead that it forecasts."""
        return self.weights.horizons

    def first_unseen(self, sequences: SequenceSet) -> int:
        """The day after the one on which its last label ends."""
        known = np.datetime64(self.weights.known_until)
        return int(np.searchsorted(sequences.dates, known, side="right"))

    def forecast(self, rows: FoldRows) -> Floats:
        """Variances, shape (n, H)."""
        from ml_assets.forecasts.variance.training import predict_variance  # imports TensorFlow

        return predict_variance(self.weights, rows.sequences, rows.closes, rows.days)


@dataclass(frozen=True)
class MambaVariance:
    """Train a Mamba model to correct the start's forecast.

    Parameters
    ----------
    config : MambaConfig, optional
        Shape of the model; by default with one head for each horizon.
    recipe : TrainingRecipe, optional
        How to train it.
    seed : int
    """

    config: MambaConfig | None = None
    recipe: TrainingRecipe | None = None
    seed: int = 0
    name: str = "mamba"
    columns: frozenset[str] = CLOSE

    def fit(self, rows: FoldRows, like: TrainedModel | None = None) -> VarianceModel:
        """Train; equal arguments give bit-equal weights."""
        from ml_assets.forecasts.variance.training import train_volatility

        derived = variance_rows(rows.sequences, rows.closes, rows.horizons)
        record = like.weights.recovery if isinstance(like, VarianceModel) else None
        weights = train_volatility(derived, self.config, self.recipe, seed=self.seed, record=record)
        return VarianceModel(weights, derived)

    def from_bytes(self, data: bytes) -> VarianceModel:
        """Decode a Keras weight file."""
        return VarianceModel(VolatilityWeights.from_bytes(data))


def rows_of(rows: FoldRows, model: Model) -> VarianceSet:
    """What the model of a fold was trained on; derived again for one that was read from its bytes."""
    known = model.rows if isinstance(model, VarianceModel) else None
    return known or variance_rows(rows.sequences, rows.closes, rows.horizons)
