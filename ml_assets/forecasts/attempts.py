"""How often a symbol has been tried on the same sealed days: who tries twenty times finds luck once."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import Any, Protocol, Self, TypeVar

from ml_assets.storage import ArtifactStore, NotCertified

__all__ = ["Attempt", "attempt_number", "earlier_versions"]

logger = logging.getLogger(__name__)


class Attempt(Protocol):
    """A report on sealed days, whatever it forecasts."""

    @property
    def dates(self) -> list[str]:
        """Scored days, ISO."""
        ...

    @property
    def predictions(self) -> Any:
        """What was forecast for them."""
        ...

    @property
    def attempt(self) -> int:
        """Its own count."""
        ...

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Decode a stored report."""
        ...


Report = TypeVar("Report", bound=Attempt)
_SAME_WINDOW = 0.5  # share of the days that two attempts have in common, from which on they are on one window


def earlier_versions(store: ArtifactStore, asset: str, symbol: str, report: type[Report]) -> list[Report]:
    """Return the certified reports of an asset and a symbol that the store still keeps, newest first."""
    return list(_readable(store, asset, symbol, report))


def attempt_number(report: Attempt, earlier: Sequence[Attempt]) -> int:
    """Count the attempts on this report's sealed days, itself included.

    Equal predictions for equal days are the same attempt. New days make a new window only when they outnumber
    the old ones: retraining every day must not wash the count away.

    Parameters
    ----------
    report : Attempt
        The new one; its own ``attempt`` is not looked at.
    earlier : sequence of Attempt
        Reports of the same symbol, in any order. Each carries the count of those before it, so that pruning
        old versions forgets nothing.
    """
    days = set(report.dates)
    same_window = [r for r in earlier if len(days & set(r.dates)) >= _SAME_WINDOW * len(days)]
    for other in same_window:
        if (other.dates, other.predictions) == (report.dates, report.predictions):
            return other.attempt
    return 1 + max((other.attempt for other in same_window), default=0)


def _readable(store: ArtifactStore, asset: str, symbol: str, report: type[Report]) -> Iterator[Report]:
    for certificate in store.versions(asset, symbol):
        try:
            data, _ = store.read(asset, symbol, certificate.sha256)
            yield report.from_bytes(data)
        except (NotCertified, ValueError) as error:  # damaged, or written by another version of the project
            logger.warning("%s: an earlier report is not counted as an attempt: %s", symbol, error)
