"""The rules by which rows are dropped, repaired or refused. Each looks at one date only."""

from __future__ import annotations

import datetime as dt

import numpy as np
import numpy.typing as npt

from ml_assets.prices.cleaning_log import Ledger
from ml_assets.prices.errors import PriceFileError

__all__ = ["drop_repeated", "drop_without_close", "judge_bars", "read_missing", "refuse_impossible"]

_SAME = 1e-9
"""Two prices of one date are equal up to this relative difference."""


def read_missing(book: Ledger) -> None:
    """Read infinities, zero prices and negative volumes as missing."""
    for name, values in list(book.values.items()):
        wrong = {"infinite": np.isinf(values)}
        wrong |= {"negative": values < 0} if name == "volume" else {"zero": values == 0}
        for word, cells in wrong.items():
            book.blank(cells, (name,), f"{word} {_spoken(name)} read as missing")


def drop_without_close(book: Ledger) -> None:
    """Drop rows without a close, and rows without an adjusted close where the file has such a column."""
    book.drop(np.all([np.isnan(values) for values in book.values.values()], axis=0), "empty row")
    for name in ("close", "adj_close"):
        if name in book.values:
            book.drop(np.isnan(book.values[name]), f"no {_spoken(name)}")


def refuse_impossible(book: Ledger, today: dt.date) -> None:
    """Refuse a symbol that has a negative price or a date in the future.

    Raises
    ------
    PriceFileError
        With the first such cell.
    """
    for name, values in book.values.items():
        negative = np.flatnonzero(values < 0)
        if negative.size:
            remedy = (
                "Correct or remove the row (an adjusted close below zero: a wrong dividend at the vendor)."
            )
            raise book.error("a price is negative", remedy, int(negative[0]), name)
    late = np.flatnonzero((book.date > np.datetime64(today)) & (book.fate == ""))
    if late.size:
        remedy = "Correct the date; if days and months are swapped, give LayoutHint(date_format=...)."
        raise book.error(f"a date lies in the future (after {today})", remedy, int(late[0]), "date")


def drop_repeated(book: Ledger) -> None:
    """Keep the first of several rows of one date if their closes agree.

    Raises
    ------
    PriceFileError
        If the closes of one date differ: nothing tells which is right.
    """
    alive = np.flatnonzero(book.fate == "")
    dates = book.date[alive]
    repeated = np.r_[False, dates[1:] == dates[:-1]] if len(dates) else np.zeros(0, dtype=bool)
    if not repeated.any():
        return
    head = np.maximum.accumulate(np.where(repeated, 0, np.arange(len(dates))))
    first, later = alive[head[repeated]], alive[repeated]
    for name in ("close", "adj_close"):
        values = book.column(name)
        different = np.flatnonzero(~_equal(values[first], values[later]))
        if different.size:
            _refuse_intraday(dates)
            at, here = int(first[different[0]]), int(later[different[0]])
            both = f"{values[at]:g} in row {book.row[at]} and {values[here]:g} here"
            what = f"{str(book.date[here])[:10]} stands twice with different prices, {both}"
            raise book.error(what, "Remove the wrong row.", here, name)
    values = np.column_stack(list(book.values.values()))
    unlike = ~_equal(values[first], values[later]).all(axis=1)
    book.drop(_at(later, book), "repeated row")
    book.flags["repeated with another open, high, low or volume"] = _at(first[unlike], book)


def judge_bars(book: Ledger, tolerance: float) -> None:
    """Judge close, open, high and low of each day against one another.

    A close outside of high and low by more than the tolerance is a bad print: its row is dropped. An open
    that lies outside is read as missing. What lies outside by less is rounding: high and low are widened.

    Parameters
    ----------
    book : Ledger
        The rows.
    tolerance : float
        Relative.
    """
    high, low = book.column("high"), book.column("low")
    with np.errstate(invalid="ignore"):
        crossed = high < low * (1 - tolerance)
        # Where high lies below low, both are wrong, but what lies outside of both is wrong too.
        above = np.where(np.isnan(high), np.nan, np.fmax(high, low)) * (1 + tolerance)
        below = np.where(np.isnan(low), np.nan, np.fmin(high, low)) * (1 - tolerance)
        bad = (book.column("close") > above) | (book.column("close") < below)
        astray = (book.column("open") > above) | (book.column("open") < below)
    book.drop(bad, "close outside of high and low")
    book.blank(astray & ~bad, ("open",), "open outside of high and low read as missing")
    book.blank(crossed, ("high", "low"), "high below low: both read as missing")
    for name, bound in (("high", np.fmax), ("low", np.fmin)):
        if name in book.values:
            values = book.values[name]
            wide = bound(bound(values, book.column("close")), book.column("open"))
            wide = np.where(np.isnan(values), np.nan, wide)
            book.repairs[f"{name} widened by a rounding difference"] = ~np.isnan(values) & (wide != values)
            book.values[name] = wide


def _refuse_intraday(dates: npt.NDArray[np.datetime64]) -> None:
    usual = int(np.median(np.unique(dates, return_counts=True)[1]))
    if usual >= 3:
        raise PriceFileError(
            f"about {usual} rows a day: the prices are not daily", "Give one row for each date."
        )


def _equal(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    same: npt.NDArray[np.bool_] = np.isclose(one, other, rtol=_SAME, atol=0.0, equal_nan=True)
    return same


def _at(places: npt.NDArray[np.intp], book: Ledger) -> npt.NDArray[np.bool_]:
    mask = np.zeros(len(book.row), dtype=bool)
    mask[places] = True
    return mask


def _spoken(name: str) -> str:
    return "adjusted close" if name == "adj_close" else name
