"""The training set of one symbol, as it is stored: all that training needs, and nothing of the test span."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from ml_assets.storage.arrays import fold_windows, pack, unfold_windows, unpack
from ml_assets.windows.augment_rows import AugmentConfig, augmentation_parents
from ml_assets.windows.rolling import Floats
from ml_assets.windows.sequence_set import SequenceSet, frozen_array
from ml_assets.windows.steps import Steps

__all__ = ["AugmentedSet", "augment_sequences"]

_TYPES = {
    "X": "f4",
    "y": "f8",
    "step_returns": "f8",
    "parent": "i8",
    "is_copy": "?",
    "X_val": "f4",
    "y_val": "f8",
    "step_returns_val": "f8",
    "as_of_train": "datetime64[D]",
    "as_of_val": "datetime64[D]",
    "center": "f8",
    "scale": "f8",
}
_FOLDED = ("X", "step_returns", "X_val", "step_returns_val")


@dataclass(frozen=True, eq=False)
class AugmentedSet:
    """Training rows with their copies, and the validation rows, standardized and ready to train on.

    Parameters
    ----------
    symbol : str
    feature_names : tuple of str, length F
    window, horizon : int
    X : ndarray of float32, shape (m, window, F)
        The training rows in temporal order, then the copies; standardized.
    y : ndarray of float64, shape (m,)
        Label of each row; a copy has its parent's.
    step_returns : ndarray of float64, shape (m, window)
        Label of every day inside each window; a copy has its parent's.
    parent : ndarray of int, shape (m,)
        Row of ``SequenceSet.X('train')`` that each row comes from; an original is its own parent.
    is_copy : ndarray of bool, shape (m,)
    X_val, y_val, step_returns_val : ndarray
        The validation rows: standardized with the training rows' center and scale, otherwise untouched.
    as_of_train, as_of_val : ndarray of datetime64[D]
        As-of days of the training rows (index them by `parent`) and of the validation rows.
    center, scale : ndarray of float64, shape (F,)
        What the rows were standardized with.
    """

    kind: ClassVar[str] = "augmented"
    extension: ClassVar[str] = ".npz"

    symbol: str
    feature_names: tuple[str, ...]
    window: int
    horizon: int
    X: NDArray[np.float32]
    y: Floats
    step_returns: Floats
    parent: NDArray[np.int64]
    is_copy: NDArray[np.bool_]
    X_val: NDArray[np.float32]
    y_val: Floats
    step_returns_val: Floats
    as_of_train: NDArray[np.datetime64]
    as_of_val: NDArray[np.datetime64]
    center: Floats
    scale: Floats

    def __post_init__(self) -> None:
        for name, dtype in _TYPES.items():
            object.__setattr__(self, name, frozen_array(getattr(self, name), dtype))
        rows = {name: len(getattr(self, name)) for name in ("X", "y", "step_returns", "parent", "is_copy")}
        if len(set(rows.values())) != 1 or len(self.X_val) != len(self.y_val):
            raise ValueError(f"{self.symbol}: the arrays of an augmented set disagree in length: {rows}")

    def to_bytes(self) -> bytes:
        """Encode as an ``.npz`` file; equal values give equal bytes.

        Neighboring windows share all but one day, so originals are stored as one strip of days.
        """
        arrays = {name: getattr(self, name) for name in _TYPES if name not in _FOLDED}
        for name in ("as_of_train", "as_of_val"):
            arrays[name] = arrays[name].astype(np.int64)
        for name in _FOLDED:
            values = getattr(self, name)
            arrays[f"{name}_strip"], arrays[f"{name}_start"] = fold_windows(
                values.reshape(len(values), self.window, -1)
            )
        header = {
            "kind": self.kind,
            "symbol": self.symbol,
            "feature_names": list(self.feature_names),
            "window": self.window,
            "horizon": self.horizon,
        }
        return pack(arrays, header)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Decode what `to_bytes` wrote; ValueError if the bytes are something else."""
        arrays: dict[str, Any]
        arrays, header = unpack(data)
        if header.pop("kind", None) != cls.kind:
            raise ValueError(f"these bytes do not hold {cls.kind!r}; read the asset augmented_training_set")
        for name in ("as_of_train", "as_of_val"):
            arrays[name] = arrays[name].astype("datetime64[D]")
        for name in _FOLDED:
            strip, start = arrays.pop(f"{name}_strip"), arrays.pop(f"{name}_start")
            windows = unfold_windows(strip, start, header["window"])
            arrays[name] = windows if name.startswith("X") else windows[:, :, 0]
        header["feature_names"] = tuple(header["feature_names"])
        return cls(**{**header, **arrays})


def augment_sequences(
    sequences: SequenceSet, config: AugmentConfig | None = None, *, steps: Steps | None = None
) -> AugmentedSet:
    """Standardize the training and validation rows and append copies of training rows.

    Parameters
    ----------
    sequences : SequenceSet
        Already split: augmentation comes after the split and sees training rows only.
    config : AugmentConfig, optional
    steps : Steps, optional
        Only tests give others than the defaults.

    Returns
    -------
    AugmentedSet
    """
    config, steps = config or AugmentConfig(), steps or Steps()
    X_train, y_train = sequences.normalized("train"), sequences.y("train")
    X, y = steps.augment(
        X_train,
        y_train,
        copies=config.copies,
        every=config.every,
        jitter=config.jitter,
        magnitude=config.magnitude,
        seed=config.seed,
    )
    parent = augmentation_parents(len(X_train), config.copies, config.every)
    return AugmentedSet(
        symbol=sequences.symbol,
        feature_names=sequences.feature_names,
        window=sequences.window,
        horizon=sequences.horizon,
        X=X,
        y=y.astype(np.float64),
        step_returns=sequences.step_returns("train")[parent],
        parent=parent,
        is_copy=np.arange(len(parent)) >= len(X_train),
        X_val=sequences.normalized("validation"),
        y_val=sequences.y("validation"),
        step_returns_val=sequences.step_returns("validation"),
        as_of_train=sequences.as_of("train"),
        as_of_val=sequences.as_of("validation"),
        center=sequences.center,
        scale=sequences.scale,
    )
