"""From prices to sequences: features, labels, windows, split with purge, scale, ledger.

The public functions on plain arrays and the pipeline's `build_sequences` share every step, so what holds
for one holds for the other.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ml_assets.storage.arrays import unfold_windows
from ml_assets.windows.features import WARM_UP, Prices, extract_features
from ml_assets.windows.labels import forward_returns
from ml_assets.windows.rolling import Floats
from ml_assets.windows.rows import build_ledger, tradable_rows, training_days
from ml_assets.windows.sequence_set import SequenceSet
from ml_assets.windows.splits import SequenceConfig, split_bounds, split_sequences
from ml_assets.windows.steps import Steps

if TYPE_CHECKING:
    from ml_assets.prices.history import PriceHistory

__all__ = [
    "SequenceConfig",
    "SequenceSet",
    "Steps",
    "build_sequences",
    "create_sequences",
    "split_bounds",
    "split_sequences",
]

logger = logging.getLogger(__name__)


def create_sequences(
    prices: Prices, window: int = 60, horizon: int = 1
) -> tuple[NDArray[np.float32], Floats]:
    """Cut a price history into windows of features, each with the return that followed.

    Parameters
    ----------
    prices : list, 1-D array, Series of closes, or DataFrame
        As for `ml_assets.windows.features.extract_features`.
    window : int
        Days in a window.
    horizon : int
        Days ahead that the label reaches.

    Returns
    -------
    X : ndarray of float32, shape (n, window, F)
        Raw features; ``X[i, -1]`` belongs to the as-of day of row i. Days without enough past for every
        feature are in no window.
    y : ndarray, shape (n,)
        Simple return from the as-of day's close to the close `horizon` days later.

    Raises
    ------
    ValueError
        If the prices are refused by `extract_features`, or too few for one window.
    """
    SequenceConfig(window=window, horizon=horizon)  # refuses what makes no sense
    features = extract_features(prices)
    closes = prices["close"] if isinstance(prices, pd.DataFrame) else prices
    returns = forward_returns(np.asarray(closes, dtype=np.float64), horizon)
    positions = tradable_rows(features, returns, window)
    _require_rows("the price history", len(features), len(positions), window, horizon)
    return unfold_windows(features.astype(np.float32), positions - window + 1, window), returns[positions]


def build_sequences(
    prices: PriceHistory, config: SequenceConfig | None = None, *, steps: Steps | None = None
) -> SequenceSet:
    """Build the stored sequences of one symbol.

    Parameters
    ----------
    prices : PriceHistory
    config : SequenceConfig, optional
    steps : Steps, optional
        The functions that do it; only tests give others than the defaults.

    Returns
    -------
    SequenceSet

    Raises
    ------
    ValueError
        If the history is too short to fill training, validation and test parts.
    """
    config, steps = config or SequenceConfig(), steps or Steps()
    frame = prices.frame
    # A shallow copy: what a step does to its frame must reach neither the labels nor the prices.
    features = np.asarray(steps.features(frame.copy(deep=False)), dtype=np.float32, order="C")
    names = _complete_names(steps.names(frame), features.shape[1])
    returns = steps.labels(frame["close"].to_numpy(), config.horizon)
    positions = steps.rows(features, returns, config.window)
    # Whatever the labels say, none can end after the last day.
    positions = positions[positions + config.horizon < len(frame)]
    _require_rows(prices.symbol, len(frame), len(positions), config.window, config.horizon)
    splits = steps.splits(len(positions), config)
    dates = frame.index.to_numpy().astype("datetime64[D]")
    ledger = build_ledger(dates, positions, splits, config.window, config.horizon)
    center, scale = steps.scale(
        features, training_days(positions[splits == "train"], config.window, len(dates))
    )
    logger.debug("%s: %d sequences from %d days", prices.symbol, len(ledger), len(dates))
    return SequenceSet(
        symbol=prices.symbol,
        feature_names=names,
        dates=dates,
        features=features,
        returns=returns,
        window=config.window,
        horizon=config.horizon,
        ledger=ledger,
        center=center,
        scale=scale,
        split=config.split,
        folds=config.folds,
    )


def _complete_names(names: tuple[str, ...], columns: int) -> tuple[str, ...]:
    return (*names[:columns], *(f"extra_{k}" for k in range(columns - len(names))))


def _require_rows(what: str, days: int, rows: int, window: int, horizon: int) -> None:
    if not rows:
        raise ValueError(
            f"{what} has {days} days, which give no sequence: {WARM_UP} days of warm-up, a window of "
            f"{window} and a horizon of {horizon} need {WARM_UP + window + horizon}. Give a longer "
            "history or a smaller window or horizon"
        )
