"""What forecasts, and what it is given: the two halves that every target and every baseline share.

A forecaster is fitted on the rows of one fold and then asked about its test days. A baseline is a forecaster
like any other: the set of a target's forecasters is a list, and adding one to the list is all it takes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ml_assets.windows.rolling import Floats
from ml_assets.windows.sequence_set import SequenceSet

if TYPE_CHECKING:
    from ml_assets.forecasts.variance.weights import VolatilityWeights
    from ml_assets.mamba.weights import MambaWeights

__all__ = [
    "CLOSE",
    "Baseline",
    "FoldRows",
    "Forecaster",
    "Model",
    "TrainedForecaster",
    "TrainedModel",
    "WeightsModel",
    "fold_rows",
    "purged_rows",
]

Positions = NDArray[np.int64]

Weights = TypeVar("Weights", "MambaWeights", "VolatilityWeights")

CLOSE = frozenset({"close"})
"""Columns of prices that every source has."""


@dataclass(frozen=True, eq=False)
class FoldRows:
    """One fold: what was known before its test days, and the days to forecast.

    Parameters
    ----------
    frame : DataFrame
        Prices from the first day of the sequences to the fold's last one.
    sequences : SequenceSet
        The symbol's sequences as they stood at this fold.
    horizons : tuple of int, length H
        Days ahead that are forecast.
    at : ndarray of int, shape (n,), optional
        Positions of the days to forecast; the fold's test rows if left out.

    Raises
    ------
    ValueError
        If prices and sequences are not of the same days, a close or a feature that would be read is missing,
        or a day to forecast has no window.
    """

    frame: pd.DataFrame
    sequences: SequenceSet
    horizons: tuple[int, ...]
    at: Positions | None = None

    def __post_init__(self) -> None:
        sequences, symbol = self.sequences, self.sequences.symbol
        if len(self.frame) != len(sequences.dates):
            raise ValueError(
                f"{symbol}: prices of {len(self.frame)} days, {len(sequences.dates)} days of sequences"
            )
        closes = self.closes
        if not (np.isfinite(closes) & (closes > 0)).all():
            day = sequences.dates[int(np.argmin(np.isfinite(closes) & (closes > 0)))]
            raise ValueError(f"{symbol} {day}: the close is no positive number; clean the prices first")
        first, last = int(sequences.positions("train")[0]), len(closes) - 1
        if self.days.size and not first <= self.days.min() <= self.days.max() <= last:
            raise ValueError(
                f"{symbol}: forecasts are asked for days {self.days.min()} to {self.days.max()}, windows end "
                f"on days {first} to {last}"
            )
        read = np.concatenate([sequences.positions("train"), self.days])
        finite = np.isfinite(sequences.features[read]).all(axis=1)
        if not finite.all():
            day = sequences.dates[read[int(np.argmin(finite))]]
            raise ValueError(f"{symbol} {day}: a feature is not finite; rebuild the sequences")

    @property
    def days(self) -> Positions:
        """Positions of the days to forecast, shape (n,)."""
        return self.sequences.positions("test") if self.at is None else self.at

    @property
    def closes(self) -> Floats:
        """Closes, shape (n_days,)."""
        return self.frame["close"].to_numpy(dtype=np.float64)


class Model(Protocol):
    """What a forecaster has learned from one fold."""

    def forecast(self, rows: FoldRows) -> Floats:
        """Forecast from the close of each day in ``rows.days``, shape (n, H), from what was known then."""
        ...

    def to_bytes(self) -> bytes:
        """Encode; equal models give equal bytes."""
        ...


class TrainedModel(Model, Protocol):
    """A model that is kept, serves, and is asked again about days that came after its training."""

    @property
    def origin(self) -> str:
        """Where its weights came from."""
        ...

    @property
    def events(self) -> tuple[str, ...]:
        """What went wrong while it was trained, and how that was mended."""
        ...

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the features that it reads, in order."""
        ...

    @property
    def window(self) -> int:
        """Days of a window."""
        ...

    @property
    def horizons(self) -> tuple[int, ...]:
        """Days ahead that it forecasts."""
        ...

    def first_unseen(self, sequences: SequenceSet) -> int:
        """Position of the first day whose outcome shares no day with what it was trained on."""
        ...


