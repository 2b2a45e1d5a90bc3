"""One file in, rows of quotes out: typed, not yet judged."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml_assets.chains.columns import CALL_WORDS, PUT_WORDS, ChainColumns, find_columns
from ml_assets.chains.contracts import parse_contracts, settles_at_open
from ml_assets.prices.errors import PriceFileError
from ml_assets.prices.layouts import LayoutHint, grid_of_bytes, symbol_of_file
from ml_assets.prices.layouts.archives import members
from ml_assets.prices.layouts.dates import parse_dates
from ml_assets.prices.layouts.grid import Grid
from ml_assets.prices.layouts.numbers import decide_decimal, parse_numbers

__all__ = ["ROW_COLUMNS", "ChainRows", "read_chain_file"]

ROW_COLUMNS = (
    "file",
    "row",
    "date",
    "underlying",
    "expiry",
    "at_open",
    "strike",
    "call",
    "bid",
    "ask",
    "spot",
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
    found = []
    member = name
    try:
        for member, data in members(path, name):
            found.append(_rows_of(grid_of_bytes(data, hint), member, hint))
    except PriceFileError as error:
        # The price reader's remedy speaks of closes.
        remedy = _TABLE if "column of closes" in error.remedy else error.remedy
        raise PriceFileError(error.what, remedy, **error.place).at(file=member) from error
    except OSError as error:
        what = f"the file cannot be opened ({error.strerror or error})"
        raise PriceFileError(what, "Check its permissions.", file=name) from error
    if not found:
        raise PriceFileError("the archive is empty", "Remove it.", file=name)
    return found


def _rows_of(grid: Grid, file: str, hint: LayoutHint) -> ChainRows:
    columns = find_columns(grid, hint)
    reader = _Reader(grid, columns, hint)
    date, expiry, notes = reader.dates(file)
    underlying, spot = reader.underlying(file), reader.numbers("spot")
    strike, rescaled = _rescaled(reader.strikes(), reader.contract_strikes(), spot)
    rows = pd.DataFrame(
        {
            "file": file,
            "row": grid.lines,
            "date": date,
            "underlying": underlying,
            "expiry": _last_business_day(expiry),
            "at_open": settles_at_open(reader.roots(underlying)),
            "strike": strike,
            "spot": spot,
        }
    )
    kinds = ("call", "put") if columns.wide else ("",)
    both = pd.concat([reader.quotes(rows, kind) for kind in kinds], ignore_index=True)
    return ChainRows(both[list(ROW_COLUMNS)], (*notes, *rescaled))


class _Reader:
    """Typed columns of one grid."""

    def __init__(self, grid: Grid, columns: ChainColumns, hint: LayoutHint) -> None:
        self._grid, self._columns, self._hint = grid, columns, hint
        numeric = [columns.roles[role] for role in _NUMERIC if role in columns.roles]
        numeric += columns.wide.values()
        texts = [at for at in numeric if isinstance(grid.cells[at].dtype, pd.StringDtype)]
        self._decimal = hint.decimal or decide_decimal([grid.cells[at] for at in texts])
        self._contracts = parse_contracts(self._text("contract")) if "contract" in columns.roles else None

    def _text(self, role: str) -> pd.Series:
        return self._grid.cells[self._columns.roles[role]].astype("str").str.strip().astype("str")

    def _error(self, what: str, remedy: str, bad: npt.NDArray[np.bool_], at: int) -> PriceFileError:
        row = int(np.argmax(bad))
        return PriceFileError(
            f"{what} ({int(bad.sum()):,} such rows)" if bad.sum() > 1 else what,
            remedy,
            row=int(self._grid.lines[row]),
            column=self._grid.names[at].field,
            found=str(self._grid.cells[at].iloc[row]),
        )

    def numbers(self, role: str) -> Floats:
        """A numeric column; NaN everywhere if the file has none."""
        if role not in self._columns.roles:
            return np.full(len(self._grid.lines), np.nan)
        return self._numbers_at(self._columns.roles[role])

    def _numbers_at(self, at: int) -> Floats:
        values, unreadable = parse_numbers(self._grid.cells[at], self._decimal, self._hint.missing)
        if unreadable.any():
            raise self._error("no number", _CELL, unreadable, at)
        return values

    def strikes(self) -> Floats:
        return self.numbers("strike") if "strike" in self._columns.roles else self.contract_strikes()

    def contract_strikes(self) -> Floats:
        if self._contracts is None:
            return np.full(len(self._grid.lines), np.nan)
        return self._contracts["strike"].to_numpy(np.float64)

    def dates(self, file: str) -> tuple[Days, Days, list[str]]:
        """Quote dates and expiries, read in one order of day and month."""
        columns = [role for role in ("date", "expiry") if role in self._columns.roles]
        cells = {role: self._grid.cells[self._columns.roles[role]] for role in columns}
        read = _read_together(cells, self._hint)
        for role, (days, _) in read.items():
            if np.isnat(days).any():
                raise self._error("no readable date", _DATE, np.isnat(days), self._columns.roles[role])
        notes = list(dict.fromkeys(note for _, note in read.values() if note))
        if "expiry" not in read:
            assert self._contracts is not None  # find_columns has seen to it
            read["expiry"] = (self._contracts["expiry"].to_numpy("datetime64[ns]"), "")
            bad = np.isnat(read["expiry"][0])
            if bad.any():
                where = self._columns.roles["contract"]
                raise self._error("no contract symbol, so no expiry", _DATE, bad, where)
        if "date" not in read:
            day = _file_date(file)
            read["date"] = (np.full(len(self._grid.lines), day), "")
            notes.append("date of the quotes from the file's name")
        return read["date"][0], read["expiry"][0], notes

    def underlying(self, file: str) -> pd.Series:
        """The underlying's symbol: its column, else the contracts' root, else the file's name."""
        if "underlying" in self._columns.roles:
            return self._text("underlying").str.lstrip("^$").str.upper()
        if self._contracts is not None:
            roots = self._contracts["root"]
            return roots.where(~roots.isin(("SPXW", "NDXP", "RUTW")), roots.str[:3])
        return pd.Series(symbol_of_file(file) or "", index=range(len(self._grid.lines)), dtype="str")

    def roots(self, underlying: pd.Series) -> pd.Series:
        """The root that tells the settlement; without one an index's name tells nothing, so PM is taken."""
        if self._contracts is not None:
            return self._contracts["root"]
        return self._text("root") if "root" in self._columns.roles else pd.Series("", index=underlying.index)

    def quotes(self, rows: pd.DataFrame, kind: str) -> pd.DataFrame:
        """Add type, bid and ask: of each row's one option, or of the given kind where a row holds both."""
        if not kind:
            return rows.assign(call=self._calls(), bid=self.numbers("bid"), ask=self.numbers("ask"))
        bid, ask = (self._numbers_at(self._columns.wide[kind, side]) for side in ("bid", "ask"))
        return rows.assign(call=kind == "call", bid=bid, ask=ask)

    def _calls(self) -> npt.NDArray[np.bool_]:
        if "right" not in self._columns.roles:
            assert self._contracts is not None  # find_columns has seen to it
            return self._contracts["call"].to_numpy(dtype=bool)
        words = self._text("right").str.lower()
        calls, puts = (words.isin(known).to_numpy(dtype=bool) for known in (CALL_WORDS, PUT_WORDS))
        if not (calls | puts).all():
            remedy = "Write call or put (or c, p) there, or remove the row."
            raise self._error("neither call nor put", remedy, ~(calls | puts), self._columns.roles["right"])
        return calls


def _read_together(cells: dict[str, pd.Series], hint: LayoutHint) -> dict[str, tuple[Days, str]]:
    """Read the columns of dates; written alike, they are decided alike.

    A file of one day holds too few quote dates to tell 05/06 from 06/05; its expiries tell.
    """
    ordered = [
        isinstance(column.dtype, pd.StringDtype) and bool(column.str.fullmatch(_ORDERED).mean() > 0.5)
        for column in cells.values()
    ]
    if not all(ordered):
        found = {role: parse_dates(column, hint) for role, column in cells.items()}
        return {role: (column.days, column.note) for role, column in found.items()}
    whole = parse_dates(pd.concat(cells.values(), ignore_index=True), hint)
    parts = np.split(whole.days, np.cumsum([len(column) for column in cells.values()])[:-1])
    return {role: (days, whole.note) for role, days in zip(cells, parts, strict=True)}


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
        ratio = ratio[np.isfinite(ratio)]
        if ratio.size:
            middle = float(np.median(ratio))
            factor = next((f for f in _SCALES if f / 3 < middle < f * 3), None)
            return (
                (strike / factor, (f"strikes divided by {factor:g}, as the {what} shows",))
                if factor
                else (strike, ())
            )
    return strike, ()
