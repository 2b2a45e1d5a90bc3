"""Standardizing features with numbers fitted on training rows alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ml_assets.windows.rolling import Floats

__all__ = ["CLIP", "fit_scale", "normalize"]

CLIP = 5.0
"""Standardized features are cut off here: one crash day must not dominate a training step."""


def fit_scale(features: NDArray[np.floating], training_days: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Mean and standard deviation of each feature over the training days.

    Parameters
    ----------
    features : ndarray, shape (n_days, F)
    training_days : ndarray of bool, shape (n_days,)
        True for the days that some training window contains.

    Returns
    -------
    center, scale : ndarray, shape (F,)
        The scale of a constant feature is 1.
    """
    rows = np.compress(training_days, features, axis=0).astype(np.float64)
    center = rows.mean(axis=0)
    # In place, and by NumPy's own steps, so to its last bit: gates fit this hundreds of times.
    rows -= center
    np.multiply(rows, rows, out=rows)
    scale = np.sqrt(rows.mean(axis=0))
    # A constant feature has a spread of rounding errors, which must not be blown up to 1.
    constant = scale <= 1e-9 * np.abs(center)
    return center, np.where(constant, 1.0, scale)


def normalize(X: NDArray[np.floating], center: Floats, scale: Floats) -> NDArray[np.float32]:
    """Standardize and clip: ``clip((X - center) / scale, -5, 5)`` in float32.

    Parameters
    ----------
    X : ndarray, shape (..., F)
        Raw features.
    center, scale : ndarray, shape (F,)
        From `fit_scale`.

    Returns
    -------
    ndarray of float32, shape (..., F)
    """
    out: NDArray[np.float32] = np.subtract(X, center.astype(np.float32), dtype=np.float32)
    out /= scale.astype(np.float32)
    np.clip(out, -CLIP, CLIP, out=out)
    return out
