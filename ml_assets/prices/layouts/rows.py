"""The rows of a grid: dates and numbers read once for the whole file, then handed out per symbol."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml_assets.prices.layouts.dates import parse_dates
from ml_assets.prices.layouts.grid import Grid
from ml_assets.prices.layouts.hint import LayoutHint
from ml_assets.prices.layouts.names import plain
from ml_assets.prices.layouts.numbers import parse_numbers
from ml_assets.prices.raw import RawPrices

__all__ = ["HEADER_ROW", "TEXT_ROW", "Rows"]

HEADER_ROW = "second header"
TEXT_ROW = "text without prices"
"""Reasons for which a line after the header is set aside."""

_CELL = "Correct the cell, or give LayoutHint(decimal=..., missing=(...,)) if it is written in another way."
_DATE = "Correct or remove the row, or give LayoutHint(date_format=...) if all dates are written this way."
_EVENT = re.compile(r"divid|split|holiday|closed", re.IGNORECASE)
"""What vendors write between the rows of prices."""

Index = npt.NDArray[np.intp]


class Rows:
    """A grid's rows, read.

    Parameters
    ----------
    grid : Grid
        The file's columns.
    date_at : int
        Position of the dates.
    used : sequence of int
        Positions of prices and volumes.
    hint : LayoutHint
        What is known about the file.
    decimal : {'.', ','}
        The decimal mark.
    """

    def __init__(self, grid: Grid, date_at: int, used: Sequence[int], hint: LayoutHint, decimal: str) -> None:
        self.grid, self.date_at = grid, date_at
        self.days, date_note = parse_dates(grid.cells[date_at], hint)
        self.numbers = {at: parse_numbers(grid.cells[at], decimal, hint.missing) for at in used}
        self.notes = tuple(note for note in (date_note, "decimal commas" if decimal == "," else "") if note)
        self.set_aside = self._judge_lines()

    def _judge_lines(self) -> npt.NDArray[np.object_]:
        """Give each row the reason for which it is no price row, or an empty text."""
        reasons = np.full(len(self.days), "", dtype=object)
        readable = np.zeros(len(self.days), dtype=bool)
        unreadable = np.zeros(len(self.days), dtype=bool)
        for values, bad in self.numbers.values():
            readable |= ~np.isnan(values)
            unreadable |= bad
        dateless = np.isnat(self.days)
        reasons[~readable & dateless] = TEXT_ROW
        names = [plain(name.field) for name in self.grid.names]
        most = sum(name != "" for name in names) / 2
        for row in np.flatnonzero(~readable & (unreadable | dateless)):
            cells = [str(cell) for cell in self.grid.cells.iloc[row]]
            if sum(plain(cell) == name != "" for cell, name in zip(cells, names, strict=True)) > most:
                reasons[row] = HEADER_ROW
            elif any(_EVENT.search(cell) for cell in cells):
                reasons[row] = TEXT_ROW
        return reasons

    def table(self, symbol: str, chosen: Index, fields: Mapping[str, int], file: str) -> RawPrices:
        """Return one symbol's rows.

        Parameters
        ----------
        symbol : str
            Normalized symbol.
        chosen : ndarray of int
            Positions of its rows.
        fields : mapping of str to int
            Its columns.
        file : str
            The file's name.

        Raises
        ------
        PriceFileError
            If a cell or a date cannot be read.
        """
        reasons = self.set_aside[chosen]
        kept = chosen[reasons == ""]
        dateless = kept[np.isnat(self.days[kept])]
        if dateless.size:
            raise self.grid.error("no readable date", _DATE, int(dateless[0]), self.date_at)
        content: dict[str, npt.NDArray[np.generic]] = {"row": self.grid.lines[kept], "date": self.days[kept]}
        for role, at in fields.items():
            values, unreadable = self.numbers[at]
            bad = kept[unreadable[kept]]
            if bad.size:
                raise self.grid.error("no number", _CELL, int(bad[0]), at)
            content[role] = values[kept]
        aside = {
            reason: tuple(int(line) for line in self.grid.lines[chosen[reasons == reason]])
            for reason in (HEADER_ROW, TEXT_ROW)
            if (reasons == reason).any()
        }
        names = {"date": self.grid.names[self.date_at].field or "date"}
        names |= {role: self.grid.names[at].field or f"column {at + 1}" for role, at in fields.items()}
        return RawPrices(symbol, file, pd.DataFrame(content), aside, self.notes, names)
