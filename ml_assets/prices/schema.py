"""What every clean price history satisfies, as a pandera schema."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
import pandera.pandas as pa
from pandera.errors import SchemaErrors

__all__ = ["Violation", "price_schema", "schema_violations"]

_BOUNDED = "within low and high"
_WORDS = {"not_nullable": "never missing", "field_uniqueness": "unique", "column_in_dataframe": "present"}


@dataclass(frozen=True)
class Violation:
    """One broken rule: where it breaks first, and how often."""

    rule: str
    column: str
    date: str
    found: str
    count: int


@lru_cache(maxsize=8)
def price_schema(today: dt.date) -> pa.DataFrameSchema:
    """Return the schema of a clean frame.

    Parameters
    ----------
    today : datetime.date
        No row may be later.

    Returns
    -------
    pandera.DataFrameSchema
        Index: naive days, strictly increasing, not after ``today``. ``close``: finite and positive, never
        missing; ``open``, ``high``, ``low``: finite and positive, or missing; ``volume``: finite and not
        negative, or missing. Between columns: open and close lie within low and high.
    """
    # One check for both bounds: pandera's cost is per check, and a folder may hold hundreds of symbols.
    price = pa.Check.in_range(0, np.inf, include_min=False, include_max=False, error="finite and positive")
    count = pa.Check.in_range(0, np.inf, include_max=False, error="finite and not negative")
    columns = {
        name: pa.Column("float64", price, nullable=True, required=False) for name in ("open", "high", "low")
    }
    columns["close"] = pa.Column("float64", price)
    columns["volume"] = pa.Column("float64", count, nullable=True, required=False)
    index = pa.Index(
        "datetime64[ns]",
        [
            pa.Check(lambda days: days <= pd.Timestamp(today), name="not in the future"),
            pa.Check(_increasing, name="strictly increasing"),
            pa.Check(lambda days: days == days.to_numpy().astype("datetime64[D]"), name="at midnight"),
        ],
        name="date",
    )
    bounds = [
        pa.Check(_within_bar, column=name, name=f"{name} {_BOUNDED}", ignore_na=False)
        for name in ("open", "close")
    ]
    return pa.DataFrameSchema(columns, index=index, checks=bounds, strict=True)


def schema_violations(frame: pd.DataFrame, today: dt.date) -> list[Violation]:
    """Return the rules that a frame breaks, with the first place of each.

    Parameters
    ----------
    frame : pandas.DataFrame
        As in :class:`~ml_assets.prices.history.PriceHistory`.
    today : datetime.date
        No row may be later.
    """
    try:
        price_schema(today).validate(frame, lazy=True)
    except SchemaErrors as error:
        cases = error.failure_cases.astype({"check": str, "column": str})
        bounds = cases["check"].str.endswith(_BOUNDED)
        cases.loc[bounds, "column"] = cases["check"].str.partition(" ")[
            0
        ]  # pandera lists every column of the row
        groups = cases.groupby(["check", "column"], sort=False, dropna=False)
        return [_violation(frame, str(rule), group) for (rule, _), group in groups]
    return []


def _increasing(days: pd.Series) -> pd.Series:
    values = days.to_numpy()
    return pd.Series(np.r_[True, values[1:] > values[:-1]], index=days.index)


def _within_bar(frame: pd.DataFrame, column: str) -> pd.Series:
    """Tell where a column is not outside of high and low; what is missing bounds nothing."""
    value, good = frame[column].to_numpy() if column in frame else np.nan, np.ones(len(frame), dtype=bool)
    if "high" in frame:
        good &= ~(value > frame["high"].to_numpy())
    if "low" in frame:
        good &= ~(value < frame["low"].to_numpy())
    return pd.Series(good, index=frame.index)


def _violation(frame: pd.DataFrame, rule: str, cases: pd.DataFrame) -> Violation:
    place, column = cases["index"].iloc[0], str(cases["column"].iloc[0])
    if column == "date" and isinstance(
        place, int | np.integer
    ):  # the index itself: pandera gives the position
        place = frame.index[int(place)]
    date = "" if place is None or pd.isna(place) else str(place)[:10]
    if rule.endswith(_BOUNDED) and not pd.isna(place):
        found = ", ".join(f"{name} {value:g}" for name, value in frame.loc[place].items() if name != "volume")
    else:
        found = str(cases["failure_case"].iloc[0])
    return Violation(_WORDS.get(rule, rule), column, date, found, cases["index"].nunique() or 1)
