"""Trained weights with everything needed to use them, as one file that Keras itself can open."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, Self, TypeAlias

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

__all__ = ["MambaWeights", "StoredModel", "WeightSource", "read_arrays"]

Origin = Literal["scratch", "base", "fine_tuned"]

_RECORD = (
    "symbol", "seed", "window", "training_rows", "data_sha256", "return_center", "return_scale",
    "validation_outputs_sha256", "origin", "base_sha256", "known_until",
)  # fmt: skip
_ENCODED = ("config", "recipe", "feature_names", "center", "scale", "history", "validation", "candidates")


@dataclass(frozen=True, eq=False)
class MambaWeights:
    """The outcome of one training (artifact of kind ``'mamba_weights'``).

    The bytes are a Keras ``.weights.h5`` file, which ``model.load_weights`` opens, with one more attribute
    on its root, ``_gated``: the fields below as JSON. Equal values give equal bytes.

    Parameters
    ----------
    symbol : str
        The symbol trained on.
    config, recipe
        Shape of the model and how it was trained.
    seed : int
        Seed of the run.
    window : int
        Steps per window.
    feature_names : tuple of str
        Names of the F features.
    center, scale : ndarray (F,)
        Normalization fitted on the training rows; predictions take raw features.
    return_center, return_scale : float
        Mean and deviation of the training returns: a forecast return is ``center + scale * output``.
    arrays : mapping of str to ndarray
        Weights by their path in the file.
    training_rows : int
        Rows of the augmented set that were trained on.
    known_until : str
        Last as-of day of the validation rows (ISO): what came later, labels aside, training has not seen.
    data_sha256 : str
        Hash of the content of that set, see :func:`ml_assets.mamba.recipe.content_sha256`.
    history : tuple of mapping
        One entry per epoch: ``epoch, loss, validation_loss, validation_accuracy, learning_rate``.
    validation : mapping of str to float
        Figures on all validation rows at the last step: of the model, untrained, and of baselines.
    validation_outputs_sha256 : str
        Hash of the trained model's outputs on the validation rows, for the gate that reloads it.
    origin : {'scratch', 'base', 'fine_tuned'}
        Whether these weights started at random, are those of the base model, or were fine-tuned from it.
    candidates : mapping of str to float
        Validation loss of what they were chosen from, by origin.
    base_sha256 : str or None
        Version of the base model, if there was one to start from.
    seconds : float
        How long training took; not stored, for it would make every run a new version.
    """

    kind: ClassVar[str] = "mamba_weights"
    extension: ClassVar[str] = ".weights.h5"

    symbol: str
    config: MambaConfig
    recipe: TrainingRecipe
    seed: int
    window: int
    feature_names: tuple[str, ...]
    center: NDArray[np.float64]
    scale: NDArray[np.float64]
    return_center: float
    return_scale: float
    arrays: Mapping[str, NDArray[np.float32]]
    training_rows: int
    known_until: str
    data_sha256: str
    history: tuple[Mapping[str, float], ...]
    validation: Mapping[str, float]
    validation_outputs_sha256: str
    origin: Origin = "scratch"
    candidates: Mapping[str, float] = field(default_factory=dict)
    base_sha256: str | None = None
    seconds: float = field(default=float("nan"))

    def to_bytes(self) -> bytes:
        """Encode as an HDF5 file."""
        plain = {name: getattr(self, name) for name in _RECORD}
        record = plain | {
            "config": self.config.to_dict(),
            "recipe": self.recipe.to_dict(),
            "feature_names": list(self.feature_names),
            "center": [float(v) for v in self.center],
            "scale": [float(v) for v in self.scale],
            "history": history_record(self.history),
            "validation": dict(self.validation),
            "candidates": dict(self.candidates),
        }
        return write_file(self.symbol, self.kind, self.arrays, record)

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
        record = record_of(text, cls.kind, (*_RECORD, *_ENCODED))
        config = MambaConfig.from_dict(record["config"])
        require_shapes(arrays, weight_shapes(config, len(record["feature_names"])))
        return cls(
            config=config,
            recipe=TrainingRecipe.from_dict(record["recipe"]),
            feature_names=tuple(record["feature_names"]),
            center=np.array(record["center"]),
            scale=np.array(record["scale"]),
            arrays=arrays,
            history=history_from(record["history"]),
            validation=record["validation"],
            candidates=record["candidates"],
            **{name: record[name] for name in _RECORD},
        )


class StoredModel(Protocol):
    """What it takes to rebuild a model, whatever it forecasts; see `MambaWeights` for the fields."""

    @property
    def symbol(self) -> str: ...  # noqa: D102
    @property
    def config(self) -> MambaConfig: ...  # noqa: D102
    @property
    def seed(self) -> int: ...  # noqa: D102
    @property
    def window(self) -> int: ...  # noqa: D102
    @property
    def feature_names(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def arrays(self) -> Mapping[str, NDArray[Any]]: ...  # noqa: D102


WeightSource: TypeAlias = str | PathLike[str] | bytes | MambaWeights | Mapping[str, NDArray[Any]]


def read_arrays(source: WeightSource) -> dict[str, NDArray[Any]]:
    """Read weights by path from a file path, its bytes, :class:`MambaWeights` or a mapping."""
    if isinstance(source, MambaWeights):
        return dict(source.arrays)
    if isinstance(source, Mapping):
        return dict(source)
    if isinstance(source, str | PathLike):
        source = Path(source).read_bytes()
    return open_file(source)[0]
