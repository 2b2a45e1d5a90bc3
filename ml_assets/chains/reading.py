"""One file in, rows of quotes out: typed, not yet judged."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml_assets.chains.columns import CALL_WORDS, PUT_WORDS, find_columns
from ml_assets.chains.contracts import parse_contracts, settles_at_open
from ml_assets.prices.errors import PriceFileError
from ml_assets.prices.layouts.dates import DateColumn, parse_dates
from ml_assets.prices.layouts.filenames import symbol_of_file
from ml_assets.prices.layouts.grid import Grid
from ml_assets.prices.layouts.hint import LayoutHint
from ml_assets.prices.layouts.numbers import decide_decimal, parse_numbers
from ml_assets.prices.layouts.read import read_members

__all__ = ["ROW_COLUMNS", "ChainRows", "read_chain_file"]

ROW_COLUMNS = (
    *("file", "row", "date", "underlying", "expiry", "at_open", "strike", "call", "bid", "ask", "spot"),
)
"""Columns of :attr:`ChainRows.rows`."""

Days = npt.NDArray[np.datetime64]
Floats = npt.NDArray[np.float64]

_CELL = "Correct the cell, or give LayoutHint(decimal=..., missing=(...,)) for the file in layout_hints.json."
_DATE = "Correct or remove the row, or give LayoutHint(date_format=...) for the file in layout_hints.json."
_TABLE = "Give a table with date, expiration, strike, type, bid and ask, or remove the file from the folder."
_ORDERED = r"\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}.*"
_FILE_DATE = re.compile(r"(?<!\d)((?:19|20)\d\d)[-_]?(0[1-9]|1[0-2])[-_]?(0[1-9]|[12]\d|3[01])(?!\d)")
_NUMERIC = ("strike", "bid", "ask", "spot")
_SCALES = (100.0, 1000.0)
"""Factors by which vendors multiply strikes (OptionMetrics: 1,000)."""


@dataclass(frozen=True)
class ChainRows:
    """The quotes of one file as written.

    Parameters
    ----------
    rows : pandas.DataFrame
        ``file`` (str), ``row`` (int64, line in the file), ``date`` and ``expiry`` (datetime64[ns]),
        ``underlying`` (str), ``at_open`` (bool, settled in the morning), ``strike``, ``bid``, ``ask``,
        ``spot`` (float64, currency, NaN is missing), ``call`` (bool).
    notes : tuple of str
        How the file was read.
    """

    rows: pd.DataFrame
    notes: tuple[str, ...]


def read_chain_file(path: Path, name: str, hint: LayoutHint) -> list[ChainRows]:
    """Read a file of option quotes, one item for each member of an archive.

    Parameters
    ----------
    path : Path
        CSV, TXT, gz, bz2, xz, zip, tar or Parquet.
    name : str
        How to call the file in messages.
    hint : LayoutHint
        What is known about it.

    Raises
    ------
    PriceFileError
        With file, row, column and remedy, if the file cannot be used.
    """
    found, errors = read_members(path, name, hint, _rows_of)
    if errors:
        first = errors[0]
        # The price reader's remedy speaks of closes.
        remedy = _TABLE if "column of closes" in first.remedy else first.remedy
        raise PriceFileError(first.what, remedy, **first.place)
    return found


def _rows_of(grid: Grid, file: str, hint: LayoutHint) -> ChainRows:
    reader = _Reader(grid, hint)
    date, expiry, notes = reader.dates(file)
    underlying, spot = reader.underlying(file), reader.numbers("spot")
    strike, rescaled = _rescaled(reader.strikes(), reader.contracts["strike"].to_numpy(), spot)
    rows = pd.DataFrame(
        {
            "file": file,
            "row": grid.lines,
            "date": date,
            "underlying": underlying,
            "expiry": _last_business_day(expiry),
            "at_open": settles_at_open(reader.roots()),
            "strike": strike,
            "spot": spot,
        }
    )
    both = pd.concat([rows.assign(**quotes) for quotes in reader.quotes()], ignore_index=True)
    return ChainRows(both[list(ROW_COLUMNS)], (*notes, *rescaled))


class _Reader:
    """Typed columns of one grid."""

    def __init__(self, grid: Grid, hint: LayoutHint) -> None:
        self._grid, self._hint, self._at = grid, hint, find_columns(grid, hint)
        # The last word tells the kind: ``call bid`` is a bid.
        numeric = [place for role, place in self._at.items() if role.split()[-1] in _NUMERIC]
        self._decimal = hint.decimal or decide_decimal([grid.cells[place] for place in numeric])
        self.contracts = parse_contracts(self._text("contract"))
        """What the contract symbols say; nothing where the file has none."""

    def _text(self, role: str) -> pd.Series:
        """A column of texts; empty ones if the file has none."""
        if role not in self._at:
            return pd.Series("", index=range(len(self._grid.lines)), dtype="str")
        return self._grid.cells[self._at[role]].astype("str").str.strip().astype("str")

    def _refuse(self, bad: npt.NDArray[np.bool_], what: str, remedy: str, role: str) -> None:
        if bad.any():
            what += f" ({int(bad.sum()):,} such rows)" if bad.sum() > 1 else ""
            raise self._grid.error(what, remedy, int(np.argmax(bad)), self._at[role])

    def numbers(self, role: str) -> Floats:
        """A numeric column; NaN everywhere if the file has none."""
        if role not in self._at:
            return np.full(len(self._grid.lines), np.nan)
        values, unreadable = parse_numbers(
            self._grid.cells[self._at[role]], self._decimal, self._hint.missing
        )
        self._refuse(unreadable, "no number", _CELL, role)
        return values

    def strikes(self) -> Floats:
        return self.numbers("strike") if "strike" in self._at else self.contracts["strike"].to_numpy()

    def dates(self, file: str) -> tuple[Days, Days, list[str]]:
        """Quote dates and expiries, read in one order of day and month."""
        columns = [role for role in ("date", "expiry") if role in self._at]
        read = _read_together({role: self._grid.cells[self._at[role]] for role in columns}, self._hint)
        for role, (days, _) in read.items():
            self._refuse(np.isnat(days), "no readable date", _DATE, role)
        notes = list(dict.fromkeys(note for _, note in read.values() if note))
        if "expiry" in read:
            expiry = read["expiry"].days
        else:
            expiry = self.contracts["expiry"].to_numpy("datetime64[ns]")
            self._refuse(np.isnat(expiry), "no contract symbol, so no expiry", _DATE, "contract")
        if "date" in read:
            return read["date"].days, expiry, notes
        date = np.full(len(self._grid.lines), _file_date(file))
        return date, expiry, [*notes, "date of the quotes from the file's name"]

    def underlying(self, file: str) -> pd.Series:
        """The underlying's symbol: its column, else the contracts' root, else the file's name."""
        if "underlying" in self._at:
            return self._text("underlying").str.lstrip("^$").str.upper()
        if "contract" in self._at:
            roots = self.contracts["root"]
            return roots.where(~roots.isin(("SPXW", "NDXP", "RUTW")), roots.str[:3])
        return pd.Series(symbol_of_file(file) or "", index=range(len(self._grid.lines)), dtype="str")

    def roots(self) -> pd.Series:
        """The root that tells the settlement; without one an index's name tells nothing, so PM is taken."""
        return self.contracts["root"] if "contract" in self._at else self._text("root")

    def quotes(self) -> list[dict[str, Any]]:
        """Type, bid and ask of each row's one option, or of its call and its put where it holds both."""
        if "call bid" in self._at:
            return [
                {"call": kind == "call", **{side: self.numbers(f"{kind} {side}") for side in ("bid", "ask")}}
                for kind in ("call", "put")
            ]
        return [{"call": self._calls(), "bid": self.numbers("bid"), "ask": self.numbers("ask")}]

    def _calls(self) -> npt.NDArray[np.bool_]:
        if "right" not in self._at:
            return self.contracts["call"].to_numpy(dtype=bool)
        words = self._text("right").str.lower()
        calls, puts = (words.isin(known).to_numpy(dtype=bool) for known in (CALL_WORDS, PUT_WORDS))
        remedy = "Write call or put (or c, p) there, or remove the row."
        self._refuse(~(calls | puts), "neither call nor put", remedy, "right")
        return calls


