"""Every layout gives the rows that were written into it; what cannot be read is refused with its place."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ml_assets.prices import LayoutHint, PriceFileError, RawPrices, read_price_file
from tests.unit.prices import makers
from tests.unit.prices.makers import BARE, TEXT_LAYOUTS, bars, csv, write, yahoo


def only(path: Path, **options: LayoutHint) -> RawPrices:
    parsed = read_price_file(path, **options)
    assert parsed.errors == []
    (table,) = parsed.tables
    return table


def error_of(path: Path, **options: LayoutHint) -> PriceFileError:
    parsed = read_price_file(path, **options)
    assert parsed.tables == []
    (error,) = parsed.errors
    return error


def assert_holds(table: RawPrices, frame: pd.DataFrame, columns: list[str]) -> None:
    found = table.rows.drop_duplicates("date").set_index("date").sort_index()
    assert sorted(found.columns.drop("row")) == sorted(columns)
    np.testing.assert_array_equal(found.index.to_numpy(), frame.index.to_numpy().astype("datetime64[ns]"))
    for name in columns:
        np.testing.assert_allclose(found[name], frame[name], rtol=1e-6, err_msg=name)


@pytest.mark.parametrize("layout", TEXT_LAYOUTS)
def test_text_layout(layout: str, tmp_path: Path) -> None:
    name, make, columns = TEXT_LAYOUTS[layout]
    frame = bars()
    table = only(write(tmp_path, name, make(frame)))
    assert table.symbol == "AAPL"
    if layout == "zoned":
        frame.iloc[3, 0] = 0.0
    assert_holds(table, frame, columns)


def test_quoted_thousands_with_suffixes_and_bom(tmp_path: Path) -> None:
    frame = bars()
    table = only(write(tmp_path, "AAPL Historical Data.csv", makers.quoted(frame)))
    expected = frame * 100
    expected["volume"] = frame["volume"]
    assert_holds(table, expected, BARE)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
def test_encodings(encoding: str, tmp_path: Path) -> None:
    frame = bars()
    table = only(write(tmp_path, "AAPL.csv", makers.german(frame).encode(encoding)))
    assert_holds(table, frame, BARE)


def test_compressed_and_archived(tmp_path: Path) -> None:
    one, two = bars(seed=1), bars(seed=2)
    assert_holds(only(write(tmp_path, "AAPL.csv.gz", makers.gzipped(yahoo(one)))), one, makers.ADJUSTED)
    parsed = read_price_file(write(tmp_path, "all.zip", makers.zipped(AAPL=yahoo(one), MSFT=yahoo(two))))
    assert [(table.symbol, table.file) for table in parsed.tables] == [
        ("AAPL", "all.zip/AAPL.csv"),
        ("MSFT", "all.zip/MSFT.csv"),
    ]
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w:gz") as archive:
        item = tarfile.TarInfo("raw/AAPL.csv")
        item.size = len(yahoo(one).encode())
        archive.addfile(item, io.BytesIO(yahoo(one).encode()))
    assert only(write(tmp_path, "raw.tar.gz", sink.getvalue())).file == "raw.tar.gz/raw/AAPL.csv"


@pytest.mark.parametrize("kind", ["index", "long", "wide", "levels", "level text", "dates as objects"])
def test_parquet(kind: str, tmp_path: Path) -> None:
    frame, path = bars(), tmp_path / "AAPL.parquet"
    other = bars(seed=1)
    both = pd.concat({"AAPL": frame, "MSFT": other}, names=["symbol", "date"])
    tables = {
        "index": frame,
        "long": both.reset_index(),
        "wide": pd.DataFrame({"AAPL": frame["close"], "MSFT": other["close"]}),
        "levels": pd.concat({"AAPL": frame, "MSFT": other}, axis=1),
        "level text": pd.concat({"AAPL": frame, "MSFT": other}, axis=1).set_axis(
            [str((field, ticker)) for ticker in ("AAPL", "MSFT") for field in frame], axis=1
        ),
        "dates as objects": frame.assign(date=[day.date() for day in frame.index]).reset_index(drop=True),
    }
    tables[kind].to_parquet(path)
    parsed = read_price_file(path)
    assert parsed.errors == []
    columns = ["close"] if kind == "wide" else makers.ADJUSTED
    assert_holds(parsed.tables[0], frame, columns)
    assert [table.symbol for table in parsed.tables][1:] == (
        [] if kind in ("index", "dates as objects") else ["MSFT"]
    )


@pytest.mark.parametrize("order", ["field first", "ticker first", "one ticker"])
def test_yfinance_csv_with_two_levels(order: str, tmp_path: Path) -> None:
    frame = bars().drop(columns="adj_close")
    symbols = ["AAPL"] if order == "one ticker" else ["AAPL", "MSFT"]
    table = pd.concat(
        dict.fromkeys(symbols, frame.rename(columns=str.title)), axis=1, names=["Ticker", "Price"]
    )
    if order != "ticker first":
        table = table.swaplevel(axis=1).sort_index(axis=1)
    table.index.name = "Date"
    parsed = read_price_file(write(tmp_path, "download.csv", table.to_csv()))
    assert parsed.errors == []
    assert sorted(found.symbol for found in parsed.tables) == symbols
    for found in parsed.tables:
        assert_holds(found, frame, BARE)


def test_long_file_with_tickers_in_any_order(tmp_path: Path) -> None:
    frames = {symbol: bars(seed=seed) for seed, symbol in enumerate(["LOW", "OPEN", "aapl.us"])}
    rows = pd.concat(makers.texts(frame).assign(Name=symbol) for symbol, frame in frames.items())
    text = rows.sample(frac=1, random_state=0).to_csv(index=False)
    parsed = read_price_file(write(tmp_path, "all.csv", text))
    assert sorted(table.symbol for table in parsed.tables) == ["AAPL", "LOW", "OPEN"]
    for table in parsed.tables:
        expected = frames["aapl.us" if table.symbol == "AAPL" else table.symbol]
        assert_holds(table, expected, makers.ADJUSTED)


def test_wide_closes_with_tickers_that_look_like_fields_and_late_listings(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {name: bars(seed=seed)["close"] for seed, name in enumerate(["AAPL", "LOW", "OPEN"])}
    )
    table.iloc[:10, 2] = np.nan
    parsed = read_price_file(write(tmp_path, "closes.csv", table.to_csv(na_rep="null")))
    assert [found.symbol for found in parsed.tables] == ["AAPL", "LOW", "OPEN"]
    assert parsed.tables[2].rows["close"].isna().sum() == 10


def test_quandl_keeps_adjusted_columns_apart(tmp_path: Path) -> None:
    names = "Date|Open|High|Low|Close|Adj. Close|Volume"
    table = only(write(tmp_path, "AAPL.csv", csv(bars(), names, makers.YAHOO[1])))
    assert "adj_close" in table.rows


def test_r_table_without_a_name_over_the_row_names(tmp_path: Path) -> None:
    text = csv(bars(), "Open|High|Low|Close|Volume", makers.PLAIN)
    assert_holds(only(write(tmp_path, "AAPL.csv", text)), bars(), BARE)


def test_local_midnights_east_of_greenwich_keep_their_day(tmp_path: Path) -> None:
    frame = bars()
    stamps = pd.DatetimeIndex(frame.index).tz_localize("Asia/Tokyo").tz_convert("UTC")
    seconds = stamps.as_unit("s").asi8
    text = "time,close\n" + "\n".join(f"{s},{c}" for s, c in zip(seconds, frame["close"], strict=True))
    path = write(tmp_path, "7203.T.csv", text)
    assert (only(path).rows["date"].to_numpy() == frame.index.to_numpy()).all()
    hinted = only(path, hint=LayoutHint(timezone="Asia/Tokyo"))
    assert (hinted.rows["date"].to_numpy() == frame.index.to_numpy()).all()


def test_utc_stamps_of_the_american_close_keep_their_day(tmp_path: Path) -> None:
    frame = bars()
    stamps = pd.DatetimeIndex(frame.index).tz_localize("America/New_York") + pd.Timedelta(hours=16)
    text = "t,c\n" + "\n".join(f"{s.tz_convert('UTC').isoformat()},{i + 1}" for i, s in enumerate(stamps))
    assert (only(write(tmp_path, "A.csv", text)).rows["date"].to_numpy() == frame.index.to_numpy()).all()


class TestDayAndMonth:
    def lines(self, dates: list[str]) -> str:
        return "Date,Close\n" + "".join(f"{date},{10 + i}.5\n" for i, date in enumerate(dates))

    @pytest.mark.parametrize(("form", "first"), [("%d/%m/%Y", "2017-01-02"), ("%m/%d/%Y", "2017-01-02")])
    def test_a_day_above_twelve_decides(self, form: str, first: str, tmp_path: Path) -> None:
        dates = pd.bdate_range("2017-01-02", periods=30).strftime(form)
        table = only(write(tmp_path, "A.csv", self.lines(list(dates))))
        assert str(table.rows["date"].iloc[0].date()) == first
        assert table.rows["date"].diff().dropna().max() <= pd.Timedelta(days=3)

    def test_week_ends_decide(self, tmp_path: Path) -> None:
        dates = list(pd.bdate_range("2017-02-01", periods=8).strftime("%m/%d/%Y"))
        table = only(write(tmp_path, "A.csv", self.lines(dates)))
        assert set(table.rows["date"].dt.month) == {2}

    def test_points_mean_day_first(self, tmp_path: Path) -> None:
        table = only(write(tmp_path, "A.csv", self.lines(["02.03.2017", "03.03.2017", "06.03.2017"])))
        assert set(table.rows["date"].dt.month) == {3}

    def test_undecidable_is_refused_and_the_hint_helps(self, tmp_path: Path) -> None:
        path = write(tmp_path, "A.csv", self.lines(["01/02/2017", "02/01/2017", "03/03/2017"]))
        error = error_of(path)
        assert "day/month or month/day" in error.what
        assert "date_format" in error.remedy
        table = only(path, hint=LayoutHint(date_format="%d/%m/%Y"))
        assert str(table.rows["date"].iloc[0].date()) == "2017-02-01"

    def test_both_orders_in_one_file_are_refused(self, tmp_path: Path) -> None:
        error = error_of(write(tmp_path, "A.csv", self.lines(["13/02/2017", "02/14/2017"])))
        assert "some month first" in error.what
        assert error.found == "02/14/2017"


class TestNumbers:
    def close_of(self, cells: list[str], tmp_path: Path, **hint: str) -> list[float]:
        days = pd.bdate_range("2017-01-02", periods=len(cells)).strftime("%Y-%m-%d")
        text = "Date;Close\n" + "".join(f"{day};{cell}\n" for day, cell in zip(days, cells, strict=True))
        return only(write(tmp_path, "A.csv", text), hint=LayoutHint(**hint)).rows["close"].tolist()

    @pytest.mark.parametrize(
        ("cells", "expected"),
        [
            (["1.234,5", "1,5", "1.000"], [1234.5, 1.5, 1000.0]),
            (["1,234.5", "1.5", "1,000"], [1234.5, 1.5, 1000.0]),
            (["107,83", "107,830", "108"], [107.83, 107.83, 108.0]),
            (["107.830", "108.100", "107.5"], [107.83, 108.1, 107.5]),
            (["$1.5", "1.5 USD", "USD 2"], [1.5, 1.5, 2.0]),
            (["1'234.5", "1 234.5", "€ 3"], [1234.5, 1234.5, 3.0]),
            (["1,23,456.50", "2.5", "3"], [123456.5, 2.5, 3.0]),
            (["1.5K", "2M", "3.25B"], [1500.0, 2e6, 3.25e9]),
            (["(1.5)", "-2", "+3"], [-1.5, -2.0, 3.0]),
            (["1e3", "-inf", "0.0"], [1000.0, -np.inf, 0.0]),
        ],
    )
    def test_forms(self, cells: list[str], expected: list[float], tmp_path: Path) -> None:
        assert self.close_of(cells, tmp_path) == pytest.approx(expected)

    def test_missing_words(self, tmp_path: Path) -> None:
        words = ["null", ".", "", "N/A", "-", "NaN", "#N/A", "None", "1.5"]
        assert np.isnan(self.close_of(words, tmp_path)[:-1]).all()
        assert np.isnan(self.close_of(["holiday", "1.5"], tmp_path, missing=("holiday",))[0])  # type: ignore[arg-type]

    def test_only_ambiguous_commas_are_refused(self, tmp_path: Path) -> None:
        path = write(tmp_path, "A.csv", "Date;Close\n2017-01-02;1,234\n2017-01-03;1,235\n")
        assert "decimals or thousands" in error_of(path).what
        assert only(path, hint=LayoutHint(decimal=",")).rows["close"].tolist() == [1.234, 1.235]
        assert only(path, hint=LayoutHint(decimal=".")).rows["close"].tolist() == [1234, 1235]

    def test_two_decimal_marks_are_refused(self, tmp_path: Path) -> None:
        path = write(tmp_path, "A.csv", "Date;Close\n2017-01-02;1,5\n2017-01-03;1,234.5\n")
        assert "some numbers use the comma" in error_of(path).what


class TestRefusals:
    @pytest.mark.parametrize(
        ("text", "what"),
        [
            ("", "empty"),
            ("\n \n", "empty"),
            ("Date,Open,High,Low,Close\n", "header but no rows"),
            ("name,value\na,1\n", "no column of dates"),
            ("MIT License\n\nCopyright, someone\n", "no column of dates"),
            ("Date,symbol,label\n2017-01-02,A,1\n2017-01-03,A,0\n", "no column of closes"),
            ("Date,Close\n2017-01-02,1.5\n2017-01-03,1,605.5\n", "more cells than the header"),
            ("2017-01-02,1,2,3,4\n2017-01-03,1,2,3,4\n", "in no known order"),
        ],
    )
    def test_whole_file(self, text: str, what: str, tmp_path: Path) -> None:
        error = error_of(write(tmp_path, "A.csv", text))
        assert what in error.what
        assert error.file == "A.csv"
        assert error.remedy

    def test_unreadable_cell_names_row_and_column(self, tmp_path: Path) -> None:
        text = yahoo(bars()).replace("\n", "\nX\n", 1).splitlines()
        del text[1]
        cells = text[20].split(",")
        cells[4] = "12x4"
        text[20] = ",".join(cells)
        error = error_of(write(tmp_path, "A.csv", "\n".join(text)))
        assert (error.row, error.column, error.found, error.symbol) == (21, "Close", "12x4", "A")
        assert "row 21, column 'Close': no number (found '12x4')" in str(error)

    def test_unreadable_date_names_its_row(self, tmp_path: Path) -> None:
        lines = yahoo(bars()).splitlines()
        lines[7] = "2016-13-45" + lines[7][10:]
        error = error_of(write(tmp_path, "A.csv", "\n".join(lines)))
        assert (error.row, error.column, error.found) == (8, "Date", "2016-13-45")

    def test_one_bad_symbol_of_a_long_file_does_not_stop_the_other(self, tmp_path: Path) -> None:
        rows = pd.concat(makers.texts(bars()).assign(ticker=symbol) for symbol in ("GOOD", "BAD"))
        rows.iloc[DAY_OF_BAD := makers.DAYS + 5, rows.columns.get_loc("close")] = "abc"
        parsed = read_price_file(write(tmp_path, "all.csv", rows.to_csv(index=False)))
        assert [table.symbol for table in parsed.tables] == ["GOOD"]
        assert (parsed.errors[0].symbol, parsed.errors[0].row) == ("BAD", DAY_OF_BAD + 2)

    def test_rows_without_a_ticker(self, tmp_path: Path) -> None:
        rows = makers.texts(bars()).assign(ticker="AAPL")
        rows.iloc[4, rows.columns.get_loc("ticker")] = ""
        parsed = read_price_file(write(tmp_path, "all.csv", rows.to_csv(index=False)))
        assert len(parsed.tables[0].rows) == makers.DAYS - 1
        assert parsed.errors[0].row == 6

    def test_no_symbol_in_sight(self, tmp_path: Path) -> None:
        path = write(tmp_path, "prices.csv", yahoo(bars()))
        assert "which symbol" in error_of(path).what
        assert only(path, hint=LayoutHint(symbol="aapl")).symbol == "AAPL"

    def test_damaged_archives(self, tmp_path: Path) -> None:
        whole = makers.gzipped(yahoo(bars()))
        assert "damaged" in error_of(write(tmp_path, "A.csv.gz", whole[: len(whole) // 2])).what
        assert "damaged" in error_of(write(tmp_path, "A.zip", makers.zipped(A="x")[:30])).what
        assert "damaged" in error_of(write(tmp_path, "A.parquet", b"PAR1 and nothing else")).what
        assert "empty" in error_of(write(tmp_path, "B.zip", makers.zipped())).what

    def test_binary_and_unpaired_quotes(self, tmp_path: Path) -> None:
        assert "not text" in error_of(write(tmp_path, "A.csv", bytes(range(256)) * 4 + bytes(999))).what
        parsed = read_price_file(write(tmp_path, "B.csv", yahoo(bars()).replace("2016-09-09", '"2016-09-09')))
        assert parsed.tables == []
        assert parsed.errors


def test_hints_name_columns_by_name_and_by_position(tmp_path: Path) -> None:
    text = csv(bars(), "when|a|b|c|d|e", makers.PLAIN)
    path = write(tmp_path, "A.csv", text)
    hint = LayoutHint(columns={"close": "d", "volume": 5})
    table = only(path, hint=hint)
    assert_holds(table, bars(), ["close", "volume"])
    assert "not in the file" in error_of(path, hint=LayoutHint(columns={"close": "zzz"})).what
    assert "unknown role" in error_of(path, hint=LayoutHint(columns={"closing": "d"})).what
    headless = write(tmp_path, "B.csv", makers.headless(bars()))
    assert_holds(
        only(headless, hint=LayoutHint(columns={"date": 0, "close": 5})),
        bars().assign(close=bars()["adj_close"]),
        ["close"],
    )


def test_no_header_variants(tmp_path: Path) -> None:
    frame = bars()
    close = only(write(tmp_path, "A.csv", csv(frame, "", "date|close")))
    assert_holds(close, frame, ["close"])
    plain = only(write(tmp_path, "B.csv", csv(frame, "", makers.PLAIN)))
    assert_holds(plain, frame, BARE)


def test_text_rows_are_set_aside_and_counted(tmp_path: Path) -> None:
    lines = yahoo(bars()).splitlines()
    lines.insert(5, "2016-09-12,0.57 Dividend,,,,,")
    table = only(write(tmp_path, "A.csv", "\n".join([*lines, "Source: somebody"])))
    assert table.set_aside == {"text without prices": (6, 63)}
