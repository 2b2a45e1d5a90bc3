"""The book that a cleaning keeps: a table of rows, and for each row its fate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from ml_assets.prices.errors import PriceFileError
from ml_assets.prices.raw import RawPrices
from ml_assets.prices.report import CleaningReport, Tally

__all__ = ["Ledger", "Mask"]

Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]


class Ledger:
    """Rows sorted by date, with why each is dropped and what was repaired in it.

    Parameters
    ----------
    raw : RawPrices
        The rows as read.
    columns : sequence of str
        The columns to use. An adjusted close beside a close gives the scale; alone, the adjusted columns take
        the places of the plain ones. An adjusted volume outranks a plain one.

    Attributes
    ----------
    row, date : ndarray, shape (n,)
        Line in the file and datetime64[ns] day, sorted by date; rows of one date in file order.
    values : dict of str to ndarray, shape (n,)
        The columns, float64.
    fate : ndarray of str, shape (n,)
        Why each row is dropped; empty for kept rows.
    repairs, flags : dict of str to ndarray of bool, shape (n,)
        By reason, the rows in which something was put right, and those that deserve a look.
    adjusted : bool
        Whether there is an adjusted close.
    """

    def __init__(self, raw: RawPrices, columns: Sequence[str]) -> None:
        self.adjusted = "adj_close" in columns
        self.raw, self.places = raw, _places(columns)
        order = np.argsort(raw.rows["date"].to_numpy(), kind="stable")
        self.row = raw.rows["row"].to_numpy()[order]
        self.date = raw.rows["date"].to_numpy()[order]
        self.values: dict[str, Floats] = {
            name: raw.rows[own].to_numpy()[order] for name, own in self.places.items()
        }
        self.fate = np.full(len(order), "", dtype=object)
        self.repairs: dict[str, Mask] = {}
        self.flags: dict[str, Mask] = {}

    def column(self, name: str) -> Floats:
        """Return a column, all missing if there is none."""
        return self.values[name] if name in self.values else np.full(len(self.row), np.nan)

    def drop(self, rows: Mask, reason: str) -> None:
        """Drop rows that are not dropped yet."""
        self.fate[rows & (self.fate == "")] = reason

    def blank(self, rows: Mask, names: Sequence[str], reason: str) -> None:
        """Read some cells as missing."""
        self.repairs[reason] = rows
        for name in names:
            if name in self.values and rows.any():
                self.values[name] = np.where(rows, np.nan, self.values[name])

    def error(self, what: str, remedy: str, at: int, name: str) -> PriceFileError:
        """Describe a refusal with the place of a cell."""
        shown = str(self.date[at])[:10] if name == "date" else f"{self.values[name][at]:g}"
        column = self.raw.name_of(self.places.get(name, name))
        return PriceFileError(what, remedy, row=int(self.row[at]), column=column, found=shown)

    @property
    def rows_read(self) -> int:
        """Number of rows of the source, with those that hold no prices."""
        return len(self.row) + sum(len(rows) for rows in self.raw.set_aside.values())

    def dropped(self) -> dict[str, Tally]:
        """Count the rows left out, by reason."""
        tallies = {reason: Tally.of_rows(rows) for reason, rows in self.raw.set_aside.items()}
        for reason in sorted(set(self.fate) - {""}):
            tallies[reason] = Tally.of_dates(self.date[self.fate == reason])
        return tallies

    def report(self, flags: Mapping[str, Tally]) -> CleaningReport:
        """Close the book."""
        return CleaningReport(
            source=self.raw.file,
            rows_read=self.rows_read,
            kept=int((self.fate == "").sum()),
            dropped=self.dropped(),
            repaired=self._tally(self.repairs),
            flagged=dict(sorted({**flags, **self._tally(self.flags)}.items())),
            notes=(*self.raw.notes, *self._notes()),
            adjusted=self.adjusted,
        )

    def _tally(self, masks: Mapping[str, Mask]) -> dict[str, Tally]:
        """Count rows by reason, kept ones only."""
        alive = self.fate == ""
        kept = {reason: self.date[mask & alive] for reason, mask in sorted(masks.items())}
        return {reason: Tally.of_dates(days) for reason, days in kept.items() if len(days)}

    def _notes(self) -> list[str]:
        """How the rows are ordered, and which columns are not used."""
        days = self.raw.rows["date"].to_numpy()
        back = int((days[1:] < days[:-1]).sum())
        order = f"rows out of date order at {back} places; sorted" if back else ""
        if back and (days[1:] <= days[:-1]).all():
            order = "newest first"
        unused = set(self.raw.rows) - set(self.values)
        return [order] * bool(order) + [
            f"{self.raw.name_of(name)} not used: too often missing, or at odds with the close"
            for name in ("open", "high", "low", "volume")
            if name in unused
        ]


def _places(columns: Sequence[str]) -> dict[str, str]:
    """Map the columns of the ledger to those of the rows."""
    places = {
        name: name for name in columns if name in ("open", "high", "low", "close", "adj_close", "volume")
    }
    if "adj_close" in columns and "close" not in columns:
        places = {
            name: f"adj_{name}" for name in ("open", "high", "low", "close") if f"adj_{name}" in columns
        }
        places |= {"volume": "volume"} if "volume" in columns else {}
    if "adj_volume" in columns:
        places["volume"] = "adj_volume"
    return places
