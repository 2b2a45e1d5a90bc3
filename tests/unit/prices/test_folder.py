"""Folders: good symbols go through, bad files are refused, and several files of one symbol are settled."""

from __future__ import annotations

import datetime as dt
import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from ml_assets.prices import (
    LayoutHint,
    PriceFileError,
    PriceSource,
    PriceSourceError,
    open_source,
)
from ml_assets.prices import folder as folder_module
from ml_assets.prices.layouts.filenames import symbol_of_file
from tests.unit.prices import makers
from tests.unit.prices.makers import TEXT_LAYOUTS, bars, csv, write, yahoo

TODAY = dt.date(2030, 1, 1)


def opened(folder: Path, *hints: LayoutHint) -> PriceSource:
    return open_source(str(folder), hints=hints, today=TODAY)


def kinds(source: PriceSource) -> dict[str, str]:
    return {problem.file or "": problem.kind for problem in source.problems()}


def test_a_folder_of_all_layouts_gives_one_symbol_from_the_best_file(tmp_path: Path) -> None:
    frame = bars()
    for number, (name, make, _) in enumerate(TEXT_LAYOUTS.values()):
        write(tmp_path, f"{number:02}/{name}", make(frame))
    write(tmp_path, "quoted__AAPL.csv", makers.quoted(frame))
    write(tmp_path, "empty__AAPL.csv", "")
    write(tmp_path, "MSFT.csv", yahoo(bars(seed=5)))
    source = opened(tmp_path)
    assert source.symbols() == ["AAPL", "MSFT"]
    history = source.load("aapl")
    assert history.report.adjusted
    assert history.report.source == "00/AAPL.csv"
    np.testing.assert_array_equal(history.frame["close"], frame["adj_close"])
    found = kinds(source)
    assert found["empty__AAPL.csv"] == "refused"
    assert found["quoted__AAPL.csv"] == "conflict"
    assert set(found.values()) == {"refused", "conflict", "superseded", "duplicate"}
    assert len(found) == len(TEXT_LAYOUTS) + 1
    (conflict,) = [problem for problem in source.problems() if problem.kind == "conflict"]
    for part in ("quoted__AAPL.csv", "00/AAPL.csv", "2016-09-07", "factor 100", "LayoutHint(symbol"):
        assert part in conflict.message
    assert source.load("MSFT").symbol == "MSFT"


def test_files_of_different_years_are_joined(tmp_path: Path) -> None:
    frame = bars(90)
    write(tmp_path, "AAPL_2016.csv", yahoo(frame[:50]))
    write(tmp_path, "AAPL_2017.csv", yahoo(frame[40:]))
    source = opened(tmp_path)
    history = source.load("AAPL")
    np.testing.assert_array_equal(history.frame["close"], frame["adj_close"])
    assert source.problems() == []
    assert history.report.adds_up
    assert history.report.rows_read == 100
    assert history.report.dropped["same day in the preferred file"].count == 10
    assert history.report.source == "AAPL_2017.csv + AAPL_2016.csv"
    write(tmp_path, "AAPL_2017.csv", yahoo(frame[50:]))
    assert len(opened(tmp_path).load("AAPL")) == 90


def test_files_that_do_not_fit_together_are_not_joined(tmp_path: Path) -> None:
    frame = bars(90)
    write(tmp_path, "AAPL_2016.csv", yahoo(frame[:50]))
    write(
        tmp_path, "AAPL_2017.csv", yahoo(frame[50:].assign(**{n: frame[n] * 7 for n in makers.ADJUSTED[:5]}))
    )
    source = opened(tmp_path)
    assert len(source.load("AAPL")) == 50
    (problem,) = source.problems()
    assert problem.kind == "conflict"
    assert "jumps where it meets" in problem.message
    write(tmp_path, "AAPL_2017.csv", csv(frame[50:], "Date|Close", "date|close"))
    (problem,) = opened(tmp_path).problems()
    assert "other columns or another adjustment" in problem.message


