"""Trained weights with everything needed to use them, as one file that Keras itself can open."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any, ClassVar, Self, TypeAlias

import h5py
import numpy as np
from numpy.typing import NDArray

from ml_assets.mamba.config import MambaConfig, TrainingRecipe
from ml_assets.mamba.shapes import weight_shapes

__all__ = ["MambaWeights", "WeightSource", "read_arrays"]

_ATTRIBUTE = "_gated"
_ATTRIBUTE_LIMIT = 64_000  # bytes; HDF5 stores attributes below 64 KiB
_FORMAT = 1
_RECORD = (
    "symbol", "seed", "window", "training_rows", "data_sha256", "return_center", "return_scale",
    "validation_outputs_sha256",
)  # fmt: skip
_ENCODED = ("config", "recipe", "feature_names", "center", "scale", "history", "validation")


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
    data_sha256 : str
        Hash of the content of that set, see :func:`ml_assets.mamba.recipe.content_sha256`.
    history : tuple of mapping
        One entry per epoch: ``epoch, loss, validation_loss, validation_accuracy, learning_rate``.
    validation : mapping of str to float
        Figures on all validation rows at the last step: of the model, untrained, and of baselines.
    validation_outputs_sha256 : str
        Hash of the trained model's outputs on the validation rows, for the gate that reloads it.
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
    data_sha256: str
    history: tuple[Mapping[str, float], ...]
    validation: Mapping[str, float]
    validation_outputs_sha256: str
    seconds: float = field(default=float("nan"))

    def to_bytes(self) -> bytes:
        """Encode as an HDF5 file."""
        text = json.dumps(self._record(), sort_keys=True)
        if len(text) > _ATTRIBUTE_LIMIT:
            raise ValueError(
                f"{self.symbol}: the record has {len(text):,} bytes, an HDF5 attribute holds 65,536; train "
                "fewer epochs or with shorter feature names"
            )
        buffer = io.BytesIO()
        with h5py.File(buffer, "w") as file:
            file.attrs[_ATTRIBUTE] = text
            for path in sorted(self.arrays):
                file.create_dataset(path, data=self.arrays[path], track_times=False)
        return buffer.getvalue()

    def _record(self) -> dict[str, Any]:
        plain = {name: getattr(self, name) for name in _RECORD}
        return plain | {
            "format": _FORMAT,
            "config": self.config.to_dict(),
            "recipe": self.recipe.to_dict(),
            "feature_names": list(self.feature_names),
            "center": [float(v) for v in self.center],
            "scale": [float(v) for v in self.scale],
            "history": [dict(entry) for entry in self.history],
            "validation": dict(self.validation),
        }

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Decode and verify the structure.

        Raises
        ------
        ValueError
            If the bytes are no HDF5 file, carry no record, or their weights are not those that the
            recorded configuration says.
        """
        arrays, text = _open(data)
        if text is None:
            raise ValueError(
                "this .weights.h5 file carries no '_gated' record; it was not written by MambaWeights. "
                "Load it with MambaModel.load_weights, or train again"
            )
        record = json.loads(text)
        if record.get("format") != _FORMAT:
            raise ValueError(
                f"weights of format {record.get('format')}, this version reads {_FORMAT}; train again"
            )
        if missing := sorted({*_RECORD, *_ENCODED} - set(record)):
            raise ValueError(
                f"the record of these weights is damaged: '{missing[0]}' is missing; train again"
            )
        config = MambaConfig.from_dict(record["config"])
        _require_shapes(arrays, weight_shapes(config, len(record["feature_names"])))
        return cls(
            config=config,
            recipe=TrainingRecipe.from_dict(record["recipe"]),
            feature_names=tuple(record["feature_names"]),
            center=np.array(record["center"]),
            scale=np.array(record["scale"]),
            arrays=arrays,
            history=tuple(record["history"]),
            validation=record["validation"],
            **{name: record[name] for name in _RECORD},
        )


WeightSource: TypeAlias = str | PathLike[str] | bytes | MambaWeights | Mapping[str, NDArray[Any]]


def read_arrays(source: WeightSource) -> dict[str, NDArray[Any]]:
    """Read weights by path from a file path, its bytes, :class:`MambaWeights` or a mapping."""
    if isinstance(source, MambaWeights):
        return dict(source.arrays)
    if isinstance(source, Mapping):
        return dict(source)
    if isinstance(source, str | PathLike):
        source = Path(source).read_bytes()
    return _open(source)[0]


def _open(data: bytes) -> tuple[dict[str, NDArray[Any]], str | None]:
    arrays: dict[str, NDArray[Any]] = {}

    def keep(path: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            arrays[path] = item[()]

    try:
        with h5py.File(io.BytesIO(data), "r") as file:
            file.visititems(keep)
            return arrays, file.attrs.get(_ATTRIBUTE)
    except (OSError, RuntimeError) as error:
        raise ValueError(
            f"these {len(data)} bytes are not a readable HDF5 file ({error}); restore the version from the "
            "store or train again"
        ) from error


def _require_shapes(arrays: Mapping[str, NDArray[Any]], wanted: Mapping[str, tuple[int, ...]]) -> None:
    found = {path: array.shape for path, array in arrays.items()}
    for path in sorted(set(found) | set(wanted)):
        if found.get(path) != wanted.get(path):
            raise ValueError(
                f"weight {path} has shape {found.get(path, 'none, it is missing')}, the configuration says "
                f"{wanted.get(path, 'there is no such weight')}; the file is damaged or mixed up: train again"
            )
