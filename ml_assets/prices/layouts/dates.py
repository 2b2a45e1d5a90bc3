"""Dates as vendors write them, always taken as the date on the exchange's own clock."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml_assets.prices.errors import PriceFileError
from ml_assets.prices.layouts.hint import LayoutHint

__all__ = ["DateColumn", "is_date_like", "parse_dates"]

_LOG = logging.getLogger(__name__)

Days = npt.NDArray[np.datetime64]

_LONGEST = 60
_EPOCH_UNITS: dict[Literal["s", "ms", "us", "ns"], float] = {"s": 1e11, "ms": 1e14, "us": 1e17, "ns": np.inf}
"""Units of epochs, and the size below which a number is one."""
_TIME = r"(?:[T ,].*)?"
_ISO = rf"(?P<y>\d{{4}})[-/.](?P<m>\d{{1,2}})[-/.](?P<d>\d{{1,2}}){_TIME}"
_COMPACT = r"(?P<y>(?:1[89]|2[01])\d\d)(?P<m>0[1-9]|1[0-2])(?P<d>0[1-9]|[12]\d|3[01])(?:\.0|[T ].*)?"
_ORDERED = rf"(?P<a>\d{{1,2}})(?P<mark>[-/.])(?P<b>\d{{1,2}})[-/.](?P<y>\d{{4}}|\d{{2}}){_TIME}"
_NAMED = (
    r"(?:[^\W\d]+,?\s+)?(?P<d>\d{1,2})\.?[-\s/]*(?P<m>[^\W\d]{3,})[.\-\s,/]*(?P<y>\d{4}|\d{2})(?:[T ,].*)?"
)
_MONTH_FIRST = (
    r"(?:[^\W\d]{2,},?\s+)?(?P<m>[^\W\d]{3,})\.?[-\s]*(?P<d>\d{1,2})(?:st|nd|rd|th)?[,\-\s]+(?P<y>\d{4}|\d{2})"
    r"(?:[T ,].*)?"
)
_WRITTEN = (
    *((_ISO, "year-month-day"), (_COMPACT, "yyyymmdd")),
    *((_NAMED, "named months"), (_MONTH_FIRST, "named months")),
)
_ORDERS = {"day-month-year": {"a": "d", "b": "m"}, "month-day-year": {"a": "m", "b": "d"}}
_EPOCH = r"-?\d{9,10}(?:\.\d+)?|\d{13}|\d{16}|\d{19}"
_TEXTUAL, _COMPACT_ONLY, _EPOCH_ONLY = (
    re.compile("|".join(f"(?:{re.sub(r'[?]P<[a-z]+>', '', pattern)})" for pattern in patterns))
    for patterns in ((_ISO, _ORDERED, _NAMED, _MONTH_FIRST), (_COMPACT,), (_EPOCH,))
)

_BEGINNINGS = (
    "jan ene gen|feb fév fev|mar mär mrz|apr avr abr|may mai mag|jun juin giu|jul juil lug|"
    "aug aoû aou ago|sep set|oct okt ott out|nov|dec dez déc dic"
)
_MONTHS = {name: number for number, names in enumerate(_BEGINNINGS.split("|"), 1) for name in names.split()}
"""The beginnings of the months' names in several languages."""
_MIDNIGHT_NOTE = (
    "stamps are local midnights of an exchange east of Greenwich: read as the day that begins there"
)


class DateColumn(NamedTuple):
    """Dates of a column, NaT where there is none, and how they were read."""

    days: Days
    note: str


def is_date_like(cells: Iterable[str], *, text_only: bool = False) -> npt.NDArray[np.bool_]:
    """Tell which texts look like a date (``text_only``: not like a bare integer)."""
    kinds = (_TEXTUAL,) if text_only else (_TEXTUAL, _COMPACT_ONLY, _EPOCH_ONLY)
    short = (text.strip() if len(text) < _LONGEST else "" for text in cells)
    return np.array([any(kind.fullmatch(text) for kind in kinds) for text in short], dtype=bool)


