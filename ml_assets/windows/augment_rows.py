"""More training rows from the training rows, after the split and from nothing but training rows.

Each copy is its parent with every deviation from the training mean stretched by one random factor
("magnitude scaling") plus noise in units of the training deviations ("jitter"), after Um et al., "Data
augmentation of wearable sensor data", ICMI 2017. Labels follow the parent unchanged.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["AugmentConfig", "augment_data", "augmentation_parents"]

_CHUNK = 512  # rows drawn at a time; part of the recipe, because it orders the random numbers


@dataclass(frozen=True)
class AugmentConfig:
    """How much to augment.

    Parameters
    ----------
    copies : int
        Copies of each chosen row.
    every : int
        Every how many-th training row is copied. Neighboring windows share all but one day, so copying
        every fourth loses little and keeps the stored artifact small.
    jitter : float
        Noise, as a share of each feature's deviation over the training rows.
    magnitude : float
        Spread of the logarithm of the random factor.
    seed : int
    """

    copies: int = 1
    every: int = 4
    jitter: float = 0.05
    magnitude: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        _check_counts(self.copies, self.every)


def augmentation_parents(rows: int, copies: int = 1, every: int = 1) -> NDArray[np.int64]:
    """Training row from which each row of the augmented set comes.

    Parameters
    ----------
    rows : int
        Number of training rows.
    copies, every : int
        As given to `augment_data`.

    Returns
    -------
    ndarray of int, shape (m,)
        First 0, 1, ..., rows - 1 (the originals), then the parents of the copies.
    """
    _check_counts(copies, every)
    return np.concatenate([np.arange(rows), np.tile(np.arange(0, rows, every), copies)])


def augment_data(
    X_train: ArrayLike,
    y_train: ArrayLike,
    *,
    copies: int = 1,
    every: int = 1,
    jitter: float = 0.05,
    magnitude: float = 0.1,
    seed: int = 0,
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Append noisy copies to the training rows.

    Parameters
    ----------
    X_train : array_like, shape (n, window, F) or (n, F)
    y_train : array_like, shape (n,)
    copies, every, jitter, magnitude, seed
        See `AugmentConfig`.

    Returns
    -------
    X_aug, y_aug : ndarray
        The originals first, bit-equal and in order, then the copies; row i comes from training row
        ``augmentation_parents(n, copies, every)[i]``. Equal arguments give bit-equal results.

    Raises
    ------
    ValueError
        If lengths differ, there is no row, or X holds NaN or infinity.
    """
    X, y = np.asarray(X_train), np.asarray(y_train)
    X = X if np.issubdtype(X.dtype, np.floating) else X.astype(np.float64)
    _check_rows(X, y)
    parents = augmentation_parents(len(X), copies, every)
    out = np.empty((len(parents), *X.shape[1:]), dtype=X.dtype)
    out[: len(X)] = X
    # The last day of each window counts every day once; the windows themselves would count most 60 times.
    days = (X[:, -1] if X.ndim == 3 else X).astype(np.float64)
    mean, deviation = days.mean(axis=0).astype(X.dtype), days.std(axis=0).astype(X.dtype)
    rng = np.random.default_rng(seed)
    for start in range(len(X), len(parents), _CHUNK):
        rows = parents[start : start + _CHUNK]
        factor = np.exp(magnitude * rng.standard_normal(len(rows))).astype(X.dtype)
        copy = rng.standard_normal((len(rows), *X.shape[1:]), dtype=np.float32).astype(X.dtype)
        copy *= X.dtype.type(jitter) * deviation
        copy += (X[rows] - mean) * factor.reshape(-1, *[1] * (X.ndim - 1))
        copy += mean
        out[start : start + len(rows)] = copy
    return out, y[parents]


def _check_counts(copies: int, every: int) -> None:
    if copies < 1 or every < 1:
        raise ValueError(f"copies and every must be at least 1, got {copies} and {every}")


def _check_rows(X: NDArray[np.floating], y: NDArray[np.generic]) -> None:
    if X.ndim not in (2, 3) or len(X) != len(y) or not len(X):
        raise ValueError(
            f"augment_data needs at least one row and a label for each, got X {X.shape} and y {y.shape}; "
            "X is (n, window, features) or (n, features)"
        )
    if not np.isfinite(X).all():
        raise ValueError(
            "X_train holds NaN or infinity; drop warm-up rows before augmenting (create_sequences)"
        )