class Forecaster(Protocol):
    """A way to forecast.

    Examples
    --------
    >>> model = forecaster.fit(rows)                     # doctest: +SKIP
    >>> model.forecast(rows).shape                       # doctest: +SKIP
    (250, 1)
    """

    @property
    def name(self) -> str:
        """Under which its figures stand in a report."""
        ...

    @property
    def columns(self) -> frozenset[str]:
        """Columns of the prices without which it cannot be fitted; it is left out where one is missing."""
        ...

    def fit(self, rows: FoldRows) -> Model:
        """Learn from the days before the fold's test windows; no later one may enter."""
        ...

    def from_bytes(self, data: bytes) -> Model:
        """Decode what a model of this forecaster wrote; ValueError if the bytes are something else."""
        ...


class TrainedForecaster(Forecaster, Protocol):
    """A forecaster whose models are kept and may serve."""

    def fit(self, rows: FoldRows, like: TrainedModel | None = None) -> TrainedModel:
        """Train on the days before the fold's test windows, under the conditions that `like` had, if any."""
        ...

    def from_bytes(self, data: bytes) -> TrainedModel:
        """Decode the stored weights."""
        ...


@dataclass(frozen=True)
class Baseline:
    """A forecaster of a few parameters: its name, how it is fitted, and what decodes its models."""

    name: str
    fit: Callable[[FoldRows], Model]
    from_bytes: Callable[[bytes], Model]
    columns: frozenset[str] = CLOSE


@dataclass(frozen=True, eq=False)
class WeightsModel(Generic[Weights]):
    """Stored weights as a model: what they say of themselves. A target adds how they forecast."""

    weights: Weights

    @property
    def origin(self) -> str:
        """Where they came from: trained from scratch, unless they say otherwise."""
        return str(getattr(self.weights, "origin", "scratch"))

    @property
    def events(self) -> tuple[str, ...]:
        """What went wrong while they were trained, and how that was mended."""
        return tuple(self.weights.recovery.messages)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Features that they read."""
        return self.weights.feature_names

    @property
    def window(self) -> int:
        """Days of a window."""
        return self.weights.window

    def to_bytes(self) -> bytes:
        """Encode as a Keras file."""
        return self.weights.to_bytes()


def fold_rows(frame: pd.DataFrame, sequences: SequenceSet, horizons: tuple[int, ...]) -> list[FoldRows]:
    """Cut a history into the folds of its sealed span, the earliest first."""
    folds = [sequences.fold(number + 1) for number in range(sequences.folds)]
    return [FoldRows(frame.iloc[: len(fold.dates)], fold, horizons) for fold in folds]


def purged_rows(sequences: SequenceSet, reach: int) -> tuple[Positions, Positions]:
    """Training and validation rows whose labels over `reach` days end before the next part begins to read.

    Where `reach` is further than the horizon of the sequences, the last rows of each part are purged.

    Raises
    ------
    ValueError
        If a part is left without rows.
    """
    train, validation = _purged(sequences, reach)
    if not train.size or not validation.size:
        raise ValueError(
            f"{sequences.symbol}: a horizon of {reach} days leaves {train.size} training and "
            f"{validation.size} validation rows; give a longer history or a shorter horizon"
        )
    return train, validation


def _purged(sequences: SequenceSet, reach: int) -> Iterator[Positions]:
    parts = [sequences.positions(name) for name in ("train", "validation", "test")]
    for earlier, later in pairwise(parts):
        yield earlier[earlier + reach < later[0] - sequences.window + 1]