def parse_dates(cells: pd.Series, hint: LayoutHint | None = None) -> DateColumn:
    """Read a column of dates.

    Parameters
    ----------
    cells : Series, shape (n,)
        Texts, integers (yyyymmdd, epochs, Excel's serial days) or datetimes.
    hint : LayoutHint, optional
        Its ``date_format`` and ``timezone`` outrank the guess.

    Returns
    -------
    DateColumn
        ``days`` is datetime64[ns] at midnight, shape (n,). Where a stamp carries a UTC offset, its own local
        date is taken before the offset is dropped.

    Raises
    ------
    PriceFileError
        If the order of day and month cannot be told from the column.
    """
    hint = hint or LayoutHint()
    if cells.dtype.kind == "M":
        return _stamps(cells, hint)
    if cells.dtype.kind in "iuf":
        return _integers(cells.to_numpy(dtype=np.float64, na_value=np.nan), hint)
    codes, unique = pd.factorize(cells.fillna("").astype("str").str.strip())
    column = _texts(pd.Series(unique, dtype="str"), hint)
    return DateColumn(column.days[codes], column.note)


def _texts(texts: pd.Series, hint: LayoutHint) -> DateColumn:
    """Read distinct texts."""
    if hint.date_format is not None:
        parsed = pd.to_datetime(texts, format=hint.date_format, errors="coerce", utc=False)
        return DateColumn(_midnight(parsed), f"dates read as {hint.date_format!r} (hint)")
    whole = texts.str.fullmatch(r"-?\d+(?:\.0*)?")
    if whole.mean() > 0.5 and not texts[whole].str.fullmatch(_COMPACT).all():
        return _integers(pd.to_numeric(texts, errors="coerce").to_numpy(np.float64, na_value=np.nan), hint)
    if texts.str.fullmatch(r"\d{4}-\d\d-\d\d").all():
        try:  # by far the most frequent case, and the fast one
            iso: Days = texts.to_numpy(dtype="U10").astype("datetime64[ns]")
        except ValueError:
            _LOG.debug("a date like 2016-13-45 is left to the slow way, which names it")
        else:
            return DateColumn(iso, "dates read as year-month-day")
    days = np.full(len(texts), np.datetime64("NaT", "ns"))
    notes = []
    for pattern, note in _WRITTEN:
        if np.isnat(days).any():
            found = _read(texts.where(np.isnat(days)).str.extract(rf"^{pattern}$"))
            days = np.where(np.isnat(found), days, found)
            notes += [] if np.isnat(found).all() else [note]
    ordered = texts.where(np.isnat(days)).str.extract(rf"^{_ORDERED}$")
    if ordered["a"].notna().any():
        order = "day-month-year" if _day_first(ordered) else "month-day-year"
        days = np.where(np.isnat(days), _read(ordered.rename(columns=_ORDERS[order])), days)
        notes.append(order)
    in_utc = texts.str.contains(r"(?:Z|[+-]00:?00|\bUTC|\bGMT)$", regex=True).to_numpy(dtype=bool)
    if in_utc.any() and in_utc[~np.isnat(days)].all():
        return _instants(pd.to_datetime(texts.where(~np.isnat(days)), errors="coerce", utc=True), hint)
    return DateColumn(days, "dates read as " + " and ".join(dict.fromkeys(notes)) if notes else "")


def _read(parts: pd.DataFrame) -> Days:
    """Put years, months (numbers or names) and days together; NaT where one is missing or impossible."""
    year, month, day = (pd.to_numeric(parts[name], errors="coerce").astype("float64") for name in "ymd")
    year += np.select([year < 70, year < 100], [2000, 1900], 0)
    lower = parts["m"].str.lower()
    month = month.fillna(lower.str[:4].map(_MONTHS)).fillna(lower.str[:3].map(_MONTHS))
    known = pd.to_datetime(pd.DataFrame({"year": year, "month": month, "day": day}), errors="coerce")
    days: Days = known.to_numpy().astype("datetime64[ns]")
    return days