def test_one_different_close_is_a_conflict_with_both_values(tmp_path: Path) -> None:
    frame = bars()
    other = frame.copy()
    other.iloc[5, 4] = 77.0
    write(tmp_path, "a/AAPL.csv", yahoo(frame))
    write(tmp_path, "b/AAPL.csv", yahoo(other))
    (problem,) = opened(tmp_path).problems()
    assert (problem.kind, problem.file, problem.symbol) == ("conflict", "b/AAPL.csv", "AAPL")
    assert f"on 1 of 60 common days, first {frame.index[5].date()}: 77 against" in problem.message
    both = opened(tmp_path, LayoutHint("b/*", symbol="AAPL2"))
    assert both.symbols() == ["AAPL", "AAPL2"]


def test_rounded_and_longer_unadjusted_files_are_superseded(tmp_path: Path) -> None:
    frame = bars(90)
    write(tmp_path, "a/AAPL.csv", yahoo(frame[:60]))
    rounded = frame.round(2)[["open", "high", "low", "close", "volume"]]
    write(tmp_path, "b/AAPL.csv", rounded.to_csv())
    (problem,) = opened(tmp_path).problems()
    assert problem.kind == "superseded"
    assert "its 30 further days are not used" in problem.message


def test_a_bad_file_gives_way_to_a_good_one(tmp_path: Path) -> None:
    frame = bars()
    bad = frame.copy()
    bad.iloc[4, 4] = -1.0
    write(tmp_path, "a/AAPL.csv", yahoo(bad))
    write(tmp_path, "b/AAPL.csv", csv(frame, "Date|Close", "date|close"))
    source = opened(tmp_path)
    assert source.load("AAPL").report.source == "b/AAPL.csv"
    assert kinds(source) == {"a/AAPL.csv": "refused"}
    write(tmp_path, "b/AAPL.csv", yahoo(bad))
    source = opened(tmp_path)
    assert source.symbols() == []
    with pytest.raises(PriceFileError, match="a price is negative"):
        source.load("AAPL")


def test_a_refused_symbol_raises_its_own_error(tmp_path: Path) -> None:
    write(tmp_path, "AAPL.csv", yahoo(bars(12)))
    write(tmp_path, "MSFT.csv", "Date,Close\n")
    source = opened(tmp_path)
    assert source.symbols() == []
    with pytest.raises(PriceFileError, match="only 12 of 12 rows") as caught:
        source.load("AAPL")
    assert (caught.value.file, caught.value.symbol) == ("AAPL.csv", "AAPL")
    with pytest.raises(PriceFileError, match="header but no rows"):
        source.load("MSFT")
    with pytest.raises(PriceSourceError, match="has no prices of GOOG; it has AAPL"):
        source.load("GOOG")


def test_new_and_changed_files_are_noticed_and_unchanged_ones_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = folder_module.read_price_file
    seen: list[str] = []

    def counting(path: Path, **options: object) -> object:
        seen.append(path.name)
        return read(path, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(folder_module, "read_price_file", counting)
    write(tmp_path, "AAPL.csv", yahoo(bars()))
    source = opened(tmp_path)
    first = source.load("AAPL")
    assert source.symbols() == ["AAPL"]
    assert opened(tmp_path).load("AAPL") == first
    assert source.load("AAPL") is first
    assert seen == ["AAPL.csv"]
    write(tmp_path, "MSFT.csv", yahoo(bars(seed=1)))
    path = write(tmp_path, "AAPL.csv", yahoo(bars(70)))
    os.utime(path, (1, 1))
    assert source.symbols() == ["AAPL", "MSFT"]
    assert len(source.load("AAPL")) == 70
    assert seen == ["AAPL.csv", "AAPL.csv", "MSFT.csv"]


def test_the_cache_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_module, "_CACHED_ROWS", 100)
    monkeypatch.setattr(folder_module, "_CACHE", type(folder_module._CACHE)())
    for number in range(4):
        write(tmp_path, f"S{number}.csv", yahoo(bars(seed=number)))
    assert len(opened(tmp_path).symbols()) == 4
    assert len(folder_module._CACHE) == 1


