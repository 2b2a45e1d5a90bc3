"""What is decided over a fleet, whatever is forecast: a verdict for every place, and who serves there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Generic, Self, TypeVar

from ml_assets.forecasts import _first_format
from ml_assets.forecasts.succession import Champion, Served, SuccessionRule
from ml_assets.storage.artifact import JsonArtifact

__all__ = [
    "PROMOTE",
    "QUARANTINE",
    "REJECT",
    "RETRAIN",
    "Judged",
    "Place",
    "Promotion",
    "PromotionRule",
    "Verdict",
    "place_name",
]

PROMOTE, RETRAIN, REJECT, QUARANTINE = "PROMOTE", "RETRAIN", "REJECT", "QUARANTINE"

Place = tuple[str, int]
"""Symbol and horizon: the unit of a verdict and of a model in service."""

Report = TypeVar("Report")


def place_name(symbol: str, horizon: int) -> str:
    """Write a place as people read it.

    Examples
    --------
    >>> place_name("AAPL", 5)
    'AAPL (5 d)'
    """
    return f"{symbol} ({horizon} d)"


@dataclass(frozen=True)
class PromotionRule:
    """What it takes to be promoted, and to stay.

    Parameters
    ----------
    margin
        Gain over the best baseline that is needed, in the unit of the target's level; 0: any gain.
    quarantine
        What is too good to be true on real daily prices, and more likely a leak: an accuracy, or a gain of
        QLIKE in nats. All that separates a constant variance from GARCH is 0.3 to 0.4 nats.
    false_discovery_rate
        Benjamini-Hochberg q over all attempted places.
    minimum_days
        Scored days below which nothing can be shown.
    retrain_p
        Unadjusted p-value below which a retraining on new data is worth its cost.
    succession
        When a champion gives way.
    """

    margin: float
    quarantine: float
    false_discovery_rate: float = 0.05
    minimum_days: int = 500
    retrain_p: float = 0.20
    succession: SuccessionRule = field(default_factory=SuccessionRule)


@dataclass(frozen=True)
class Judged(Generic[Report]):
    """A certified report with what names it: its version and that of the weights it scored."""

    report: Report
    report_sha256: str
    weights_sha256: str


@dataclass(frozen=True)
class Verdict:
    """The verdict on one place with the figures behind it; figures are None where no report exists.

    ``level`` and ``baseline_level`` are the scores of the model and of the best baseline, ``gain`` says by
    how much the model is better. ``p_value`` is the one of the report times its attempts; ``adjusted_p`` is
    1 for what could not be promoted whatever its p-value; ``service`` says what that means for the model in
    service.
    """

    symbol: str
    horizon: int
    verdict: str
    reason: str
    days: int
    level: float | None
    best_baseline: str | None
    baseline_level: float | None
    gain: float | None
    p_value: float
    adjusted_p: float
    attempt: int
    service: str = "none"

    @property
    def place(self) -> Place:
        """Symbol and horizon."""
        return self.symbol, self.horizon


@dataclass(frozen=True)
class Promotion(JsonArtifact):
    """Verdicts of one fleet, sorted by place, the rule that gave them, and the models in service.

    A target has its own subclass, which only names the kind. ``void`` says why the controls invalidate this
    run's promotions; None if they came out as they must. ``champions`` are the models that may be served.
    """

    kind: ClassVar[str]

    rule: PromotionRule
    horizons: list[int]
    verdicts: list[Verdict]
    controls: list[Verdict]
    void: str | None
    champions: list[Served]

    @property
    def everyone(self) -> list[Verdict]:
        """All verdicts, those on the controls last."""
        return [*self.verdicts, *self.controls]

    def promoted(self) -> list[Place]:
        """Places that have a model in service."""
        return [served.place for served in self.champions]

    def champion(self, symbol: str, horizon: int) -> Champion | None:
        """The model in service at a place, if any."""
        return next((s.champion for s in self.champions if s.place == (symbol, horizon)), None)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Decode and validate, also what was written when each target had a format of its own."""
        return super().from_bytes(
            _first_format.current(
                data, lambda fields: isinstance(fields["champions"], list), _first_format.promotion
            )
        )
