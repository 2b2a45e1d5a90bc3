"""Numbers as vendors write them: decimal commas, thousands, currency signs, K, M and B."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml_assets.prices.errors import PriceFileError

__all__ = ["MISSING", "decide_decimal", "is_missing", "parse_numbers"]

_MISSING = "|.|-|--|---|—|–|?|*|null|nan|none|na|n/a|n.a.|n/d|nd|nil|nat|#n/a|#n/a n/a|#na|<na>|(null)|\\n"
MISSING = frozenset(_MISSING.split("|"))
"""Texts that mean a missing value (compared in lower case)."""

_SUFFIXES = {"k": 1e3, "m": 1e6, "mio": 1e6, "mn": 1e6, "b": 1e9, "bn": 1e9, "mrd": 1e9, "t": 1e12}
_NOISE = r"^\s*[A-Z]{3}(?=\s*[\d.,-])|(?<=[\d.,])\s*[A-Z]{3}\s*$|[\s\u00a0\u202f\u2009'’\"$€£¥₹+]"
"""White space, apostrophes (Swiss thousands), currency signs and codes."""

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


def is_missing(cells: pd.Series, extra: Sequence[str] = ()) -> Mask:
    """Tell which texts mean a missing value.

    Parameters
    ----------
    cells : Series of str, shape (n,)
    extra : sequence of str
        Further such texts.
    """
    words = MISSING | {word.strip().lower() for word in extra}
    found: Mask = cells.str.strip().str.lower().isin(words).to_numpy(dtype=bool)
    return found


def decide_decimal(columns: Sequence[pd.Series]) -> str:
    """Find out which mark separates the decimals.

    A cell with both marks decides by the last one; a comma that cannot separate thousands decides for the
    comma; a mark that occurs twice in a number separates thousands. Cells such as ``1,234`` alone decide
    nothing.

    Parameters
    ----------
    columns : sequence of Series
        The cells of the price and volume columns. What does not begin like a number (a second header or a
        footer), or is a number already, has no say.

    Returns
    -------
    str
        ``'.'`` or ``','``.

    Raises
    ------
    PriceFileError
        If the cells speak for both marks, or only commas occur that may mean either.
    """
    texts = [column for column in columns if isinstance(column.dtype, pd.StringDtype)]
    cells = pd.concat([pd.Series([], dtype="str"), *texts], ignore_index=True)
    cells = cells[cells.str.contains(r"^[\s($€£¥\"+-]*[\d.,]", regex=True)]
    marked = cells[cells.str.contains(",", regex=False)]
    marked = marked.str.replace(_NOISE, "", regex=True).str.replace(r"[A-Za-z]+$", "", regex=True)
    if marked.empty:
        # Several dots in one number can only be thousands; without any comma the decimals are then absent.
        return "," if cells.str.fullmatch(r"\d{1,3}(?:\.\d{3}){2,}").any() else "."
    both = marked.str.contains(".", regex=False)
    comma_last = both & (marked.str.rfind(",") > marked.str.rfind("."))
    no_thousands = ~both & ~marked.str.fullmatch(r"-?\d{1,3}(?:,\d{2,3})*,\d{3}")
    repeated = ~both & (marked.str.count(",") > 1)
    for_comma, for_point = comma_last | (no_thousands & ~repeated), (both & ~comma_last) | repeated
    if for_comma.any() and for_point.any():
        raise PriceFileError(
            f"some numbers use the comma as decimal mark ({marked[for_comma].iloc[0]!r}) and some do not",
            "Correct the file, or give LayoutHint(decimal=...) for it.",
            found=marked[for_point].iloc[0],
        )
    if for_comma.any() or for_point.any():
        return "," if for_comma.any() else "."
    # Only cells like 1,234 are left. A column that also holds a point elsewhere has the point as decimal
    # mark.
    if cells.str.contains(r"\d\.\d", regex=True).any():
        return "."
    raise PriceFileError(
        "cannot tell whether the comma separates decimals or thousands",
        "Give LayoutHint(decimal=',') or LayoutHint(decimal='.') for this file.",
        found=marked.iloc[0],
    )


def parse_numbers(cells: pd.Series, decimal: str = ".", missing: Sequence[str] = ()) -> tuple[Floats, Mask]:
    """Read a column of numbers.

    Parameters
    ----------
    cells : Series, shape (n,)
        Texts, or numbers already.
    decimal : {'.', ','}
        The decimal mark; the other one may separate thousands.
    missing : sequence of str
        Further texts that mean a missing value.

    Returns
    -------
    values : ndarray, shape (n,)
        float64, NaN where missing or unreadable.
    unreadable : ndarray of bool, shape (n,)
        Cells that hold something that is no number.
    """
    if not isinstance(cells.dtype, pd.StringDtype) and cells.dtype != object:
        return _floats(cells), np.zeros(len(cells), dtype=bool)
    texts = cells.fillna("").astype("str")
    values = _floats(texts) if decimal == "." else np.full(len(texts), np.nan)
    unreadable = np.zeros(len(values), dtype=bool)
    rest = np.flatnonzero(np.isnan(values))
    rest = rest[~is_missing(texts.iloc[rest], missing)]
    if rest.size:
        values[rest], unreadable[rest] = _decorated(texts.iloc[rest], decimal)
    return values, unreadable


def _floats(cells: pd.Series) -> Floats:
    """Read plain numbers; anything else is NaN."""
    return pd.to_numeric(cells, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan, copy=True)


def _decorated(texts: pd.Series, decimal: str) -> tuple[Floats, Mask]:
    """Read numbers that carry thousands, currency signs, suffixes or accountants' parentheses."""
    bare = texts.str.replace(_NOISE, "", regex=True)
    negative = bare.str.fullmatch(r"\(.*\)")
    bare = bare.where(~negative, bare.str.strip("()"))
    thousands, mark = (",", r"\.") if decimal == "." else (r"\.", ",")
    whole = rf"(?:\d{{1,3}}(?:{thousands}\d{{2,3}})*{thousands}\d{{3}}|\d+)"
    parts = bare.str.extract(
        rf"^(?P<number>-?(?:{whole}(?:{mark}\d*)?|{mark}\d+)(?:[eE][+-]?\d+)?|-?inf(?:inity)?)(?P<suffix>[A-Za-z]*)\.?$"
    )
    factor = parts["suffix"].str.lower().map({"": 1.0, **_SUFFIXES})
    number = parts["number"].str.replace(thousands, "", regex=True).str.replace(mark, ".", regex=True)
    values: Floats = _floats(number) * _floats(factor) * np.where(negative, -1.0, 1.0)
    unreadable: Mask = np.isnan(values)
    return values, unreadable
