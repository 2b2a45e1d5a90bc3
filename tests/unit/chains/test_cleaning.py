"""Every row has one fate, and the artifact keeps its bytes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_assets.chains import OptionChains
from ml_assets.chains.cleaning import DROP_REASONS, KEY, clean_quotes
from ml_assets.chains.reading import ROW_COLUMNS, ChainRows
from tests.unit.chains.makers import market_chains


def rows_of(*changes: dict[str, object]) -> ChainRows:
    """One good quote per change, changed so."""
    good = {
        "file": "a.csv", "date": pd.Timestamp("2024-02-01"), "underlying": "X", "at_open": False,
        "expiry": pd.Timestamp("2024-02-16"), "call": True, "bid": 3.0, "ask": 3.2, "spot": 100.0,
    }  # fmt: skip
    rows = [{**good, "row": 2 + n, "strike": 100.0 + n, **change} for n, change in enumerate(changes)]
    frame = pd.DataFrame(rows)[list(ROW_COLUMNS)]
    frame[["date", "expiry"]] = frame[["date", "expiry"]].astype("datetime64[ns]")
    return ChainRows(frame, ("note",))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"strike": np.nan}, "no strike"),
        ({"strike": 0.0}, "no strike"),
        ({"expiry": pd.Timestamp("2024-01-31")}, "expiry passed"),
        ({"expiry": pd.Timestamp("2024-02-01")}, "expiry passed"),
        ({"bid": 0.0}, "no bid"),
        ({"bid": np.nan, "ask": np.nan}, "no bid"),
        ({"ask": np.nan}, "no ask"),
        ({"ask": np.inf}, "no ask"),
        ({"ask": 3.0}, "locked or crossed"),
        ({"ask": 2.9}, "locked or crossed"),
    ],
)
def test_a_bad_row_is_dropped_for_its_reason(change: dict[str, object], reason: str) -> None:
    quotes, report = clean_quotes([rows_of({}, change, {})], "test")
    assert len(quotes) == 2
    assert {name: (tally.count, tally.examples) for name, tally in report.dropped.items()} == {
        reason: (1, ("a.csv row 3",))
    }
    assert report.adds_up


def test_of_equal_rows_one_stays_and_of_contradicting_ones_none() -> None:
    same, other = {"strike": 100.0}, {"strike": 100.0, "bid": 2.9}
    quotes, report = clean_quotes([rows_of(same, same)], "test")
    assert (len(quotes), report.dropped["repeated"].count) == (1, 1)
    quotes, report = clean_quotes([rows_of(same, other, same, {})], "test")
    assert (len(quotes), report.dropped["contradicting"].count, report.dropped["repeated"].count) == (1, 2, 1)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "strike": st.sampled_from([90.0, 100.0, np.nan, -1.0]),
                "bid": st.sampled_from([0.0, 1.0, 2.0, np.nan, np.inf]),
                "ask": st.sampled_from([0.5, 1.0, 3.0, np.nan, np.inf]),
                "call": st.booleans(),
                "expiry": st.sampled_from([pd.Timestamp("2024-01-31"), pd.Timestamp("2024-02-16")]),
            }
        ),
        min_size=1,
        max_size=12,
    )
)
def test_every_row_is_accounted_for(changes: list[dict[str, object]]) -> None:
    quotes, report = clean_quotes([rows_of(*changes)], "test")
    assert report.adds_up
    assert (report.rows_read, report.kept) == (len(changes), len(quotes))
    assert set(report.dropped) <= set(DROP_REASONS)
    assert not quotes.duplicated(list(KEY)).any()
    assert ((quotes["bid"] > 0) & (quotes["ask"] > quotes["bid"])).all()
    assert quotes.sort_values(list(KEY)).index.equals(quotes.index)


def test_chains_keep_their_bytes() -> None:
    chains = market_chains()
    data = chains.to_bytes()
    again = OptionChains.from_bytes(data)
    assert again.to_bytes() == data
    pd.testing.assert_frame_equal(again.quotes, chains.quotes)
    pd.testing.assert_frame_equal(again.forwards, chains.forwards)
    assert (again.report, again.simulated) == (chains.report, True)


def test_chains_with_missing_figures_keep_their_bytes() -> None:
    chains = OptionChains.from_rows([rows_of({}, {"spot": np.nan})], "test")
    assert len(chains.forwards) == 0
    again = OptionChains.from_bytes(chains.to_bytes())
    pd.testing.assert_frame_equal(again.quotes, chains.quotes)
    pd.testing.assert_frame_equal(again.refused, chains.refused)
    assert again.refusals == {"no strike has both a call and a put": 1}


def test_other_bytes_are_no_chains() -> None:
    with pytest.raises(ValueError, match="no Parquet file"):
        OptionChains.from_bytes(b"nothing")
    prices = pd.DataFrame({"close": [1.0]}).to_parquet()
    with pytest.raises(ValueError, match="no option_chains"):
        OptionChains.from_bytes(prices)
