"""Trained weights of one symbol with all that is needed to use them, as a file that Keras can open."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ml_assets.mamba.config import MambaConfig
from ml_assets.mamba.trained import TrainedMamba
from ml_assets.mamba.weight_file import open_file
from ml_assets.training.policy import TrainingRecord

__all__ = ["MambaWeights", "StoredModel", "WeightSource", "read_arrays"]

Origin = Literal["scratch", "base", "fine_tuned"]


@dataclass(frozen=True, eq=False, kw_only=True)
class MambaWeights(TrainedMamba):
    """The outcome of one training on a symbol (artifact of kind ``'mamba_weights'``).

    `known_until` is the last as-of day of the validation rows: what came later, labels aside, training has
    not seen. `training_rows` and `data_sha256` are those of the augmented set. See
    :class:`~ml_assets.mamba.trained.TrainedMamba` for the other fields.

    Parameters
    ----------
    symbol : str
        The symbol trained on.
    center, scale : ndarray (F,)
        Normalization fitted on the training rows; predictions take raw features.
    return_center, return_scale : float
        Mean and deviation of the training returns: a forecast return is ``center + scale * output``.
    validation_outputs_sha256 : str
        Hash of the trained model's outputs on the validation rows, for the gate that reloads it.
    origin : {'scratch', 'base', 'fine_tuned'}
        Whether these weights started at random, are those of the base model, or were fine-tuned from it.
    candidates : mapping of str to float
        Validation loss of what they were chosen from, by origin.
    base_sha256 : str or None
        Version of the base model, if there was one to start from.
    """

    kind: ClassVar[str] = "mamba_weights"
    decoders: ClassVar = {"center": np.array, "scale": np.array}

    symbol: str
    center: NDArray[np.float64]
    scale: NDArray[np.float64]
    return_center: float
    return_scale: float
    validation_outputs_sha256: str
    origin: Origin = "scratch"
    candidates: Mapping[str, float] = field(default_factory=dict)
    base_sha256: str | None = None


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
    @property
    def recovery(self) -> TrainingRecord: ...  # noqa: D102


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
