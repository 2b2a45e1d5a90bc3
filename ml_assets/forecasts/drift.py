"""Whether a released model still does what its report says, and still meets the markets that it has seen.

Both questions are answered once per block of new days, so that the answer does not depend on how often one
looks. What is scored, and by which test, is the target's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, Self

import numpy as np
import numpy.typing as npt

from ml_assets.forecasts import _first_format
from ml_assets.forecasts.feature_drift import FeatureDrift
from ml_assets.storage.artifact import JsonArtifact

__all__ = [
    "DriftReport",
    "LevelDrift",
    "Live",
    "Look",
    "Seen",
    "WatchedModel",
    "full_blocks",
    "limit_of",
    "require_columns",
]


@dataclass(frozen=True)
class WatchedModel:
    """A released model: its place, the version of its weights, and the report that won it the place."""

    symbol: str
    horizon: int
    weights: str
    report_sha256: str
    judged_until: str

    @property
    def place(self) -> str:
        """Name of what is watched: the same weights may be released for several horizons."""
        return f"{self.weights}/{self.horizon}"

    def outcomes(self, new_days: int, *, overlapping: bool) -> int:
        """How many of the days after the last judged one have an outcome that shares no day with that one's.

        Parameters
        ----------
        new_days : int
            Days after the last judged one.
        overlapping : bool
            Whether outcomes may share days with each other, because the test allows for it.
        """
        outcomes = max(0, new_days - 2 * self.horizon + 1)
        return outcomes if overlapping else outcomes // self.horizon


@dataclass(frozen=True)
class Seen:
    """What a report says about one released model.

    ``days`` were covered; ``reasons`` call for a retraining, by name, in words; empty if nothing does.
    """

    days: int
    reasons: dict[str, str]


@dataclass(frozen=True)
class LevelDrift:
    """Live level against that of the report; of the days up to the last full block.

    For direction the level is the share of right days, for variance the mean QLIKE of the model minus that of
    its baseline [nats].
    """

    look: int
    days: int
    level: float
    reported_days: int
    reported_level: float
    p_value: float
    limit: float

    @property
    def found(self) -> bool:
        """Whether the model does worse than reported."""
        return self.p_value <= self.limit


@dataclass(frozen=True)
class Look:
    """One look at the model of a horizon.

    ``champion`` is the sha256 of the released weights, ``judged_until`` the last day (ISO) of its report.
    ``forecast`` and ``realized`` are in the target's units, for each of ``dates``; ``baseline_forecast`` is
    that of ``baseline``, which the report judged it against, and empty where none enters the test.
    """

    horizon: int
    champion: str
    judged_until: str
    baseline: str
    dates: list[str]
    forecast: list[float]
    realized: list[float]
    baseline_forecast: list[float]
    drift: LevelDrift

    @property
    def place(self) -> str:
        """As of `WatchedModel`."""
        return f"{self.champion}/{self.horizon}"


@dataclass(frozen=True)
class DriftReport(JsonArtifact):
    """One look at the released models of a symbol: those that have a full block of new days.

    A target has its own subclass, which names the kind and says what was found. ``features`` are None where
    the watch of another target looks at them, or where there is too little to compare with.
    """

    kind: ClassVar[str]

    symbol: str
    looks: list[Look]
    features: FeatureDrift | None = None

    @staticmethod
    def reason(look: Look) -> tuple[str, str]:
        """Name a drift and describe it."""
        raise NotImplementedError

    def seen(self) -> dict[str, Seen]:
        """What was seen of each model, by its place; the features stand with the first."""
        seen = {
            look.place: Seen(look.drift.days, dict([self.reason(look)]) if look.drift.found else {})
            for look in self.looks
        }
        if self.features is not None and self.features.found:
            next(iter(seen.values())).reasons["features"] = self.features.message
        return seen

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Decode and validate, also what was written when each target had a format of its own."""
        return super().from_bytes(_first_format.current(data, _is_by_level, _first_format.drift))


def _is_by_level(fields: Mapping[str, Any]) -> bool:
    return "looks" in fields and all("level" in look["drift"] for look in fields["looks"])


class Live(Protocol):
    """A released model on the new days whose outcome is known."""

    @property
    def model(self) -> WatchedModel:
        """Whose days they are."""
        ...

    @property
    def days(self) -> int:
        """Their number."""
        ...

    def forecast(self) -> npt.NDArray[np.float64]:
        """Ask the released weights for these days, (days,)."""
        ...

    def look(self, *, block: int, false_alarms: float) -> Look:
        """Compare with the report; ``ValueError`` if there is no full block."""
        ...


def limit_of(look: int, false_alarms: float) -> float:
    """p-value at which a look, counted from 1, finds drift; over all looks they add up to `false_alarms`."""
    return false_alarms / (look * (look + 1))


def full_blocks(days: int, block: int) -> int:
    """Number of full blocks in so many days.

    Raises
    ------
    ValueError
        If there is none yet.
    """
    if days < block:
        raise ValueError(f"{days} live days, {block} are a block: wait for more")
    return days // block


def require_columns(model: WatchedModel, reads: Sequence[str], given: Sequence[str]) -> None:
    """Raise ``ValueError`` unless the prices still give the features that a model reads."""
    if tuple(given) != tuple(reads):
        raise ValueError(
            f"{model.symbol}: the released model reads {len(reads)} features, the prices now give "
            f"{len(given)}: columns came or went in the source; retrain the symbol"
        )
