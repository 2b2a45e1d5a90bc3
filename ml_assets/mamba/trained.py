"""What every trained Mamba model is as an artifact: its fields, and the one way to bytes and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
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
from ml_assets.training.policy import TrainingRecord

__all__ = ["TrainedMamba"]

_APART = ("arrays", "history", "recovery", "seconds")
"""Fields that the record in the file does not hold as they are."""


@dataclass(frozen=True, eq=False, kw_only=True)
class TrainedMamba:
    """The outcome of one training; base of the artifacts.

    The bytes are a Keras ``.weights.h5`` file, which ``model.load_weights`` opens, with one more attribute
    on its root, ``_gated``: the fields as JSON. Equal values give equal bytes. A subclass adds its own
    fields, and for those that JSON does not hold as they are, an entry in `decoders`.

    Parameters
    ----------
    config, recipe
        Shape of the model and how it was trained.
    seed : int
        Seed of the run.
    window : int
        Steps per window.
    feature_names : tuple of str
        Names of the F features.
    arrays : mapping of str to ndarray
        Weights by their path in the file.
    training_rows : int
        Rows that were trained on.
    known_until : str
        Last day (ISO) of which training or its early stopping knew anything; each subclass says which.
    data_sha256 : str
        Hash of the rows.
    history : tuple of mapping
        One entry per epoch: ``epoch``, ``loss``, ``validation_loss``, the objective's second figure,
        ``learning_rate``.
    validation : mapping of str to float
        Figures on the validation rows, and ``best_epoch``.
    recovery : TrainingRecord
        What went wrong in the training; stored only if anything did.
    seconds : float
        How long training took; not stored, for it would make every run a new version.
    """

    kind: ClassVar[str]
    extension: ClassVar[str] = ".weights.h5"
    decoders: ClassVar[Mapping[str, Callable[[Any], Any]]] = {}

    config: MambaConfig
    recipe: TrainingRecipe
    seed: int
    window: int
    feature_names: tuple[str, ...]
    arrays: Mapping[str, NDArray[np.float32]]
    training_rows: int
    known_until: str
    data_sha256: str
    history: tuple[Mapping[str, float], ...]
    validation: Mapping[str, float]
    recovery: TrainingRecord = field(default_factory=TrainingRecord)
    seconds: float = field(default=float("nan"))

    def to_bytes(self) -> bytes:
        """Encode as an HDF5 file; equal values give equal bytes."""
        record = {name: _plain(getattr(self, name)) for name in self._plain_fields()}
        record["history"] = history_record(self.history)
        if self.recovery != TrainingRecord():
            record["recovery"] = self.recovery.to_dict()
        return write_file(getattr(self, "symbol", self.kind), self.kind, self.arrays, record)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Decode and verify the structure.

        Raises
        ------
        ValueError
            If the bytes are no HDF5 file, carry no record, or their weights are not those that the
            recorded configuration says.
        """
        arrays, text = open_file(data)
        names = cls._plain_fields()
        record = record_of(text, cls.kind, (*names, "history"))
        decoders: dict[str, Callable[[Any], Any]] = {
            "config": MambaConfig.from_dict, "recipe": TrainingRecipe.from_dict, "feature_names": tuple,
            **cls.decoders,
        }  # fmt: skip
        values = {name: decoders.get(name, lambda value: value)(record[name]) for name in names}
        require_shapes(arrays, weight_shapes(values["config"], len(values["feature_names"])))
        if "recovery" in record:
            values["recovery"] = TrainingRecord.from_dict(record["recovery"])
        return cls(arrays=arrays, history=history_from(record["history"]), **values)

    @classmethod
    def _plain_fields(cls) -> list[str]:
        return [f.name for f in fields(cls) if f.name not in _APART]


def _plain(value: Any) -> Any:
    """What JSON holds in the place of a field's value."""
    if hasattr(value, "to_dict"):
        return value.to_dict()
    if isinstance(value, np.ndarray):
        return [float(v) for v in value]
    return dict(value) if isinstance(value, Mapping) else value
