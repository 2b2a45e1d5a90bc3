"""Sources by setting: the default set, Yahoo, and settings that name nothing."""

from __future__ import annotations

import builtins
import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ml_assets.prices import PriceFileError, PriceSource, PriceSourceError, open_source
from ml_assets.prices.folder import folder_source
from ml_assets.prices.live import parse_yfinance_frame, yfinance_source
from tests.unit.prices.makers import bars

TODAY = dt.date(2030, 1, 1)


def test_default_set() -> None:
    source = open_source("default")
    assert isinstance(source, PriceSource)
    assert len(source.symbols()) == 20
    assert source.problems() == []
    history = source.load("aapl")
    assert list(history.frame.columns) == ["close"]
    assert str(history.dates[0].date()) == "2000-01-03"
    assert len(history) > 5000
    assert history.report.adds_up
    assert history.report.adjusted
    assert open_source("default").load("AAPL").to_bytes() == history.to_bytes()


@pytest.mark.parametrize("spec", ["", "  ", "nowhere/at/all", "yfinanc:AAPL", "yfinance:", "yfinance: ,"])
def test_settings_that_name_no_source(spec: str) -> None:
    with pytest.raises(PriceSourceError, match=r"no price source|names no symbols"):
        open_source(spec)


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(PriceSourceError, match="does not exist"):
        folder_source(tmp_path / "x")


def downloaded(
    symbols: list[str], *, zone: str | None = "America/New_York", level: str = "field"
) -> pd.DataFrame:
    """Return a frame in the shape of ``yfinance.download(auto_adjust=False)``."""
    names = {
        "open": "Open",
        "high": "High",
        "low": "Low",
        "close": "Close",
        "adj_close": "Adj Close",
        "volume": "Volume",
    }
    frames = {symbol: bars(seed=seed).rename(columns=names) for seed, symbol in enumerate(symbols)}
    table = pd.concat(frames, axis=1, names=["Ticker", "Price"])
    table.index = table.index.tz_localize(zone).rename("Date")
    return table if level == "ticker" else table.swaplevel(axis=1).sort_index(axis=1)


@pytest.mark.parametrize("level", ["field", "ticker"])
@pytest.mark.parametrize("zone", [None, "America/New_York", "Asia/Tokyo"])
def test_yfinance_frames(level: str, zone: str | None) -> None:
    claims, problems = parse_yfinance_frame(
        downloaded(["AAPL", "MSFT"], zone=zone, level=level), ["AAPL", "MSFT"]
    )
    assert problems == []
    for seed, symbol in enumerate(["AAPL", "MSFT"]):
        (rows,) = claims[symbol]
        np.testing.assert_array_equal(rows.rows["date"], bars().index)
        np.testing.assert_array_equal(rows.rows["adj_close"], bars(seed=seed)["adj_close"])


def test_yfinance_source_reports_lost_symbols_and_downloads_once() -> None:
    calls: list[dict[str, Any]] = []

    def download(names: list[str], **options: Any) -> pd.DataFrame:
        calls.append({"names": names, **options})
        frame = downloaded(["AAPL", "GONE"])
        frame.loc[:, frame.columns.get_level_values("Ticker") == "GONE"] = np.nan
        return frame

    source = yfinance_source(["aapl", "gone", "lost"], today=TODAY, download=download)
    assert source.symbols() == ["AAPL"]
    assert source.load("AAPL").report.adjusted
    assert [problem.symbol for problem in source.problems()] == ["LOST", "GONE"]
    with pytest.raises(PriceFileError, match="Yahoo gave no prices"):
        source.load("LOST")
    assert len(calls) == 1
    assert calls[0]["names"] == ["AAPL", "GONE", "LOST"]
    assert calls[0]["auto_adjust"] is False


def test_a_single_symbol_with_plain_columns() -> None:
    frame = downloaded(["AAPL"]).droplevel("Ticker", axis=1)
    claims, problems = parse_yfinance_frame(frame, ["AAPL"])
    assert list(claims) == ["AAPL"]
    assert problems == []
    claims, problems = parse_yfinance_frame(frame[["Open"]].astype(str) + "x", ["AAPL"])
    assert claims == {}
    assert problems[0].symbol == "AAPL"


def test_failing_downloads_say_what_to_do() -> None:
    def broken(*_: Any, **__: Any) -> pd.DataFrame:
        raise ConnectionError("no route to host")

    with pytest.raises(PriceSourceError, match=r"no route to host.*network"):
        yfinance_source(["AAPL"], download=broken).symbols()
    with pytest.raises(PriceSourceError, match="returned no prices"):
        yfinance_source(["AAPL"], download=lambda *_, **__: pd.DataFrame()).symbols()


def test_yfinance_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **options: Any) -> Any:
        if name == "yfinance":
            raise ImportError(name)
        return real(name, *rest, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(PriceSourceError, match=r"pip install gated-mamba\[live\]"):
        open_source("yfinance:AAPL").symbols()