def _day_first(parts: pd.DataFrame) -> bool:
    """Decide the order of day and month from the numbers themselves, then from week ends, then from order."""
    known = parts.dropna(subset=["a"])
    a, b = known["a"].astype(int), known["b"].astype(int)
    if (a > 12).any() and (b > 12).any():
        first, second = known[a > 12].iloc[0], known[b > 12].iloc[0]
        raise PriceFileError(
            f"some dates are written day first ({_shown(first)}), some month first ({_shown(second)})",
            "Correct the file, or split it into one file for each order.",
            found=_shown(second),
        )
    if (a > 12).any() or (b > 12).any():
        return bool((a > 12).any())
    if (known["mark"] == ".").all():
        return True  # no country writes month.day.year with points
    day_first, month_first = (
        (pd.DatetimeIndex(_read(known.rename(columns=names))).day_of_week >= 5).sum()
        for names in _ORDERS.values()
    )
    if (day_first == 0) != (month_first == 0):
        return bool(day_first == 0)
    raise PriceFileError(
        "cannot tell whether dates are day/month or month/day: no day is above 12",
        "Give LayoutHint(date_format='%d/%m/%Y') or LayoutHint(date_format='%m/%d/%Y') for this file.",
        found=_shown(known.iloc[0]),
    )


def _shown(parts: pd.Series) -> str:
    return f"{parts['a']}{parts['mark']}{parts['b']}{parts['mark']}{parts['y']}"


def _integers(values: npt.NDArray[np.float64], hint: LayoutHint) -> DateColumn:
    """Read yyyymmdd, Excel's serial days, or an epoch whose unit follows from its size."""
    known = values[~np.isnan(values)]
    if not known.size:
        return DateColumn(np.full(len(values), np.datetime64("NaT", "ns")), "")
    size = float(np.median(np.abs(known)))
    if 18_000_101 <= size <= 22_001_231:
        texts = pd.Series([f"{value:.0f}" for value in values], dtype="str")
        stamps = pd.to_datetime(texts, format="%Y%m%d", errors="coerce")
        return DateColumn(_midnight(stamps), "dates read as yyyymmdd integers")
    if size < 100_000:
        plausible = np.where(values >= 10_000, values, np.nan)
        stamps = pd.to_datetime(pd.Series(plausible), unit="D", origin="1899-12-30", errors="coerce")
        return DateColumn(_midnight(stamps), "dates read as Excel's serial days")
    unit = next(unit for unit, limit in _EPOCH_UNITS.items() if size < limit)
    stamps = pd.to_datetime(pd.Series(np.trunc(values)), unit=unit, errors="coerce", utc=True)
    column = _instants(stamps, hint)
    note = f"; {column.note}" if column.note else ""
    return DateColumn(column.days, f"dates read as epochs in {unit}{note}")


def _stamps(cells: pd.Series, hint: LayoutHint) -> DateColumn:
    zone = getattr(cells.dtype, "tz", None)
    if zone is not None and str(zone).upper() in {"UTC", "UTC+00:00", "GMT"}:
        return _instants(cells, hint)
    return DateColumn(_midnight(cells), f"local dates of {zone}" if zone is not None else "")


def _instants(stamps: pd.Series, hint: LayoutHint) -> DateColumn:
    """Turn instants in UTC into the exchange's dates.

    With a zone the date is exact. Without one the UTC date is right for stamps at a session's open or close,
    and at midnight west of Greenwich. Midnight east of Greenwich is the evening before in UTC: then Sundays
    occur and Fridays never do, which no market has otherwise.
    """
    if hint.timezone is not None:
        return DateColumn(_midnight(stamps.dt.tz_convert(hint.timezone)), f"dates of {hint.timezone} (hint)")
    naive = stamps.dt.tz_localize(None)
    weekdays = naive.dt.day_of_week
    late = bool((naive.dropna().dt.hour >= 10).all())
    if late and (weekdays == 6).any() and not (weekdays == 4).any() and naive.notna().sum() >= 10:
        return DateColumn(_midnight(naive + pd.Timedelta(hours=14)), _MIDNIGHT_NOTE)
    timed = (naive.dropna() != naive.dropna().dt.normalize()).any()
    return DateColumn(_midnight(naive), "dates of UTC" if timed else "")


def _midnight(stamps: pd.Series) -> Days:
    if isinstance(stamps.dtype, pd.DatetimeTZDtype):
        stamps = stamps.dt.tz_localize(None)
    if stamps.dtype == object:  # strptime with mixed offsets gives datetimes of several zones
        stamps = pd.Series([pd.NaT if pd.isna(s) else pd.Timestamp(s).tz_localize(None) for s in stamps])
    days: Days = stamps.dt.normalize().to_numpy().astype("datetime64[ns]")
    return days
