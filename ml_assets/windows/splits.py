"""Where training ends and validation and test begin.

Every sequence reads `window` days and its label reaches `horizon` days further. A training row is *purged*
when either of them touches the first input day of the later part: the last ``window + horizon - 1`` rows
before it. Purging takes rows from the earlier part only; the later part is always complete.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["SPLITS", "SequenceConfig", "assign_splits", "purge_length", "split_bounds", "split_sequences"]

SPLITS = ("train", "purged", "validation", "test")


@dataclass(frozen=True)
class SequenceConfig:
    """How a price history becomes sequences.

    Parameters
    ----------
    window : int
        Days of features that a sequence holds.
    horizon : int
        Days ahead that a label reaches.
    split : float
        Share of the rows before the test span that come before the validation part.
    test_days : int, optional
        Length of the sealed span, all folds together; by default 1,000 rows or a quarter of all, whichever is
        less.
    folds : int
        Equal parts of the sealed span. The test part is the last of them; a walk-forward score trains anew
        before each (`ml_assets.windows.sequence_set.SequenceSet.fold`).
    """

    window: int = 60
    horizon: int = 1
    split: float = 0.8
    test_days: int | None = None
    folds: int = 1

    def __post_init__(self) -> None:
        if self.window < 1 or self.horizon < 1:
            raise ValueError(f"window and horizon must be at least 1, got {self.window} and {self.horizon}")
        _check_share(self.split)
        if self.test_days is not None and self.test_days < 1:
            raise ValueError(f"test_days must be at least 1, got {self.test_days}; None takes the default")
        if self.folds < 1:
            raise ValueError(f"folds must be at least 1, got {self.folds}")


def purge_length(window: int, horizon: int) -> int:
    """Rows before a boundary whose window or label reaches across it."""
    return window + horizon - 1


def split_bounds(rows: int, split: float, window: int, horizon: int) -> tuple[int, int]:
    """End of the training part and start of the validation part, as row numbers.

    Parameters
    ----------
    rows : int
        Number of rows in temporal order.
    split : float
        The validation part starts at row ``int(rows * split)``.
    window, horizon : int
        Days that a row reads, and days that its label reaches further.

    Returns
    -------
    train_stop, validation_start : int
        The rows between the two are purged.

    Raises
    ------
    ValueError
        If no training or no validation row remains.
    """
    _check_share(split)
    start = int(rows * split)
    purge = purge_length(window, horizon)
    stop = start - purge
    if stop < 1 or start >= rows:
        raise ValueError(
            f"{rows} rows split at {split} leave {max(stop, 0)} training and {rows - start} validation rows "
            f"after purging {purge} (window {window} + horizon {horizon} - 1). Give a longer history, "
            f"a shorter window or horizon, or another split; {_rows_needed(split, purge)} rows are enough"
        )
    return stop, start


def split_sequences(
    X: NDArray[np.floating],
    y: NDArray[np.floating],
    split: float = 0.8,
    horizon: int = 1,
) -> tuple[
    NDArray[np.floating],
    NDArray[np.floating],
    NDArray[np.floating],
    NDArray[np.floating],
]:
    """Split sequences in temporal order and purge the training side.

    Parameters
    ----------
    X : ndarray, shape (n, window, features) or (n, features)
        Rows in temporal order, one per day. Two-dimensional rows count as windows of one day.
    y : ndarray, shape (n,)
    split : float
        The validation part is exactly ``X[int(n * split):]``.
    horizon : int
        Days that a label reaches beyond its row.

    Returns
    -------
    X_train, X_val, y_train, y_val : ndarray
        Views. The training part ends ``window + horizon - 1`` rows before the validation part starts.

    Raises
    ------
    ValueError
        If lengths differ, X has another number of dimensions, or nothing remains in one part.
    """
    X, y = np.asarray(X), np.asarray(y)
    if X.ndim not in (2, 3):
        raise ValueError(f"X must be (n, window, features) or (n, features), got shape {X.shape}")
    if len(X) != len(y):
        raise ValueError(f"X has {len(X)} rows and y has {len(y)}; each row needs its label")
    if horizon < 1:
        raise ValueError(f"horizon must be at least 1 day, got {horizon}")
    window = X.shape[1] if X.ndim == 3 else 1
    stop, start = split_bounds(len(X), split, window, horizon)
    return X[:stop], X[start:], y[:stop], y[start:]


def assign_splits(rows: int, config: SequenceConfig) -> NDArray[np.str_]:
    """Name the part of every row: training, purged, validation, purged, test, in this order.

    Parameters
    ----------
    rows : int
        Number of sequences in temporal order, one per day.
    config : SequenceConfig

    Returns
    -------
    ndarray of str, shape (rows,)

    Raises
    ------
    ValueError
        If a part stays empty, in this fold or in the first.
    """
    sealed = config.test_days if config.test_days is not None else min(1000, rows // 4)
    test = sealed // config.folds
    if test < 1 or rows - sealed - purge_length(config.window, config.horizon) < 1:
        raise ValueError(
            f"{rows} rows cannot hold a sealed span of {sealed} in {config.folds} folds and the purge before "
            "it. Give a longer history, a smaller test_days or fewer folds"
        )
    # The first fold has the least to train on: refused here rather than when it is trained.
    first = rows - test * config.folds - purge_length(config.window, config.horizon)
    split_bounds(first, config.split, config.window, config.horizon)
    before = rows - test - purge_length(config.window, config.horizon)
    stop, start = split_bounds(before, config.split, config.window, config.horizon)
    names = np.full(rows, "purged", dtype=f"<U{max(map(len, SPLITS))}")
    names[:stop] = "train"
    names[start:before] = "validation"
    names[rows - test :] = "test"
    return names


def _check_share(split: float) -> None:
    if not 0.0 < split < 1.0:
        raise ValueError(f"split must lie between 0 and 1, got {split}")


def _rows_needed(split: float, purge: int) -> int:
    rows = int((purge + 1) / split)
    while int(rows * split) < purge + 1 or int(rows * split) >= rows:
        rows += 1
    return rows
