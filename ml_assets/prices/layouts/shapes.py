"""From a grid to rows per symbol: single, long, wide and two-level tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml_assets.prices.errors import PriceFileError
from ml_assets.prices.layouts.filenames import symbol_of_file, symbol_of_text
from ml_assets.prices.layouts.grid import Grid, hinted_columns
from ml_assets.prices.layouts.hint import LayoutHint
from ml_assets.prices.layouts.inference import infer_roles
from ml_assets.prices.layouts.names import role_of, split_name
from ml_assets.prices.layouts.numbers import decide_decimal, parse_numbers
from ml_assets.prices.layouts.rows import Rows
from ml_assets.prices.raw import FIELDS, RawPrices

__all__ = ["ParsedFile", "parse_grid"]

_NO_CLOSE = "Name it with LayoutHint(columns={'close': '...'}), or remove the file from the folder."
_NO_SYMBOL = "Give LayoutHint(symbol='...') for it, or name the file after its symbol, for instance AAPL.csv."


@dataclass
class ParsedFile:
    """What one file holds: rows of some symbols, and what could not be used."""

    tables: list[RawPrices] = field(default_factory=list)
    errors: list[PriceFileError] = field(default_factory=list)


@dataclass(frozen=True)
class _Columns:
    """Positions of a grid's columns: those all symbols share, and those of each symbol."""

    date: int
    symbol: int | None
    fields: dict[str | None, dict[str, int]]


def parse_grid(grid: Grid, file: str, hint: LayoutHint) -> ParsedFile:
    """Turn a grid into rows per symbol.

    The symbol is, in this order: the hint's; the ticker column's; the header's (second level, prefix, name of
    a wide column); the file name's.

    Parameters
    ----------
    grid : Grid
        The file's columns.
    file : str
        The file's name, for messages and for the symbol.
    hint : LayoutHint
        What is known about the file.

    Raises
    ------
    PriceFileError
        If nothing in the file can be used. A fault of one symbol is returned among the errors instead.
    """
    columns = _find_columns(grid, hint)
    used = [at for fields in columns.fields.values() for at in fields.values()]
    decimal = hint.decimal or decide_decimal([grid.cells[at] for at in used])
    rows = Rows(grid, columns.date, used, hint, decimal)
    parsed = ParsedFile()
    for symbol, chosen, fields in _symbols(grid, columns, rows, file, hint, parsed.errors):
        try:
            parsed.tables.append(rows.table(symbol, chosen, fields, file))
        except PriceFileError as error:
            parsed.errors.append(error.at(file=file, symbol=symbol))
    if not parsed.tables and not parsed.errors:
        raise PriceFileError("no row holds prices", "Check the file, or remove it from the folder.")
    return parsed


def _find_columns(grid: Grid, hint: LayoutHint) -> _Columns:
    """Give each column its role, by the hint, by its name, or by its values."""
    named = hinted_columns(grid, hint, ("date", "symbol", *FIELDS))
    if not grid.has_header:
        date_here = named.get("date", grid.date_at or 0)
        others = [grid.cells[at] for at in range(len(grid.names)) if at != date_here]
        decimal = hint.decimal or decide_decimal(others)
        roles = named if "close" in named else infer_roles(grid.cells, date_here, decimal) | named
        return _Columns(roles.get("date", date_here), roles.get("symbol"), {None: _only_fields(roles)})
    _refuse_surplus(grid)
    ranked: dict[str | None, dict[str, tuple[int, int]]] = {}
    for at, name in enumerate(grid.names):
        role = role_of(name.field)
        if role is not None and (at != grid.date_at or role.name == "date"):
            best = ranked.setdefault(name.symbol, {})
            best[role.name] = min(best.get(role.name, (role.rank, at)), (role.rank, at))
    levels = {symbol: {role: at for role, (_, at) in best.items()} for symbol, best in ranked.items()}
    shared = levels.pop(None, {}) | named
    date_at = named.get("date", shared.get("date") if grid.date_at is None else grid.date_at)
    if date_at is None:
        raise PriceFileError("no column of dates found", "Name it with LayoutHint(columns={'date': '...'}).")
    if levels:
        fields = {symbol: _only_fields(roles) for symbol, roles in levels.items()}
    else:
        fields = _fields(grid, shared, date_at)
    return _Columns(date_at, shared.get("symbol"), fields)


def _only_fields(roles: Mapping[str, int]) -> dict[str, int]:
    return {role: at for role, at in roles.items() if role in FIELDS}


