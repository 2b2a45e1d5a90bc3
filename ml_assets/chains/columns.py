"""What a column of an option chain is: by its name, and by values that bear the name out."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pandas as pd

from ml_assets.chains.contracts import CONTRACT
from ml_assets.prices.errors import PriceFileError
from ml_assets.prices.layouts.dates import is_date_like
from ml_assets.prices.layouts.grid import Grid, hinted_columns
from ml_assets.prices.layouts.hint import LayoutHint
from ml_assets.prices.layouts.names import plain
from ml_assets.prices.layouts.numbers import is_missing, parse_numbers

__all__ = ["CALL_WORDS", "PUT_WORDS", "find_columns"]

CALL_WORDS, PUT_WORDS = frozenset(("c", "call", "calls")), frozenset(("p", "put", "puts"))

# Earlier names outrank later ones where a file has several.
_NAMES: Mapping[str, str] = {
    "date": (
        "quote date|quotedate|quote readtime|quote datetime|quote time|trade date|trading date|data date|"
        "date|as of date|as of|asof|day|datetime|timestamp"
    ),
    "expiry": (
        "expiration|expiration date|expirationdate|expiry|expiry date|expire date|expirydate|exdate|exp date|"
        "expir date|expirdate|expires|maturity|maturity date|exp"
    ),
    "strike": "strike|strike price|strikeprice|exercise price|strk|k",
    "right": (
        "type|option type|optiontype|call put|callput|put call|putcall|cp flag|cp|pc|right|option right|"
        "put or call|call or put|kind"
    ),
    "bid": "bid|best bid|bid price|bidprice|bid eod|bid 1545|bid close|closing bid",
    "ask": "ask|best offer|best ask|offer|ask price|askprice|ask eod|ask 1545|ask close|closing ask",
    "contract": (
        "optionroot|option root|contract symbol|contractsymbol|option symbol|optionsymbol|occ symbol|osi|"
        "contract|contract name|contract id|contractid|option alias|optionalias|option|calls|symbol|ticker"
    ),
    "root": "root|option root|optionroot|root symbol|option class|class",
    "underlying": (
        "underlying|underlying symbol|underlying ticker|act symbol|underlier|symbol|ticker|stock|"
        "stock symbol|root symbol|root"
    ),
    "spot": (
        "underlying last|underlying price|underlyingprice|underlying close|spot|spot price|stock price|"
        "index price|underlying value|underlying mid price|active underlying price|underlying"
    ),
}
_SIDES = ("bid", "ask")
_REQUIRED = ("date", "expiry", "strike", "right", "bid", "ask")
_SAMPLE = 400


def find_columns(grid: Grid, hint: LayoutHint) -> dict[str, int]:
    """Give the columns of a chain their roles.

    Parameters
    ----------
    grid : Grid
        The file's columns.
    hint : LayoutHint
        Its ``columns`` outrank names and values.

    Returns
    -------
    dict of str to int
        Positions of ``date``, ``expiry``, ``strike``, ``right``, ``bid``, ``ask``, ``contract``, ``root``,
        ``underlying``, ``spot``; only those that the file has. Where a row holds a call and a put side by
        side, ``call bid``, ``call ask``, ``put bid`` and ``put ask`` stand for ``bid`` and ``ask``.

    Raises
    ------
    PriceFileError
        If a column that a chain needs is not there. A contract symbol stands in for expiry, strike and type;
        the date of the quotes may be in the file's name.
    """
    if not grid.has_header:
        raise PriceFileError(
            "the file has no header",
            "Add a line of column names, for instance date,expiration,strike,type,bid,ask.",
        )
    at = hinted_columns(grid, hint, _NAMES)
    for role, is_kind in _VALUES.items():
        if role not in at:
            named = _candidates(grid, role, at)
            good = [place for place in named if is_kind(grid.cells[place].iloc[:_SAMPLE])]
            at |= {role: good[0]} if good else {}
    wide = {} if "right" in at else _side_by_side(grid)
    if wide:
        at = {role: place for role, place in at.items() if role not in _SIDES} | wide
    return at | _still_needed(grid, at, wide=bool(wide))


def _still_needed(grid: Grid, at: Mapping[str, int], *, wide: bool) -> dict[str, int]:
    """Find by name alone the columns that nothing else stands in for.

    Their values are not of the kind that the name promises: reading them says which cell is wrong.
    """
    needless = {"date"} | ({"bid", "ask", "right"} if wide else set())
    needless |= {"expiry", "strike", "right"} if "contract" in at else set()
    needed = [role for role in _REQUIRED if role not in at and role not in needless]
    named = {role: _candidates(grid, role, at) for role in needed}
    missing = [role for role in needed if not named[role]]
    if missing:
        example = f"LayoutHint(columns={{{missing[0]!r}: '...'}})"
        raise PriceFileError(
            f"no column holds the {' or the '.join(missing)} of the options",
            f"Name it as one of {', '.join(_NAMES[missing[0]].split('|')[:4])}, or give {example} for "
            f"the file in layout_hints.json, or remove the file from the folder.",
            found=", ".join(name.field for name in grid.names if name.field) or "none",
        )
    return {role: places[0] for role, places in named.items()}


def _candidates(grid: Grid, role: str, at: Mapping[str, int]) -> list[int]:
    """Columns with one of the role's names that have no role yet, the best name first."""
    names = [plain(name) for name in _NAMES[role].split("|")]
    known = [(plain(column.field), place) for place, column in enumerate(grid.names)]
    free = [(name, place) for name, place in known if place not in at.values()]
    return [place for _, place in sorted((names.index(name), place) for name, place in free if name in names)]


