"""The account of a cleaning: what became of every row that was read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Self

import numpy as np
import numpy.typing as npt
from pydantic import TypeAdapter

__all__ = ["CleaningReport", "Tally"]

_EXAMPLES = 3


@dataclass(frozen=True)
class Tally:
    """How often something happened, with the first few places."""

    count: int
    examples: tuple[str, ...]

    @classmethod
    def of_dates(cls, dates: npt.NDArray[np.datetime64]) -> Self:
        """Count dates and keep the first three as examples."""
        first = np.sort(dates)[:_EXAMPLES].astype("datetime64[D]")
        return cls(len(dates), tuple(str(date) for date in first))

    @classmethod
    def of_rows(cls, rows: tuple[int, ...]) -> Self:
        """Count file rows and keep the first three as examples."""
        return cls(len(rows), tuple(f"row {row}" for row in sorted(rows)[:_EXAMPLES]))


@dataclass(frozen=True)
class CleaningReport:
    """What was read, kept, repaired, dropped and flagged, each by reason and with example dates.

    Parameters
    ----------
    source : str
        Where the rows come from: file names, ``'skfolio sp500'``, ``'yfinance'``.
    rows_read : int
        Rows that the source holds for the symbol, blank lines and the header not counted.
    kept : int
        Rows of the resulting history. Always ``rows_read`` minus all that was dropped.
    dropped : mapping of str to Tally
        Rows left out, by reason. Each row has exactly one.
    repaired : mapping of str to Tally
        Kept rows in which something was put right, by reason. A row may have several.
    flagged : mapping of str to Tally
        Kept rows that deserve a look but were not changed.
    notes : tuple of str
        Decisions on the whole file, for instance how its dates were read.
    adjusted : bool
        Whether the close is adjusted for splits and dividends by the source's own adjusted close.
    """

    source: str
    rows_read: int
    kept: int
    dropped: Mapping[str, Tally] = field(default_factory=dict)
    repaired: Mapping[str, Tally] = field(default_factory=dict)
    flagged: Mapping[str, Tally] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    adjusted: bool = False

    @property
    def rows_dropped(self) -> int:
        """Number of rows left out for any reason."""
        return sum(tally.count for tally in self.dropped.values())

    @property
    def adds_up(self) -> bool:
        """Whether every row that was read has a fate."""
        return self.rows_read == self.kept + self.rows_dropped

    def to_json(self) -> str:
        """Encode as JSON with sorted keys."""
        return json.dumps(asdict(self), sort_keys=True, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Decode what :meth:`to_json` wrote."""
        return TypeAdapter(cls).validate_json(text)

    def summary(self) -> str:
        """Return the account in one line, for logs and for the UI."""
        text = f"{self.kept} of {self.rows_read} rows kept"
        for verb in ("dropped", "repaired", "flagged"):
            tallies: Mapping[str, Tally] = getattr(self, verb)
            if tallies:
                parts = [
                    f"{tally.count} {reason} ({', '.join(tally.examples)})"
                    for reason, tally in tallies.items()
                ]
                text += f"; {verb}: " + ", ".join(parts)
        return text
