"""Trained weights of a variance model, with everything needed to forecast from prices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from ml_assets.forecasts.variance.start import StartRule
from ml_assets.mamba.config import MambaConfig, TrainingRecipe
from ml_assets.mamba.shapes import weight_shapes
from ml_assets.mamba.weight_file import (
    history_from,
    history_record,
    open_file,
    record_of,
    require_shapes,
    write_file,
)

__all__ = ["VolatilityWeights"]

_RECORD = (
    "symbol", "seed", "window", "training_rows", "known_until", "data_sha256", "validation_outputs_sha256",
)  # fmt: skip
_ENCODED = (
    "config",
    "recipe",
    "horizons",
    "feature_names",
    "center",
    "scale",
    "rule",
    "history",
    "validation",
)


@dataclass(frozen=True, eq=False)
class VolatilityWeights:
    """The outcome of one training (artifact of kind ``'volatility_weights'``), as a Keras weight file.

    Parameters
    ----------
    symbol : str
    config, recipe
        Shape of the model and how it was trained.
    seed, window : int
    horizons : tuple of int, length H
        Days ahead; output i is the logarithm of the variance over ``horizons[i]`` days as a ratio to that of
        `rule`.
    feature_names : tuple of str, length F
    center, scale : ndarray (F,)
        Normalization fitted on the training rows.
    rule : StartRule
        The forecast that the model corrects, fitted on the training rows.
    arrays : mapping of str to ndarray
        Weights by their path in the file.
    training_rows : int
    known_until : str
        Last day (ISO) that a training or validation label ends on.
    data_sha256 : str
        Of the rows, see `VarianceSet.sha256`.
    history : tuple of mapping
        One entry per epoch.
    validation : mapping of str to float
        ``rows``; mean loss at each horizon, of the model and of the start (``loss_5``, ``start_loss_5``),
        relative to the start: 1 is what a perfect level without any knowledge of its changes would have;
        and ``best_epoch``.
    validation_outputs_sha256 : str
        Hash of the trained model's outputs on the validation rows, for the gate that reloads it.
    seconds : float
        How long training took; not stored, for it would make every run a new version.
    """

    kind: ClassVar[str] = "volatility_weights"
    extension: ClassVar[str] = ".weights.h5"

    symbol: str
    config: MambaConfig
    recipe: TrainingRecipe
    seed: int
    window: int
    horizons: tuple[int, ...]
    feature_names: tuple[str, ...]
    center: NDArray[np.float64]
    scale: NDArray[np.float64]
    rule: StartRule
    arrays: Mapping[str, NDArray[np.float32]]
    training_rows: int
    known_until: str
    data_sha256: str
    history: tuple[Mapping[str, float], ...]
    validation: Mapping[str, float]
    validation_outputs_sha256: str
    seconds: float = field(default=float("nan"))

    def to_bytes(self) -> bytes:
        """Encode as an HDF5 file; equal values give equal bytes."""
        plain: dict[str, Any] = {name: getattr(self, name) for name in _RECORD}
        record = plain | {
            "config": self.config.to_dict(),
            "recipe": self.recipe.to_dict(),
            "horizons": list(self.horizons),
            "feature_names": list(self.feature_names),
            "center": [float(v) for v in self.center],
            "scale": [float(v) for v in self.scale],
            "rule": self.rule.to_dict(),
            "history": history_record(self.history),
            "validation": dict(self.validation),
        }
        return write_file(self.symbol, self.kind, self.arrays, record)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Decode and verify the structure.

        Raises
        ------
        ValueError
            If the bytes are no such file, or their weights are not those of the recorded configuration.
        """
        arrays, text = open_file(data)
        record = record_of(text, cls.kind, (*_RECORD, *_ENCODED))
        config = MambaConfig.from_dict(record["config"])
        require_shapes(arrays, weight_shapes(config, len(record["feature_names"])))
        return cls(
            config=config,
            recipe=TrainingRecipe.from_dict(record["recipe"]),
            horizons=tuple(record["horizons"]),
            feature_names=tuple(record["feature_names"]),
            center=np.array(record["center"]),
            scale=np.array(record["scale"]),
            rule=StartRule.from_dict(record["rule"]),
            arrays=arrays,
            history=history_from(record["history"]),
            validation=record["validation"],
            **{name: record[name] for name in _RECORD},
        )
