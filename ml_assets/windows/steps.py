"""The replaceable functions of the pipeline.

The product uses the defaults. The mutation tests replace one of them with a leaking version, so that a leak
is planted by injection and the product's own code stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ml_assets.windows.augment_rows import augment_data
from ml_assets.windows.features import extract_features, feature_names
from ml_assets.windows.labels import forward_returns
from ml_assets.windows.rolling import Floats
from ml_assets.windows.rows import tradable_rows
from ml_assets.windows.scaling import fit_scale
from ml_assets.windows.splits import SequenceConfig, assign_splits

__all__ = ["Steps"]


@dataclass(frozen=True)
class Steps:
    """One function for each step from prices to the augmented training set.

    Parameters
    ----------
    features : callable
        ``(frame) -> (n, F)``.
    names : callable
        ``(frame) -> names``; further columns are called ``extra_0``, ``extra_1``, ...
    labels : callable
        ``(closes, horizon) -> (n,)``.
    rows : callable
        ``(features, returns, window) -> positions``.
    splits : callable
        ``(rows, config) -> names of the parts``.
    scale : callable
        ``(features, training_days) -> center, scale``.
    augment : callable
        As `ml_assets.windows.augment_rows.augment_data`.
    """

    features: Callable[[pd.DataFrame], Floats] = extract_features
    names: Callable[[pd.DataFrame], tuple[str, ...]] = feature_names
    labels: Callable[[Floats, int], Floats] = forward_returns
    rows: Callable[[NDArray[np.float32], Floats, int], NDArray[np.int64]] = tradable_rows
    splits: Callable[[int, SequenceConfig], NDArray[np.str_]] = assign_splits
    scale: Callable[[NDArray[np.float32], NDArray[np.bool_]], tuple[Floats, Floats]] = fit_scale
    augment: Callable[..., tuple[NDArray[np.floating], NDArray[np.floating]]] = augment_data
