"""The weights of the base model, and what it knows of the calendar."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

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
from ml_assets.windows.augmented_set import AugmentedSet

__all__ = ["MambaBaseWeights"]

_RECORD = ("seed", "window", "horizon", "boundary", "known_until", "training_rows", "data_sha256")
_ENCODED = ("config", "recipe", "feature_names", "members", "history", "validation")


@dataclass(frozen=True, eq=False)
class MambaBaseWeights:
    """A model trained on many symbols (artifact of kind ``'mamba_base_weights'``).

    The bytes are a Keras ``.weights.h5`` file, as those of :class:`ml_assets.mamba.weights.MambaWeights` are.

    Parameters
    ----------
    config, recipe
        Shape of the model and how it was trained.
    seed : int
    window, horizon : int
        Steps per window, days that a label reaches.
    feature_names : tuple of str
    members : tuple of str
        The symbols trained on.
    boundary, known_until : str
        ISO days: every training label ends before the first; none that decided when to stop ends after the
        second. The model is fit for use on a symbol whose validation lies on or after both.
    arrays : mapping of str to ndarray
        Weights by their path in the file.
    training_rows : int
    data_sha256 : str
        Hash of the pooled set, see :meth:`ml_assets.mamba.pooled.PooledSet.sha256`.
    history : tuple of mapping
        One entry per epoch.
    validation : mapping of str to float
        ``rows, up_share, loss, accuracy`` and ``untrained_loss, untrained_accuracy`` on the members'
        validation rows.
    seconds : float
        How long training took; not stored, for it would make every run a new version.
    """

    kind: ClassVar[str] = "mamba_base_weights"
    extension: ClassVar[str] = ".weights.h5"
    symbol: ClassVar[str] = "base model"
    """What messages call it, in the place of a symbol."""

    config: MambaConfig
    recipe: TrainingRecipe
    seed: int
    window: int
    horizon: int
    feature_names: tuple[str, ...]
    members: tuple[str, ...]
    boundary: str
    known_until: str
    arrays: Mapping[str, NDArray[np.float32]]
    training_rows: int
    data_sha256: str
    history: tuple[Mapping[str, float], ...]
    validation: Mapping[str, float]
    seconds: float = field(default=float("nan"))

    def unfit_for(self, augmented: AugmentedSet, config: MambaConfig) -> str | None:
        """Say why a symbol cannot start from this model, or ``None`` if it can.

        Parameters
        ----------
        augmented : AugmentedSet
            The symbol's own rows.
        config : MambaConfig
            The shape of its model.
        """
        start, end = str(augmented.as_of_val[0]), str(augmented.as_of_val[-1])
        if self.boundary > start:
            return f"it was trained on days before {self.boundary}, the first validation row is of {start}"
        if self.known_until > end:
            return f"it was chosen by days until {self.known_until}, the validation ends on {end}"
        if (self.window, self.horizon) != (augmented.window, augmented.horizon):
            return "it was trained with another window or horizon"
        return None if self.config == config else "it has another configuration"

    def to_bytes(self) -> bytes:
        """Encode as an HDF5 file; equal values give equal bytes."""
        plain: dict[str, Any] = {name: getattr(self, name) for name in _RECORD}
        record = plain | {
            "config": self.config.to_dict(),
            "recipe": self.recipe.to_dict(),
            "feature_names": list(self.feature_names),
            "members": list(self.members),
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
            feature_names=tuple(record["feature_names"]),
            members=tuple(record["members"]),
            arrays=arrays,
            history=history_from(record["history"]),
            validation=record["validation"],
            **{name: record[name] for name in _RECORD},
        )