def _read_together(cells: dict[str, pd.Series], hint: LayoutHint) -> dict[str, DateColumn]:
    """Read the columns of dates; written alike, they are decided alike.

    A file of one day holds too few quote dates to tell 05/06 from 06/05; its expiries tell.
    """
    ordered = [
        isinstance(column.dtype, pd.StringDtype) and bool(column.str.fullmatch(_ORDERED).mean() > 0.5)
        for column in cells.values()
    ]
    if not cells or not all(ordered):
        return {role: parse_dates(column, hint) for role, column in cells.items()}
    whole = parse_dates(pd.concat(cells.values(), ignore_index=True), hint)
    parts = np.split(whole.days, np.cumsum([len(column) for column in cells.values()])[:-1])
    return {role: DateColumn(days, whole.note) for role, days in zip(cells, parts, strict=True)}


def _file_date(file: str) -> np.datetime64:
    found = _FILE_DATE.search(file.rpartition("/")[2])
    if found is None:
        raise PriceFileError(
            "no column holds the date of the quotes, and the file's name has none",
            "Add a column named date, or name the file after its day, for instance SPX_2019-04-25.csv.",
        )
    return np.datetime64("-".join(found.groups()), "ns")


def _last_business_day(expiry: Days) -> Days:
    """Move an expiry on a week end, as listed until 2015, to the Friday on which trading ends."""
    moved = np.busday_offset(expiry.astype("datetime64[D]") + 1, -1, roll="forward")
    days: Days = moved.astype("datetime64[ns]")
    return days


def _rescaled(strike: Floats, contract: Floats, spot: Floats) -> tuple[Floats, tuple[str, ...]]:
    """Undo a vendor's factor on strikes, where contract symbols or the spot bear it out."""
    for reference, what in ((spot, "spot"), (contract, "contract symbols")):
        with np.errstate(invalid="ignore", divide="ignore"):
            ratio = strike / reference
        if np.isfinite(ratio).any():
            middle = float(np.median(ratio[np.isfinite(ratio)]))
            for factor in _SCALES:
                if factor / 3 < middle < factor * 3:
                    return strike / factor, (f"strikes divided by {factor:g}, as the {what} shows",)
            break
    return strike, ()
