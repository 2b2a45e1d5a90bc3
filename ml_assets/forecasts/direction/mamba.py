"""Mamba as a forecaster of direction."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ml_assets.forecasts.forecaster import CLOSE, FoldRows, TrainedModel, WeightsModel
from ml_assets.mamba import MambaBaseWeights, MambaConfig, MambaWeights, TrainingRecipe
from ml_assets.storage.arrays import unfold_windows
from ml_assets.windows.augmentation import AugmentConfig, augment_sequences
from ml_assets.windows.rolling import Floats
from ml_assets.windows.sequence_set import SequenceSet
from ml_assets.windows.steps import Steps

__all__ = ["DirectionModel", "MambaDirection"]


@dataclass(frozen=True, eq=False)
class DirectionModel(WeightsModel[MambaWeights]):
    """Mamba weights as a model of direction."""

    horizons: tuple[int, ...]

    def first_unseen(self, sequences: SequenceSet) -> int:
        """The day on which its last label ends; a window may read days before it."""
        known = np.searchsorted(sequences.dates, np.datetime64(self.weights.known_until), side="right") - 1
        return int(known) + max(self.horizons)

    def forecast(self, rows: FoldRows) -> Floats:
        """Probability of a rise, shape (n, 1)."""
        from ml_assets.mamba import predict_direction  # imports TensorFlow: not before it is needed

        window = rows.sequences.window
        windows = unfold_windows(rows.sequences.features, rows.days - window + 1, window)
        return predict_direction(self.weights, windows)[:, None]


@dataclass(frozen=True)
class MambaDirection:
    """Train a Mamba model on the fold's augmented training rows, from the base model where one may be used.

    Parameters
    ----------
    config, recipe
        Shape of the model and how to train it.
    base : MambaBaseWeights, optional
        Where to start from; folds whose validation it knows are trained from scratch.
    augment, steps
        How training rows are multiplied.
    seed : int
    horizon : int
        Days ahead that stored weights were trained for: they do not say so themselves.
    """

    config: MambaConfig = field(default_factory=MambaConfig)
    recipe: TrainingRecipe = field(default_factory=TrainingRecipe)
    base: MambaBaseWeights | None = None
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    steps: Steps | None = None
    seed: int = 0
    horizon: int = 1
    name: str = "mamba"
    columns: frozenset[str] = CLOSE

    def fit(self, rows: FoldRows, like: TrainedModel | None = None) -> DirectionModel:
        """Train; equal arguments give bit-equal weights."""
        from ml_assets.mamba import train_mamba

        augmented = augment_sequences(rows.sequences, self.augment, steps=self.steps)
        usable = self.base is not None and self.base.unfit_for(augmented, self.config) is None
        base = self.base if usable else None
        record = like.weights.recovery if isinstance(like, DirectionModel) else None
        weights = train_mamba(augmented, self.config, self.recipe, base=base, seed=self.seed, record=record)
        return DirectionModel(weights, rows.horizons)

    def from_bytes(self, data: bytes) -> DirectionModel:
        """Decode a Keras weight file."""
        return DirectionModel(MambaWeights.from_bytes(data), (self.horizon,))
