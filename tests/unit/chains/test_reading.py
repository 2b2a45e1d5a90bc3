"""Chains as vendors write them: layouts, dates, settlement, errors that say what to do."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_assets.chains import load_chains
from ml_assets.chains.contracts import parse_contracts, settles_at_open
from ml_assets.chains.reading import read_chain_file
from ml_assets.prices import LayoutHint, PriceFileError, PriceSourceError

# Three layouts; the values are our own.
CBOE = """underlying,underlying_last,exchange,optionroot,type,expiration,quotedate,strike,last,bid,ask,volume
SPX,2905.5,CBOE,SPXW190510C02900000,call,05/10/2019,05/06/2019,2900.0,0.0,24.1,24.9,0
SPX,2905.5,CBOE,SPXW190510P02900000,put,05/10/2019,05/06/2019,2900.0,0.0,17.2,17.9,0
SPX,2905.5,CBOE,SPX190517C02900000,call,05/17/2019,05/06/2019,2900.0,0.0,38.0,39.1,0
SPX,2905.5,CBOE,SPX190517P02900000,put,05/17/2019,05/06/2019,2900.0,0.0,30.3,31.2,0
"""
SPY = """underlying,underlying_last,optionroot,type,expiration,quotedate,strike,last,bid,ask,impliedvol,alias
SPY,371.25,SPY210129P00345000,put,2021-01-29,2021-01-06,345.0,2.71,2.5,2.53,0.28,SPY210129P00345000
SPY,371.25,SPY210129C00380000,call,2021-01-29,2021-01-06,380.0,2.2,2.3,2.33,0.2,SPY210129C00380000
"""
EXTENDED = """underlying,underlying_last, venue,optionroot,optionext,type,expiration,quotedate,strike,bid,ask
SPX,2301.5,*,SPX170317C0000230000,,call,2017-03-17,2017-02-01,2300,41.3,42.5
SPX,2301.5,*,SPX170317P0000230000,,put,2017-03-17,2017-02-01,2300,39.6,40.8
"""
SIDE_BY_SIDE = """[QUOTE_DATE], [UNDERLYING_LAST], [EXPIRE_DATE], [C_BID], [C_ASK], [STRIKE], [P_BID], [P_ASK]
2022-03-01, 430.1, 2022-03-18, 9.1, 9.3, 430.0, 8.8, 9.0
2022-03-01, 430.1, 2022-03-18, 6.4, 6.6, 435.0, 11.1, 11.4
"""
SCALED = """date,secid,exdate,cp_flag,strike_price,best_bid,best_offer,symbol,spot
20190506,108105,20190517,C,2900000,38.0,39.1,SPXW 190517C2900000,2905
20190506,108105,20190517,P,2900000,30.3,31.2,SPXW 190517P2900000,2905
"""
EXCHANGE = """Expiration Date,Calls,Last Sale,Bid,Ask,Volume,Strike,Puts,Last Sale,Bid,Ask,Volume
Fri May 17 2019,SPX190517C02900000,37.5,38.0,39.1,10,2900,SPX190517P02900000,30,30.3,31.2,4
Fri May 17 2019,SPX190517C02910000,32.0,32.5,33.4,10,2910,SPX190517P02910000,35,34.6,35.6,4
"""


def read(folder: Path, text: str, name: str = "chain.csv", hint: LayoutHint | None = None) -> pd.DataFrame:
    path = folder / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    (part,) = read_chain_file(path, name, hint or LayoutHint())
    return part.rows


def shown(rows: pd.DataFrame) -> list[tuple[object, ...]]:
    days = rows["date"].dt.strftime("%Y-%m-%d"), rows["expiry"].dt.strftime("%Y-%m-%d")
    plain = (rows[name] for name in ("underlying", "at_open", "strike", "call", "bid", "ask", "spot"))
    return list(zip(*days, *plain, strict=True))


def test_full_chain_with_us_dates_and_both_settlements(tmp_path: Path) -> None:
    """05/06 alone could be June: the expiries of the same file tell."""
    assert shown(read(tmp_path, CBOE, "x.csv.gz")) == [
        ("2019-05-06", "2019-05-10", "SPX", False, 2900.0, True, 24.1, 24.9, 2905.5),
        ("2019-05-06", "2019-05-10", "SPX", False, 2900.0, False, 17.2, 17.9, 2905.5),
        ("2019-05-06", "2019-05-17", "SPX", True, 2900.0, True, 38.0, 39.1, 2905.5),
        ("2019-05-06", "2019-05-17", "SPX", True, 2900.0, False, 30.3, 31.2, 2905.5),
    ]


def test_iso_dates_and_a_fund(tmp_path: Path) -> None:
    assert shown(read(tmp_path, SPY)) == [
        ("2021-01-06", "2021-01-29", "SPY", False, 345.0, False, 2.5, 2.53, 371.25),
        ("2021-01-06", "2021-01-29", "SPY", False, 380.0, True, 2.3, 2.33, 371.25),
    ]


def test_contract_symbols_with_ten_digits(tmp_path: Path) -> None:
    assert shown(read(tmp_path, EXTENDED)) == [
        ("2017-02-01", "2017-03-17", "SPX", True, 2300.0, True, 41.3, 42.5, 2301.5),
        ("2017-02-01", "2017-03-17", "SPX", True, 2300.0, False, 39.6, 40.8, 2301.5),
    ]


def test_calls_and_puts_side_by_side(tmp_path: Path) -> None:
    rows = shown(read(tmp_path, SIDE_BY_SIDE, "QQQ_eod.csv"))
    assert rows[0] == ("2022-03-01", "2022-03-18", "QQQ", False, 430.0, True, 9.1, 9.3, 430.1)
    assert rows[3] == ("2022-03-01", "2022-03-18", "QQQ", False, 435.0, False, 11.1, 11.4, 430.1)


def test_strikes_in_thousandths_are_told_by_the_spot(tmp_path: Path) -> None:
    rows = read(tmp_path, SCALED)
    assert rows["strike"].tolist() == [2900.0, 2900.0]
    assert rows["bid"].tolist() == [38.0, 30.3]
    assert not rows["at_open"].any()


def test_the_form_of_the_exchange_with_its_date_in_the_name(tmp_path: Path) -> None:
    rows = shown(read(tmp_path, EXCHANGE, "SPX_2019-05-06.csv"))
    assert rows[0] == pytest.approx(
        ("2019-05-06", "2019-05-17", "SPX", True, 2900.0, True, 38.0, 39.1, np.nan), nan_ok=True
    )
    assert rows[2][4:8] == (2900.0, False, 30.3, 31.2)


def test_parquet_gives_what_text_gives(tmp_path: Path) -> None:
    from_text = read(tmp_path, SPY)
    frame = pd.read_csv(tmp_path / "chain.csv", parse_dates=["quotedate"])
    frame.to_parquet(tmp_path / "chain.parquet")
    (part,) = read_chain_file(tmp_path / "chain.parquet", "chain.parquet", LayoutHint())
    assert shown(part.rows) == shown(from_text)


def test_expiry_strike_and_type_from_the_contract_alone(tmp_path: Path) -> None:
    text = "date,contractSymbol,bid,ask\n2024-02-01,AAPL240216C00185000,3.1,3.2\n"
    assert shown(read(tmp_path, text))[0][:6] == ("2024-02-01", "2024-02-16", "AAPL", False, 185.0, True)


def test_an_expiry_on_saturday_ends_on_friday(tmp_path: Path) -> None:
    text = "date,expiration,strike,type,bid,ask\n2012-02-01,2012-02-18,100,call,3.1,3.2\n"
    assert read(tmp_path, text)["expiry"].iloc[0] == pd.Timestamp("2012-02-17")


@settings(max_examples=25, deadline=None)
@given(
    day=st.dates(pd.Timestamp("2015-01-01").date(), pd.Timestamp("2025-12-31").date()),
    written=st.sampled_from(["%m/%d/%Y", "%d.%m.%Y", "%Y-%m-%d", "%Y%m%d", "%d-%b-%Y", "%Y/%m/%d"]),
    mark=st.sampled_from([",", ";", "\t", "|"]),
    decimal=st.booleans(),
    names=st.sampled_from(
        [
            ("quote_date", "expiration", "strike", "option_type", "bid", "ask"),
            ("Date", "Expiry", "Strike Price", "Call/Put", "Best Bid", "Best Offer"),
            ("tradeDate", "expirDate", "strike", "cp_flag", "bidPrice", "askPrice"),
        ]
    ),
)
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory,
    day: object,
    written: str,
    mark: str,
    decimal: bool,
    names: tuple[str, ...],
) -> None:
    """Expiries on many days of the month settle the order of day and month, whatever the quote date is."""
    start = pd.Timestamp(day)  # type: ignore[arg-type]
    expiries = pd.bdate_range(start + pd.Timedelta(days=1), periods=24)
    text = mark.join(names) + "\n"
    comma = decimal and mark != ","
    for number, expiry in enumerate(expiries):
        cells = [
            start.strftime(written),
            expiry.strftime(written),
            f"{90.5 + number}",
            "put" if number % 2 else "C",
        ]
        cells += [f"{1 + number / 8:.3f}", f"{2 + number / 8:.3f}"]
        text += (
            mark.join(
                cell.replace(".", ",") if comma and at in (2, 4, 5) else cell for at, cell in enumerate(cells)
            )
            + "\n"
        )
    rows = read(tmp_path_factory.mktemp("written"), text)
    assert (rows["date"] == start).all()
    assert rows["expiry"].tolist() == expiries.tolist()
    assert rows["strike"].tolist() == [90.5 + n for n in range(24)]
    assert rows["call"].tolist() == [n % 2 == 0 for n in range(24)]
    np.testing.assert_array_equal(rows["bid"], [round(1 + n / 8, 3) for n in range(24)])


@given(st.sampled_from(["SPX", "SPXW", "AAPL", "BRK.B", "NDXP"]), st.booleans(), st.integers(1, 99_999_999))
def test_contract_symbols_round_trip(root: str, call: bool, thousandths: int) -> None:
    text = f"{root}190517{'C' if call else 'P'}{thousandths:08d}"
    parts = parse_contracts(pd.Series([text, "no contract"], dtype="str"))
    assert parts.iloc[0].tolist() == [root, pd.Timestamp("2019-05-17"), call, thousandths / 1000.0]
    assert parts["root"].iloc[1] == ""
    assert pd.isna(parts["expiry"].iloc[1])


def test_which_roots_settle_in_the_morning() -> None:
    roots = pd.Series(["SPX", "SPXW", "NDX", "NDXP", "RUT", "SPY", "", "vix"], dtype="str")
    assert settles_at_open(roots).tolist() == [True, False, True, False, True, False, False, True]


LONG = "date,expiration,strike,type,bid,ask\n2024-02-01,2024-02-16,{strike},{kind},{bid},3.2\n"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (LONG.format(strike="100", kind="call", bid="abc"), ("row 2", "'bid'", "abc", "Correct the cell")),
        (LONG.format(strike="100", kind="straddle", bid="3"), ("neither call nor put", "straddle")),
        (
            LONG.format(strike="100", kind="call", bid="3") + "2024-02-01,soon,100,put,3.1,3.2\n",
            ("row 3", "no readable date", "soon", "date_format"),
        ),
        ("date,expiration,strike,type,ask\n2024-02-01,2024-02-16,100,call,3\n", ("no column holds the bid",)),
        ("expiration,strike,type,bid,ask\n2024-02-16,9,call,3,4\n", ("date of the quotes", "name the file")),
        ("2024-02-01,2024-02-16,9,call,3,4\n2024-02-01,2024-02-16,9,put,3,4\n", ("no header", "Add a line")),
        ("date,expiration,strike,type,bid,ask\n", ("header but no rows",)),
        ("", ("empty",)),
        ("nothing of the kind\nat all\n", ("no column of dates", "date, expiration, strike")),
    ],
)  # fmt: skip
def test_bad_files_are_refused_with_place_and_remedy(
    tmp_path: Path, text: str, parts: tuple[str, ...]
) -> None:
    with pytest.raises(PriceFileError) as error:
        read(tmp_path, text)
    for part in ("chain.csv", *parts):
        assert part in str(error.value)


def test_undecidable_dates_are_refused_and_a_hint_settles_them(tmp_path: Path) -> None:
    text = "date,expiration,strike,type,bid,ask\n03/05/2019,06/05/2019,100,call,3,4\n"
    with pytest.raises(PriceFileError, match="day/month or month/day"):
        read(tmp_path, text)
    (tmp_path / "layout_hints.json").write_text('[{"pattern": "chain.csv", "date_format": "%d/%m/%Y"}]')
    chains = load_chains(tmp_path)
    assert str(chains.quotes["date"].iloc[0].date()) == "2019-05-03"


def test_a_hint_names_a_column(tmp_path: Path) -> None:
    text = "date,expiration,strike,type,Geld,Brief\n2024-02-01,2024-02-16,100,call,3,4\n"
    hint = LayoutHint(columns={"bid": "Geld", "ask": "Brief"})
    assert read(tmp_path, text, hint=hint)["ask"].tolist() == [4.0]


def test_one_bad_file_does_not_stop_the_others(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(CBOE)
    (tmp_path / "b.csv").write_text(CBOE.replace("24.1", "abc"))
    (tmp_path / "c.xlsx").write_text("")
    (tmp_path / "README.md").write_text("not data")
    chains = load_chains(tmp_path)
    assert chains.report.kept == 4
    notes = [note for note in chains.report.notes if note.startswith("refused")]
    assert len(notes) == 2
    assert "b.csv, row 2, column 'bid'" in notes[0]
    assert "c.xlsx" in notes[1]


@pytest.mark.parametrize("what", ["missing", "empty", "bad"])
def test_a_folder_without_quotes_is_refused(tmp_path: Path, what: str) -> None:
    folder = tmp_path / "quotes"
    if what != "missing":
        folder.mkdir()
    if what == "bad":
        (folder / "a.csv").write_text(CBOE.replace("24.1", "abc"))
    expected = {"missing": "does not exist", "empty": "no option quotes", "bad": "row 2, column 'bid'"}[what]
    with pytest.raises(PriceSourceError, match=expected):
        load_chains(folder)
