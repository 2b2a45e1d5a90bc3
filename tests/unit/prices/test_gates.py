"""The gates on prices: each passes on good prices and names the place on bad ones."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from ml_assets.gates.data.prices import accounting, scale, schema, sufficiency
from ml_assets.prices import PriceHistory, Tally, clean_prices
from tests.unit.prices.makers import bars, raw

TODAY = dt.date(2030, 1, 1)


def history(frame: pd.DataFrame | None = None) -> PriceHistory:
    return clean_prices(raw(bars() if frame is None else frame), today=TODAY)


def changed(column: str, row: int, value: float) -> PriceHistory:
    one = history()
    frame = one.frame.copy()
    frame.iloc[row, frame.columns.get_loc(column)] = value
    return PriceHistory(one.symbol, frame, one.report)


def test_good_prices_pass_every_gate() -> None:
    one = history()
    for result in (
        schema(one, today=TODAY),
        accounting(one),
        sufficiency(one, minimum=60),
        scale(one),
    ):
        assert result.passed, result.message
        assert result.checked > 0
        assert result.message.startswith("AAPL: ")


@pytest.mark.parametrize(
    ("column", "value", "rule"),
    [
        ("close", np.nan, "never missing"),
        ("close", -1.0, "finite and positive"),
        ("close", 0.0, "finite and positive"),
        ("high", np.inf, "finite and positive"),
        ("volume", -5.0, "finite and not negative"),
        ("close", 1e6, "close within low and high"),
        ("open", 1.0, "open within low and high"),
    ],
)
def test_schema_gate_names_symbol_date_column_and_value(column: str, value: float, rule: str) -> None:
    one = changed(column, 7, value)
    result = schema(one, today=TODAY)
    assert not result.passed
    for part in ("AAPL", column, str(one.dates[7].date()), rule):
        assert part in result.message
    if np.isfinite(value):
        assert f"{value:g}" in result.message


def test_schema_gate_shows_both_values_of_a_broken_bar() -> None:
    one = changed("close", 7, 1e6)
    high = one.frame["high"].iloc[7]
    assert f"high {high:g}" in schema(one, today=TODAY).message


def test_schema_gate_on_dates() -> None:
    one = history()
    result = schema(one, today=dt.date(2016, 10, 3))
    assert not result.passed
    assert "2016-10-04" in result.message
    assert "not in the future" in result.message
    for disorder in (one.frame[::-1], pd.concat([one.frame, one.frame.tail(1)])):
        forged = history()
        object.__setattr__(forged, "frame", disorder)
        assert "strictly increasing" in schema(forged, today=TODAY).message


def test_nothing_passes_without_rows() -> None:
    one = history()
    none = PriceHistory("AAPL", one.frame[:0], replace(one.report, rows_read=0, kept=0, dropped={}))
    for result in (
        schema(none, today=TODAY),
        accounting(none),
        sufficiency(none, minimum=0),
        scale(none),
    ):
        assert not result.passed


def test_accounting_gate() -> None:
    one = history()
    lost = replace(one, report=replace(one.report, rows_read=61))
    assert "61 rows were read, but 60 kept and 0 dropped" in accounting(lost).message
    cut = replace(one, frame=one.frame[:-1])
    assert "the report says 60 rows, the history has 59" in accounting(cut).message
    bad = replace(one.report, rows_read=70, dropped={"no close": Tally(10, ("2016-01-01",))})
    result = accounting(replace(one, report=bad))
    assert not result.passed
    assert "10 of 70 rows had no credible close (14.3%" in result.message
    assert accounting(replace(one, report=bad), max_lost=0.2).passed
    doubled = replace(one.report, rows_read=120, dropped={"repeated row": Tally(60, ("2016-01-01",))})
    assert accounting(replace(one, report=doubled)).passed


def test_sufficiency_gate() -> None:
    result = sufficiency(history())
    assert not result.passed
    assert "60 days (2016-09-07 to 2016-11-29), but 1000 are needed" in result.message


def test_scale_gate_finds_splits_and_units_but_passes_crashes() -> None:
    frame = bars().drop(columns="adj_close")
    prices = ["open", "high", "low", "close"]
    crash, pence, split = frame.copy(), frame.copy(), frame.copy()
    crash.loc[crash.index[30] :, prices] *= 0.511
    pence.loc[pence.index[30] :, prices] *= 100
    split.loc[: split.index[29], prices] *= 5
    assert scale(history(crash)).passed
    for wrong in (pence, split):
        one = history(wrong)
        result = scale(one)
        assert not result.passed
        day = str(frame.index[30].date())
        before, after = one.frame["close"].iloc[[29, 30]]
        for part in (day, f"{before:g}", f"{after:g}", "AAPL"):
            assert part in result.message
        assert scale(one, accepted=[day]).passed
        assert scale(one, max_ratio=1000).passed