def _side_by_side(grid: Grid) -> dict[str, int]:
    """Find ``C_BID``, ``Put Ask`` and the like; all four or none."""
    found: dict[str, int] = {}
    for at, column in enumerate(grid.names):
        words = plain(column.field).split()
        for kind, marks in (("call", CALL_WORDS), ("put", PUT_WORDS)):
            for mark, rest in ((words[:1], words[1:]), (words[-1:], words[:-1])):
                side = next((s for s in _SIDES if " ".join(rest) in _NAMES[s].split("|")), None)
                if mark and mark[0] in marks and side and _numeric(grid.cells[at].iloc[:_SAMPLE]):
                    found.setdefault(f"{kind} {side}", at)
    return found if len(found) == 2 * len(_SIDES) else _around_the_strike(grid)


def _around_the_strike(grid: Grid) -> dict[str, int]:
    """Find the exchange's own form: calls' columns, the strike, then the same columns for puts."""
    places = {role: sorted(_candidates(grid, role, {})) for role in ("strike", *_SIDES)}
    found: dict[str, int] = {}
    for side in _SIDES:
        if not places["strike"] or len(places[side]) != 2:
            return {}
        call, put = places[side]
        if not call < places["strike"][0] < put:
            return {}
        found |= {f"call {side}": call, f"put {side}": put}
    return found


def _texts(cells: pd.Series) -> pd.Series:
    """The filled cells, as texts."""
    texts = cells.astype("str").str.strip()
    return texts[~is_missing(texts)]


def _numeric(cells: pd.Series) -> bool:
    if cells.dtype.kind in "iuf":
        return True
    if cells.dtype.kind == "M":
        return False
    marks = (parse_numbers(cells, decimal)[1].mean() for decimal in (".", ","))
    return bool(min(marks) < 0.5) and not _texts(cells).empty


def _dated(cells: pd.Series) -> bool:
    if cells.dtype.kind == "M":
        return True
    texts = _texts(cells)
    return not texts.empty and bool(is_date_like(texts).mean() > 0.5)


def _share(texts: pd.Series, pattern: str) -> float:
    """Share of the texts that a pattern fits; NaN if there are none."""
    return float(texts.str.fullmatch(pattern).mean())


def _worded(cells: pd.Series) -> bool:
    return bool(_texts(cells).str.lower().isin(CALL_WORDS | PUT_WORDS).mean() > 0.5)


def _contract(cells: pd.Series) -> bool:
    return not _numeric(cells) and _share(_texts(cells), CONTRACT.strip("^$")) > 0.5


def _ticker(cells: pd.Series) -> bool:
    """Short words that are no contract symbols: many rows, few words."""
    return not _numeric(cells) and _share(_texts(cells), r"[\^$A-Za-z.]{1,8}") > 0.9


_VALUES: Mapping[str, Callable[[pd.Series], bool]] = {
    "date": _dated,
    "expiry": _dated,
    "strike": _numeric,
    "right": _worded,
    "bid": _numeric,
    "ask": _numeric,
    "contract": _contract,
    "root": _ticker,
    "underlying": _ticker,
    "spot": _numeric,
}
