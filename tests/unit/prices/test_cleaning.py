"""Cleaning: each rule, the account of fates, and that no row is judged by a later one."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_assets.prices import CleaningRules, PriceFileError, PriceHistory, RawPrices, clean_prices
from ml_assets.prices.cleaning import usable_columns
from tests.unit.prices.makers import bars, raw

TODAY = dt.date(2030, 1, 1)
LOOSE = CleaningRules(minimum_rows=1, column_share=1.0)


def clean(frame: pd.DataFrame, rules: CleaningRules | None = None) -> pd.DataFrame:
    return clean_prices(raw(frame), rules, today=TODAY).frame


def refusal(rows: RawPrices, rules: CleaningRules | None = None) -> PriceFileError:
    with pytest.raises(PriceFileError) as caught:
        clean_prices(rows, rules, today=TODAY)
    assert caught.value.symbol == "AAPL"
    assert caught.value.file == "AAPL.csv"
    return caught.value


def test_everything_is_brought_to_the_scale_of_the_adjusted_close() -> None:
    frame = bars()
    found = clean(frame)
    factor = frame["adj_close"] / frame["close"]
    np.testing.assert_array_equal(found["close"], frame["adj_close"])
    for name in ("open", "high", "low"):
        np.testing.assert_allclose(found[name], frame[name] * factor, rtol=1e-12)
    np.testing.assert_array_equal(found["volume"], frame["volume"])
    assert list(found.columns) == ["open", "high", "low", "close", "volume"]


def test_an_unadjusted_split_beside_an_adjusted_close_disappears() -> None:
    frame = bars()
    split = frame.copy()
    split.iloc[:30, :4] *= 2
    history = clean_prices(raw(split), today=TODAY)
    # The adjusted close is the same, so the bars come out the same.
    pd.testing.assert_frame_equal(history.frame, clean(frame), rtol=1e-12)
    assert history.report.adjusted
    unadjusted = clean_prices(raw(split.drop(columns="adj_close")), today=TODAY)
    assert unadjusted.report.flagged["looks like a split"].count == 1
    assert not unadjusted.report.adjusted


def test_only_adjusted_columns_take_the_place_of_the_plain_ones() -> None:
    frame = (
        bars().drop(columns=["close", "adj_close"]).assign(adj_close=bars()["close"], adj_open=bars()["open"])
    )
    found = clean(frame)
    assert list(found.columns) == ["open", "close", "volume"]
    np.testing.assert_array_equal(found["open"], bars()["open"])


def test_bad_prints_are_told_by_their_own_day() -> None:
    # LNT 2016-05-19: open 35.19, high 35.785, low 35.085, close 17.87.
    frame = bars().drop(columns="adj_close")
    frame.iloc[20, :4] = [35.19, 35.785, 35.085, 17.87]
    frame.iloc[25, 0] = frame.iloc[25]["low"] * 0.5
    frame.iloc[30, [1, 2]] = frame.iloc[30, [2, 1]].to_numpy(copy=True)
    report = clean_prices(raw(frame), today=TODAY).report
    found = clean(frame)
    assert frame.index[20] not in found.index
    assert np.isnan(found["open"][frame.index[25]])
    assert found.loc[frame.index[30], ["high", "low"]].isna().all()
    assert report.dropped["close outside of high and low"].examples == (str(frame.index[20].date()),)
    assert report.repaired["open outside of high and low read as missing"].count == 1
    assert report.repaired["high below low: both read as missing"].count == 1


def test_a_bad_print_with_a_bar_to_match_is_only_flagged() -> None:
    frame = bars().drop(columns="adj_close")
    frame.iloc[20, :4] *= 0.5
    report = clean_prices(raw(frame), today=TODAY).report
    assert report.kept == len(frame)
    assert report.flagged["reverted next day"].examples == (str(frame.index[20].date()),)


def test_a_genuine_crash_passes() -> None:
    frame = bars()
    frame.iloc[30:, :5] *= 0.511  # AGFS 2016-11-09: -48.9 %
    report = clean_prices(raw(frame), today=TODAY).report
    assert report.kept == len(frame)
    assert report.flagged["large move"].count == 1


def test_rounding_widens_the_bar() -> None:
    frame = bars().drop(columns="adj_close")
    frame.iloc[10, 1] = frame.iloc[10][["open", "close"]].max() * 0.9999
    found = clean(frame)
    assert found["high"].iloc[10] == frame.iloc[10][["open", "close"]].max()
    assert (found["high"] >= found["close"]).all()


def test_zero_null_and_infinite_are_missing() -> None:
    frame = bars()
    frame.iloc[0, 0] = 0.0
    frame.iloc[1, :] = np.nan
    frame.iloc[2, 4] = -np.inf
    frame.iloc[3, 3] = 0.0
    frame.iloc[4, 5] = -1.0
    frame.iloc[5, 5] = 0.0
    report = clean_prices(raw(frame), today=TODAY).report
    found = clean(frame)
    assert np.isnan(found["open"].iloc[0])
    assert np.isnan(found["volume"][frame.index[4]])
    assert found["volume"][frame.index[5]] == 0
    assert {reason: tally.count for reason, tally in report.dropped.items()} == {
        "empty row": 1,
        "no adjusted close": 1,
        "no close": 1,
    }
    assert report.repaired["zero open read as missing"].count == 1
    assert report.flagged["zero volume"].count == 1


def test_repeated_rows_are_dropped_and_different_ones_refused() -> None:
    frame = bars()
    doubled = pd.concat([frame, frame[::-1]])
    report = clean_prices(raw(doubled), today=TODAY).report
    assert report.dropped["repeated row"].count == len(frame)
    other_volume = frame.iloc[[7]].assign(volume=1.0)
    report = clean_prices(raw(pd.concat([frame, other_volume])), today=TODAY).report
    assert report.flagged["repeated with another open, high, low or volume"].count == 1
    wrong = frame.iloc[[7]].assign(adj_close=1.0)
    error = refusal(raw(pd.concat([frame, wrong])))
    assert f"{frame.index[7].date()} stands twice with different prices" in error.what
    assert (error.row, error.found) == (len(frame) + 2, "1")


def test_rows_three_times_the_same_are_no_intraday_prices() -> None:
    frame = bars()
    assert len(clean(pd.concat([frame] * 3))) == len(frame)
    hours = pd.concat([frame * factor for factor in (1.0, 1.01, 1.02)])
    assert "not daily" in refusal(raw(hours)).what


@pytest.mark.parametrize("column", ["open", "close", "adj_close"])
def test_negative_prices_are_refused(column: str) -> None:
    frame = bars()
    frame.loc[frame.index[9], column] = -0.18
    error = refusal(raw(frame))
    assert "negative" in error.what
    assert (error.row, error.column, error.found) == (11, column, "-0.18")


def test_dates_in_the_future_are_refused() -> None:
    frame = bars()
    with pytest.raises(PriceFileError, match=r"after 2016-10-01.*found '2016-10-03'"):
        clean_prices(raw(frame), today=dt.date(2016, 10, 1))
    near = bars(start=str(dt.datetime.now(dt.UTC).date() - dt.timedelta(days=70)), n=40)
    assert len(clean_prices(raw(near))) == 40


def test_too_few_rows_and_no_close_are_refused() -> None:
    assert "only 20 of 20 rows" in refusal(raw(bars(20))).what
    assert "no row has a close" in refusal(raw(bars().assign(close=np.nan, adj_close=0.0))).what


def test_columns_that_are_mostly_missing_or_wrong_are_not_used() -> None:
    frame = bars().assign(open=0.0)
    assert list(clean(frame).columns) == ["high", "low", "close", "volume"]
    # London's AIM: the close is a mid quote, high and low are of trades.
    quotes = bars().drop(columns="adj_close")
    quotes.iloc[::3, 1] = quotes.iloc[::3]["close"] * 0.99
    history = clean_prices(raw(quotes), today=TODAY)
    assert list(history.frame.columns) == ["close", "volume"] or list(history.frame.columns) == [
        "open",
        "close",
        "volume",
    ]
    assert len(history) == len(quotes)
    assert any("high not used" in note for note in history.report.notes)


def test_order_is_put_right_and_noted() -> None:
    frame = bars()
    newest_first = clean_prices(raw(frame[::-1]), today=TODAY)
    pd.testing.assert_frame_equal(newest_first.frame, clean(frame))
    assert "newest first" in newest_first.report.notes
    shuffled = clean_prices(raw(frame.sample(frac=1, random_state=1)), today=TODAY)
    pd.testing.assert_frame_equal(shuffled.frame, clean(frame))
    assert any("out of date order" in note for note in shuffled.report.notes)


# Values that hit every rule. Negative prices are left out: they refuse the whole symbol.
DEFECTS = ["nan", "zero", "inf", "half", "double", "spike", "repeat", "cross", "stale"]
FACTORS = {"nan": np.nan, "zero": 0.0, "inf": np.inf, "half": 0.5, "double": 2.0}


@st.composite
def dirty_prices(draw: st.DrawFn) -> tuple[pd.DataFrame, list[pd.Timestamp]]:
    """Draw bars with a few defects in any order of rows, and the days of the defects."""
    n = draw(st.integers(5, 40))
    frame = bars(n, seed=draw(st.integers(0, 1000)))
    if draw(st.booleans()):
        frame = frame.drop(columns="adj_close")
    if draw(st.booleans()):
        frame = frame.drop(columns=["open", "high", "low", "volume"])
    values, repeated = frame.to_numpy(copy=True), []
    defects = draw(
        st.lists(st.tuples(st.integers(0, n - 1), st.sampled_from(DEFECTS)), min_size=1, max_size=6)
    )
    for row, kind in defects:
        column = draw(st.integers(0, frame.shape[1] - 1))
        if kind == "repeat":
            repeated.append(row)
        elif kind == "cross" and frame.shape[1] > 3:
            values[row, [1, 2]] = values[row, [2, 1]]
        elif kind == "stale":
            values[row] = values[max(row - 1, 0)]
        elif kind == "spike":  # the whole day is wrong: only its reversal gives it away
            values[row] *= 0.5
        else:
            with np.errstate(invalid="ignore"):  # a cell may be hit twice: 0 * inf
                values[row, column] *= FACTORS.get(kind, 1.0)
    dirty = pd.DataFrame(values, index=frame.index, columns=frame.columns)
    dirty = pd.concat([dirty, dirty.iloc[repeated]])
    days = [frame.index[row] for row, _ in defects]
    return dirty.iloc[draw(st.permutations(range(len(dirty))))], days


def clean_or_none(dirty: pd.DataFrame, columns: tuple[str, ...] | None) -> PriceHistory | None:
    """Clean; None if no row at all is usable, which is the only refusal that these defects may cause."""
    try:
        return clean_prices(raw(dirty), LOOSE, today=TODAY, columns=columns)
    except PriceFileError as error:
        if "only 0 of" in error.what or "no row has a close" in error.what:
            return None
        raise


@settings(max_examples=80, deadline=None)
@given(dirty_prices(), st.data())
def test_cleaning_up_to_a_day_is_cleaning_everything_and_cutting_there(
    drawn: tuple[pd.DataFrame, list[pd.Timestamp]], data: st.DataObject
) -> None:
    dirty, days = drawn
    # A rule that looks ahead shows where the data end on, or just before, a day that it would judge.
    cut = data.draw(st.sampled_from([*days, *(day - pd.Timedelta(days=1) for day in days)]))
    columns = tuple(dirty.columns)
    part = clean_or_none(dirty[dirty.index <= cut], columns) if (dirty.index <= cut).any() else None
    if part is None:
        return
    whole = clean_prices(raw(dirty), LOOSE, today=TODAY, columns=columns)
    pd.testing.assert_frame_equal(part.frame, whole.frame[whole.frame.index <= cut], check_freq=False)


@settings(max_examples=60, deadline=None)
@given(dirty_prices())
def test_every_row_has_its_fate(drawn: tuple[pd.DataFrame, list[pd.Timestamp]]) -> None:
    history = clean_or_none(drawn[0], None)
    if history is None:
        return
    report = history.report
    assert report.adds_up
    assert report.rows_read == len(drawn[0])
    assert report.kept == len(history)
    for tallies in (report.dropped, report.repaired, report.flagged):
        assert all(tally.count > 0 and tally.examples for tally in tallies.values())


@settings(max_examples=30, deadline=None)
@given(dirty_prices())
def test_cleaning_twice_changes_nothing(drawn: tuple[pd.DataFrame, list[pd.Timestamp]]) -> None:
    once = clean_or_none(drawn[0], None)
    if once is None:
        return
    twice = clean_prices(raw(once.frame), LOOSE, today=TODAY, columns=tuple(once.frame.columns))
    pd.testing.assert_frame_equal(once.frame, twice.frame)


def test_usable_columns_asks_for_a_close() -> None:
    with pytest.raises(PriceFileError, match="no row has a close"):
        usable_columns(raw(bars()[["open", "volume"]]))