def test_documents_and_other_formats(tmp_path: Path) -> None:
    write(tmp_path, "AAPL.csv", yahoo(bars()))
    for name in ("README.md", "LICENSE.txt", ".hidden.csv", ".git/x.csv", "__MACOSX/y.csv", "notes.pdf"):
        write(tmp_path, name, "text")
    write(tmp_path, "AAPL.xlsx", "x")
    source = opened(tmp_path)
    (problem,) = source.problems()
    assert "type .xlsx are not read" in problem.message
    assert source.symbols() == ["AAPL"]
    assert opened(tmp_path / "AAPL.csv").symbols() == ["AAPL"]
    assert "AAPL.csv" not in repr(source)


def test_hints_from_the_folder_itself(tmp_path: Path) -> None:
    write(tmp_path, "eu.csv", "Datum;Kurs\n" + "".join(f"{d:02}/01/2017;1,{100 + d}\n" for d in range(1, 9)))
    hints = [
        {"pattern": "eu.csv", "date_format": "%m/%d/%Y", "decimal": ",", "symbol": "eu1", "missing": ["x"]}
    ]
    write(tmp_path, "layout_hints.json", json.dumps(hints))
    rules = open_source(str(tmp_path), today=TODAY)
    (problem,) = rules.problems()
    assert "only 8 of 8 rows" in problem.message
    assert problem.symbol == "EU1"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "no JSON"),
        ("{}", "must hold a list"),
        ('[{"decimals": ","}]', "no field 'decimals'"),
        ('[{"decimal": ";"}]', "is '.' or ','"),
        ('[{"columns": 3}]', "cannot be read"),
    ],
)
def test_bad_hint_files(content: str, message: str, tmp_path: Path) -> None:
    write(tmp_path, "layout_hints.json", content)
    with pytest.raises(PriceSourceError, match=message):
        opened(tmp_path).symbols()


def test_a_hint_with_one_symbol_does_not_fit_many(tmp_path: Path) -> None:
    table = pd.DataFrame({name: bars(seed=i)["close"] for i, name in enumerate(["AAPL", "MSFT"])})
    write(tmp_path, "wide.csv", table.to_csv())
    (problem,) = opened(tmp_path, LayoutHint(symbol="X")).problems()
    assert "the file holds 2 symbols" in problem.message


@pytest.mark.parametrize(
    ("name", "symbol"),
    [
        ("aapl.us.txt", "AAPL"),
        ("aapl_us_d.csv", "AAPL"),
        ("HistoricalData_AAPL.csv", "AAPL"),
        ("BBY_data.csv", "BBY"),
        ("alphavantage__daily_AAPL.csv", "AAPL"),
        ("AAPL_2016-01-01_2017-01-01.csv", "AAPL"),
        ("AAPL (1).csv.gz", "AAPL"),
        ("BRK-B.csv", "BRK-B"),
        ("BRK_B.csv", "BRK_B"),
        ("SAP.DE.csv", "SAP.DE"),
        ("7203.T.csv", "7203.T"),
        ("600519.csv", "600519"),
        ("^spx_d.csv", "^SPX"),
        ("D.csv", "D"),
        ("d_us_d.csv", "D"),
        ("AAPL-1d.csv", "AAPL"),
        ("folder/MSFT Historical Data.csv", "MSFT"),
        ("prices.csv", None),
        ("HistoricalData_1693526400000.csv", None),
        ("__.csv", None),
    ],
)
def test_symbols_of_file_names(name: str, symbol: str | None) -> None:
    assert symbol_of_file(name) == symbol
