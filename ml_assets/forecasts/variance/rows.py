"""Rows of a variance model: the certified windows, with the labels of several horizons beside them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ml_assets.forecasts.forecaster import purged_rows
from ml_assets.forecasts.variance.start import StartRule, fit_start
from ml_assets.storage.arrays import unfold_windows
from ml_assets.windows.labels import forward_variance
from ml_assets.windows.rolling import Floats
from ml_assets.windows.sequence_set import SequenceSet

__all__ = ["VarianceSet", "variance_rows"]

Rows = NDArray[np.int64]
T = TypeVar("T", bound=np.floating)


@dataclass(frozen=True, eq=False)
class VarianceSet:
    """What a variance model of one symbol is trained on, and stopped by.

    After the last validation row `days`, `labels` and `start` are NaN: no training can use what it is
    tested on.

    Parameters
    ----------
    symbol : str
    horizons : tuple of int, length H
        Days ahead.
    window : int
    feature_names : tuple of str, length F
    dates : ndarray of datetime64[D], shape (n_days,)
    days : ndarray of float32, shape (n_days, F)
        Features standardized by `center` and `scale`.
    labels : ndarray, shape (n_days, H)
        Realized variance over the coming days.
    start : ndarray, shape (n_days, H)
        Forecast of `rule`, from which the model starts: it learns the logarithm of the ratio to it.
    rule : StartRule
        Fitted on the training rows.
    train, validation : ndarray of int
        Last days of the windows. No training label reaches a validation window, no validation label a test
        window, at the longest horizon.
    center, scale : ndarray, shape (F,)
    """

    symbol: str
    horizons: tuple[int, ...]
    window: int
    feature_names: tuple[str, ...]
    dates: NDArray[np.datetime64]
    days: NDArray[np.float32]
    labels: Floats
    start: Floats
    rule: StartRule
    train: Rows
    validation: Rows
    center: Floats
    scale: Floats

    def windows(self, ends: Rows) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Windows that end on these days, (n, window, F), and the ratios of their steps, (n, window, H)."""
        first = ends - self.window + 1
        with np.errstate(invalid="ignore"):
            ratios = (self.labels / self.start).astype(np.float32)
        return unfold_windows(self.days, first, self.window), unfold_windows(ratios, first, self.window)

    @property
    def trained_until(self) -> str:
        """Day (ISO) on which the last training label ends."""
        return str(self.dates[self.train[-1] + max(self.horizons)])

    @property
    def known_until(self) -> str:
        """Day (ISO) on which the last validation label ends: nothing later is known to the model."""
        return str(self.dates[self.validation[-1] + max(self.horizons)])

    def sha256(self) -> str:
        """Hash of everything that training sees: nothing after the last validation row."""
        stop = int(self.validation[-1]) + 1
        header = [self.symbol, self.horizons, self.window, self.feature_names, self.rule.to_dict()]
        digest = hashlib.sha256(json.dumps(header).encode())
        for values in (self.days[:stop], self.labels[:stop], self.start[:stop], self.train, self.validation):
            digest.update(np.ascontiguousarray(values).data)
        return digest.hexdigest()


def variance_rows(sequences: SequenceSet, closes: Floats, horizons: tuple[int, ...]) -> VarianceSet:
    """Derive the rows of a variance model from certified sequences.

    Where the longest horizon reaches further than that of the sequences, the last rows of the training and of
    the validation part are purged: those whose label would reach into the windows of the part after.

    Parameters
    ----------
    sequences : SequenceSet
        Of one fold, see `SequenceSet.fold`.
    closes : ndarray, shape (>= n_days,)
        Closes of the history that the sequences were built from; later days are cut off here.
    horizons : tuple of int

    Raises
    ------
    ValueError
        If there are fewer closes than days, or a part is left without rows.
    """
    days, reach = len(sequences.dates), max(horizons)
    if len(closes) < days:
        raise ValueError(f"{sequences.symbol}: {len(closes)} closes for {days} days of sequences")
    closes = np.asarray(closes[:days], dtype=np.float64)
    train, validation = purged_rows(sequences, reach)
    labels = np.column_stack([forward_variance(closes, h) for h in horizons])
    rule = fit_start(closes[: train[-1] + reach + 1], labels, train, horizons)
    last = int(validation[-1])
    return VarianceSet(
        symbol=sequences.symbol,
        horizons=horizons,
        window=sequences.window,
        feature_names=sequences.feature_names,
        dates=sequences.dates,
        days=_until(last, sequences.normalize(sequences.features)),
        labels=_until(last, labels),
        start=_until(last, rule.forecast(closes)),
        rule=rule,
        train=train,
        validation=validation,
        center=sequences.center,
        scale=sequences.scale,
    )


def _until(last: int, values: NDArray[T]) -> NDArray[T]:
    """Copy with NaN on every day after `last`."""
    known = values.copy()
    known[last + 1 :] = np.nan
    return known
