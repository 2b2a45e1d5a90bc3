"""From raw rows to a clean history: every row judged by itself, every fate counted.

The rules are written out in ``docs/PRICES.md``. The one that matters most: whether a row is kept and what is
repaired in it depends on that row alone (and on repetitions of its own date), never on a later one. So
cleaning the rows up to a day gives the same as cleaning all of them and cutting there; nothing of the future
leaks in by way of cleaning.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ml_assets.prices.cleaning_log import Ledger, Mask
from ml_assets.prices.cleaning_rules import (
    drop_repeated,
    drop_without_close,
    judge_bars,
    read_missing,
    refuse_impossible,
)
from ml_assets.prices.errors import PriceFileError
from ml_assets.prices.flags import flag_rows
from ml_assets.prices.history import COLUMNS, PriceHistory
from ml_assets.prices.raw import PRICE_FIELDS, RawPrices
from ml_assets.prices.schema import schema_violations

__all__ = ["CleaningRules", "clean_prices", "latest_day", "usable_columns"]


@dataclass(frozen=True)
class CleaningRules:
    """The numbers in the rules.

    Parameters
    ----------
    minimum_rows : int
        A symbol with fewer clean rows is refused. Small on purpose: whether a history suffices for training
        is a gate.
    tolerance : float
        How far, relatively, a close or open may lie outside of high and low before it counts as a bad print;
        below that it is rounding, and high and low are widened.
    column_share : float
        An open, high, low or volume that is missing, or at odds with the close, on more than this share of
        the days is not used at all.
    large_move : float
        Absolute daily return from which a row is flagged.
    """

    minimum_rows: int = 30
    tolerance: float = 1e-3
    column_share: float = 0.05
    large_move: float = 0.25


def latest_day(today: dt.date | None = None) -> dt.date:
    """Return the last day that is not in the future: the given one, or the day after UTC's.

    Exchanges east of Greenwich are ahead of UTC, so the default allows one more day.
    """
    return today or (dt.datetime.now(dt.UTC) + dt.timedelta(days=1)).date()


def usable_columns(raw: RawPrices, rules: CleaningRules | None = None) -> tuple[str, ...]:
    """Decide once for the whole file which columns it really has.

    An adjusted close counts as soon as it has one value, for prices with and without adjustment must not be
    mixed. Any other column counts if at most ``column_share`` of the days lack it. High and low count only if
    the close, and the open only if it, lies outside of them on at most that share: on markets that close on a
    mid quote (London's AIM) high and low are of trades, and say nothing about the close. Like the header, all
    this is a property of the file, not of a row.

    Returns
    -------
    tuple of str
        Out of :data:`~ml_assets.prices.raw.FIELDS`.

    Raises
    ------
    PriceFileError
        If no row has a close.
    """
    rules = rules or CleaningRules()
    present = {str(name): _present(raw.rows, str(name)) for name in raw.rows.columns[2:]}
    closes = [name for name in ("close", "adj_close") if name in present and present[name].any()]
    if not closes:
        remedy = "Check the file's columns, or remove it from the folder."
        raise PriceFileError("no row has a close", remedy, file=raw.file, symbol=raw.symbol)
    share = rules.column_share
    days = present[closes[0]]
    others = [
        name
        for name in present
        if name not in ("close", "adj_close") and present[name][days].mean() >= 1 - share
    ]
    if {"high", "low"} <= set(others):
        for name, doubtful in (("close", ("high", "low")), ("open", ("open",))):
            if (
                name in present
                and _outside(raw.rows[present[name] & present["high"] & present["low"]], name, rules) > share
            ):
                others = [other for other in others if other not in doubtful]
    return tuple(name for name in present if name in closes or name in others)


def clean_prices(
    raw: RawPrices,
    rules: CleaningRules | None = None,
    *,
    today: dt.date | None = None,
    columns: Sequence[str] | None = None,
) -> PriceHistory:
    """Clean one symbol's rows.

    Parameters
    ----------
    raw : RawPrices
        Rows as the source gave them.
    rules : CleaningRules, optional
        The numbers in the rules.
    today : datetime.date, optional
        Later rows are in the future; see :func:`latest_day`.
    columns : sequence of str, optional
        The columns to use; by default :func:`usable_columns`.

    Returns
    -------
    PriceHistory
        With a report in which each row read has its fate.

    Raises
    ------
    PriceFileError
        If the symbol is refused: no close, a negative price, a date in the future, one date with different
        closes, or too few rows left.
    """
    rules, today = rules or CleaningRules(), latest_day(today)
    book = Ledger(raw, columns if columns is not None else usable_columns(raw, rules))
    try:
        read_missing(book)
        drop_without_close(book)
        refuse_impossible(book, today)
        drop_repeated(book)
        judge_bars(book, rules.tolerance)
        frame = _scaled(book)
        _refuse_short(book, len(frame), rules.minimum_rows)
        _refuse_violations(frame, today)
    except PriceFileError as error:
        raise error.at(file=raw.file, symbol=raw.symbol) from None
    return PriceHistory(raw.symbol, frame, book.report(flag_rows(frame, rules.large_move)))


def _present(rows: pd.DataFrame, name: str) -> Mask:
    values = rows[name].to_numpy()
    found: Mask = np.isfinite(values) & ((values != 0) | (name not in PRICE_FIELDS))
    return found


def _outside(rows: pd.DataFrame, name: str, rules: CleaningRules) -> float:
    """Return the share of days on which a column lies outside of high and low by more than the tolerance."""
    if rows.empty:
        return 0.0
    value, slack = rows[name], rules.tolerance
    return float(((value > rows["high"] * (1 + slack)) | (value < rows["low"] * (1 - slack))).mean())


def _scaled(book: Ledger) -> pd.DataFrame:
    """Bring the kept rows to the scale of the adjusted close: open, high and low times adjusted close /
    close."""
    alive = book.fate == ""
    values = {name: column[alive] for name, column in book.values.items()}
    if "adj_close" in values:
        target = values.pop("adj_close")
        factor = target / values["close"]
        values |= {name: values[name] * factor for name in ("open", "high", "low") if name in values}
        values["close"] = target
        # A product may miss the adjusted close by one unit in the last place; the bar must still hold it.
        for name, bound in (("high", np.maximum), ("low", np.minimum)):
            if name in values:
                values[name] = bound(values[name], target)
    index = pd.DatetimeIndex(book.date[alive], name="date")
    return pd.DataFrame({name: values[name] for name in COLUMNS if name in values}, index=index)


def _refuse_short(book: Ledger, kept: int, minimum: int) -> None:
    if kept >= minimum:
        return
    reasons = "; ".join(f"{tally.count} dropped: {reason}" for reason, tally in book.dropped().items())
    what = f"only {kept} of {book.rows_read} rows are usable, and {minimum} are needed" + (
        f" ({reasons})" if reasons else ""
    )
    raise PriceFileError(what, "Give a longer history.")


def _refuse_violations(frame: pd.DataFrame, today: dt.date) -> None:
    """Hold the result against the schema: what no rule foresaw must not pass either."""
    for broken in schema_violations(frame, today):
        what = f"the cleaned prices break the rule '{broken.rule}' on {broken.date} ({broken.count} places)"
        raise PriceFileError(what, "Remove or correct the row.", column=broken.column, found=broken.found)