def _fields(grid: Grid, shared: dict[str, int], date_at: int) -> dict[str | None, dict[str, int]]:
    """Group the price columns by symbol; None stands for the symbol of the whole file."""
    if "close" in shared or "adj_close" in shared:
        return {None: {role: at for role, at in _only_fields(shared).items() if at != date_at}}
    others = {at: name.field for at, name in enumerate(grid.names) if name.field and at != date_at}
    prefixed: dict[str | None, dict[str, int]] = {}
    for at, name in others.items():
        pieces = split_name(name)
        if pieces is not None:
            prefixed.setdefault(pieces[0], {}).setdefault(pieces[1], at)
    if any("close" in fields or "adj_close" in fields for fields in prefixed.values()):
        return prefixed
    wide = {at: name for at, name in others.items() if _is_wide_column(grid, at, name)}
    if wide and "symbol" not in shared and len(wide) >= 0.8 * len(others):
        return {name: {"close": at} for at, name in wide.items()}
    found = ", ".join(repr(name) for name in others.values())
    raise PriceFileError("no column of closes found", _NO_CLOSE, found=found[:120])


def _is_wide_column(grid: Grid, at: int, name: str) -> bool:
    """Tell whether a column may hold one symbol's closes: its name is short and its values are positive."""
    if len(name) > 20 or " " in name.strip():
        return False
    values, unreadable = min(
        (parse_numbers(grid.cells[at], mark) for mark in ".,"), key=lambda read: read[1].sum()
    )
    known = values[np.isfinite(values)]
    return bool(known.size and unreadable.mean() < 0.05 and (known >= 0).all() and len(np.unique(known)) > 2)


def _refuse_surplus(grid: Grid) -> None:
    """Refuse rows with more cells than the header: a comma inside a number would shift every column."""
    last = max(at for at, name in enumerate(grid.names) if name.field or name.symbol)
    for at in range(last + 1, len(grid.names)):
        surplus = np.flatnonzero((grid.cells[at] != "").to_numpy())
        if surplus.size and at != grid.date_at:
            remedy = "Put numbers with thousands marks in quotation marks, or give LayoutHint(delimiter=...)."
            raise grid.error("a row has more cells than the header", remedy, int(surplus[0]), at)


def _symbols(
    grid: Grid, columns: _Columns, rows: Rows, file: str, hint: LayoutHint, errors: list[PriceFileError]
) -> list[tuple[str, npt.NDArray[np.intp], dict[str, int]]]:
    """Return each symbol with the positions of its rows and of its columns."""
    everything = np.arange(len(grid.lines))
    if columns.symbol is not None and None in columns.fields:
        groups = _ticker_groups(grid, columns.symbol, rows, file, errors)
        found = [(symbol, chosen, columns.fields[None]) for symbol, chosen in groups.items()]
    elif None in columns.fields:
        symbol = hint.symbol or symbol_of_file(file)
        if symbol is None:
            raise PriceFileError("the file does not say which symbol it holds", _NO_SYMBOL)
        found = [(symbol_of_text(symbol), everything, columns.fields[None])]
    else:
        found = []
        for symbol, fields in columns.fields.items():
            try:
                found.append((symbol_of_text(str(symbol)), everything, fields))
            except ValueError as error:
                errors.append(PriceFileError(str(error), "Rename the column.", file=file, column=symbol))
    if hint.symbol is None:
        return found
    if len(found) != 1:
        raise PriceFileError(
            f"the hint gives the symbol {hint.symbol!r}, but the file holds {len(found)} symbols",
            "Remove the symbol from the hint, or narrow its pattern.",
        )
    return [(symbol_of_text(hint.symbol), *found[0][1:])]


def _ticker_groups(
    grid: Grid, at: int, rows: Rows, file: str, errors: list[PriceFileError]
) -> dict[str, npt.NDArray[np.intp]]:
    """Group the rows of a long table by their ticker."""
    codes, tickers = pd.factorize(grid.cells[at].astype("str"))
    groups: dict[str, list[npt.NDArray[np.intp]]] = {}
    order = np.argsort(codes, kind="stable")
    for ticker, places in zip(tickers, np.split(order, np.cumsum(np.bincount(codes))[:-1]), strict=True):
        places = places[rows.set_aside[places] == ""]
        if not places.size:
            continue
        try:
            groups.setdefault(symbol_of_text(ticker), []).append(places)
        except ValueError:
            what = f"{len(places)} rows have no usable ticker"
            errors.append(grid.error(what, "Fill in the tickers.", int(places[0]), at).at(file=file))
    return {symbol: np.sort(np.concatenate(places)) for symbol, places in groups.items()}
