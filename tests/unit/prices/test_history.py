"""The artifact: equal values give equal bytes, and wrong frames are not accepted."""

from __future__ import annotations

import datetime as dt
import pickle

import numpy as np
import pandas as pd
import pytest

from ml_assets.prices import CleaningReport, PriceFileError, PriceHistory, Problem, Tally, clean_prices
from ml_assets.storage.artifact import Artifact
from tests.unit.prices.makers import bars, raw

TODAY = dt.date(2030, 1, 1)


def history(seed: int = 0, symbol: str = "BRK.B") -> PriceHistory:
    frame = bars(seed=seed)
    frame.iloc[3, 0] = 0.0
    return clean_prices(raw(frame, symbol), today=TODAY)


def test_round_trip_and_equal_bytes() -> None:
    one = history()
    data = one.to_bytes()
    again = PriceHistory.from_bytes(data)
    assert isinstance(one, Artifact)
    assert again == one
    assert again.to_bytes() == data == history().to_bytes()
    assert hash(again) == hash(one)
    pd.testing.assert_frame_equal(again.frame, one.frame)
    assert again.report == one.report
    assert history(seed=1).to_bytes() != data
    assert history(seed=1) != one
    assert one != "prices"


def test_bytes_that_are_no_prices() -> None:
    with pytest.raises(ValueError, match="no Parquet file"):
        PriceHistory.from_bytes(b"nothing")
    frame = pd.DataFrame({"date": [1]})
    with pytest.raises(ValueError, match="no price history"):
        PriceHistory.from_bytes(frame.to_parquet())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f[::-1], "strictly increase"),
        (lambda f: pd.concat([f, f.tail(1)]), "strictly increase"),
        (lambda f: f.drop(columns="close"), "columns"),
        (lambda f: f.assign(vwap=1.0), "columns"),
        (lambda f: f.reset_index(drop=True), "naive datetime64"),
        (lambda f: f.set_axis(f.index.tz_localize("UTC")), "naive datetime64"),
        (lambda f: f.set_axis(f.index + pd.Timedelta(hours=1)), "time of day"),
    ],
)
def test_frames_that_are_refused(change, message: str) -> None:  # type: ignore[no-untyped-def]
    one = history()
    with pytest.raises(ValueError, match=message):
        PriceHistory("X", change(one.frame), one.report)


def test_columns_come_in_one_order_and_the_frame_is_a_copy() -> None:
    one = history()
    source = one.frame[["volume", "close", "open"]].copy()
    two = PriceHistory("X", source, one.report)
    assert list(two.frame.columns) == ["open", "close", "volume"]
    source.iloc[0] = 0.0
    assert two.frame["close"].iloc[0] != 0.0
    assert two.dates.equals(two.frame.index)


def test_report_round_trip_and_summary() -> None:
    report = history().report
    assert CleaningReport.from_json(report.to_json()) == report
    assert report.summary().startswith("60 of 60 rows kept")
    assert "1 zero open read as missing (2016-09-12)" in report.summary()
    short = CleaningReport("x", rows_read=3, kept=1, dropped={"empty row": Tally(1, ())})
    assert not short.adds_up


def test_tallies_keep_the_first_three_examples() -> None:
    days = np.array(["2020-01-05", "2020-01-01", "2020-01-03", "2020-01-02"], dtype="datetime64[ns]")
    assert Tally.of_dates(days) == Tally(4, ("2020-01-01", "2020-01-02", "2020-01-03"))
    assert Tally.of_rows((9, 2)) == Tally(2, ("row 2", "row 9"))


def test_errors_survive_pickling_and_become_problems() -> None:
    error = PriceFileError("no number", "Correct it.", file="A.csv", row=7, column="Close", found="x").at(
        symbol="A"
    )
    again = pickle.loads(pickle.dumps(error))
    assert (
        str(again)
        == str(error)
        == "A.csv, symbol A, row 7, column 'Close': no number (found 'x'). Correct it."
    )
    problem = Problem.from_error(again)
    assert (problem.kind, problem.symbol, problem.row, problem.remedy) == ("refused", "A", 7, "Correct it.")
    assert str(PriceFileError("nothing", "Do it.")) == "nothing. Do it."
