"""What sealed forecasts of one symbol are worth: one report for every target."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

from pydantic import TypeAdapter

from ml_assets.storage.artifact import JsonArtifact

__all__ = ["Fold", "Record", "Report", "Score"]


@dataclass(frozen=True)
class Fold:
    """One part of the sealed span, and what the model that forecast it was trained on; days are ISO dates.

    ``trained_until`` is the day on which the last training label ends, ``known_until`` that on which the last
    one ends that decided when to stop. ``levels`` and ``baseline_levels`` hold the score of the model and of
    the best baseline at each horizon; the latter is empty in reports that did not record it.
    """

    number: int
    training_rows: int
    trained_until: str
    known_until: str
    first_day: str
    last_day: str
    days: int
    origin: str
    levels: list[float]
    baseline_levels: list[float]


@dataclass(frozen=True)
class Record:
    """What the model in service said at one horizon about days that it has not been trained on either.

    ``askable`` is false where it reads other features or another window than there are now.
    """

    weights_sha256: str
    dates: list[str]
    forecast: list[float]
    askable: bool = True


@dataclass(frozen=True)
class Score:
    """Sealed forecasts over one horizon and what they are worth.

    Parameters
    ----------
    horizon : int
        Days ahead.
    dates : list of str
        Scored days (ISO), the folds one after another.
    forecast, realized : list of float
        Per day, in the target's unit: probability of a rise and simple return, or variances over the horizon.
    baseline_forecast : list of float
        Forecasts of `best_baseline`; empty in reports that did not record them.
    best_baseline : str
        The strongest one that a promotion has to beat.
    levels : dict of str to float
        Mean score of the ``model`` and of each baseline: accuracy, or QLIKE in nats.
    gain : float
        By how much the model is better than the best baseline; positive is better, whatever the score.
    p_value : float
        One-sided, by the target's test of skill.
    figures : dict of str to dict of str to float
        Further figures by name, each by forecaster.
    champion : Record, optional
        What the released model said, where there is another one.
    """

    horizon: int
    dates: list[str]
    forecast: list[float]
    realized: list[float]
    baseline_forecast: list[float]
    best_baseline: str
    levels: dict[str, float]
    gain: float
    p_value: float
    figures: dict[str, dict[str, float]] = field(default_factory=dict)
    champion: Record | None = None

    @property
    def days(self) -> int:
        """Number of scored days."""
        return len(self.dates)

    @property
    def last_day(self) -> str:
        """The last scored day, ISO."""
        return self.dates[-1]

    @property
    def level(self) -> float:
        """Score of the model."""
        return self.levels["model"]

    @property
    def baseline_level(self) -> float:
        """Score of the best baseline."""
        return self.levels[self.best_baseline]

    @property
    def baselines(self) -> dict[str, float]:
        """Scores of the baselines."""
        return {name: level for name, level in self.levels.items() if name != "model"}


@dataclass(frozen=True)
class Report(JsonArtifact):
    """Sealed forecasts of one symbol. ``attempt`` counts how often these days have been tried."""

    kind: ClassVar[str] = "forecast_report"

    symbol: str
    scores: list[Score]
    folds: list[Fold]
    attempt: int = 1

    @property
    def horizons(self) -> tuple[int, ...]:
        """Days ahead."""
        return tuple(score.horizon for score in self.scores)

    @property
    def dates(self) -> list[str]:
        """Scored days of the first horizon, ISO."""
        return self.scores[0].dates

    @property
    def predictions(self) -> list[list[float]]:
        """The model's forecasts at each horizon, for telling attempts apart."""
        return [score.forecast for score in self.scores]

    def at(self, horizon: int) -> Score | None:
        """Score at one horizon; None if there is none."""
        return next((score for score in self.scores if score.horizon == horizon), None)

    def corrected(self, score: Score) -> float:
        """The p-value of a score times the number of attempts on these days (Bonferroni)."""
        return min(1.0, score.p_value * self.attempt)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Decode and validate; reports from before there was one form for all targets are read, too."""
        try:
            held = json.loads(data)
            if cls.is_old(held):
                data = cls(**cls.renewed(held)).to_bytes()
        except (KeyError, TypeError, ValueError, AttributeError):
            pass  # neither an old report nor a new one: validation says what is wrong
        return TypeAdapter(cls).validate_json(data)

    @classmethod
    def is_old(cls, _held: Mapping[str, Any]) -> bool:
        """Whether fields are those of the target's earlier form."""
        return False

    @classmethod
    def renewed(cls, held: Mapping[str, Any]) -> dict[str, Any]:
        """Fields of this form from those of the earlier one."""
        raise NotImplementedError(f"{cls.kind} has no earlier form")
