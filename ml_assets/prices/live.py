"""Live prices from Yahoo, through the optional package yfinance."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from functools import cache

import pandas as pd

from ml_assets.prices.cleaning import CleaningRules
from ml_assets.prices.errors import PriceFileError, PriceSourceError, Problem
from ml_assets.prices.layouts.grid import grid_of_frame
from ml_assets.prices.layouts.hint import LayoutHint
from ml_assets.prices.layouts.shapes import parse_grid
from ml_assets.prices.raw import RawPrices
from ml_assets.prices.table_source import Claims, TableSource
from ml_assets.storage.symbols import normalize_symbol

__all__ = ["parse_yfinance_frame", "yfinance_source"]

_REMEDY = "Check that Yahoo knows the ticker and that the network is up, then load again."

Download = Callable[..., pd.DataFrame | None]


def yfinance_source(
    symbols: Sequence[str],
    *,
    start: str = "2000-01-01",
    rules: CleaningRules | None = None,
    today: dt.date | None = None,
    download: Download | None = None,
) -> TableSource:
    """Open symbols at Yahoo; they are downloaded, all at once, when the first is asked for.

    The whole history is loaded every time, for after a split or dividend all earlier adjusted prices change
    (see :func:`~ml_assets.prices.restatement.compare_histories`).

    Parameters
    ----------
    symbols : sequence of str
        Yahoo's tickers.
    start : str
        First day.
    rules, today : optional
        As for any source.
    download : callable, optional
        Stands in for ``yfinance.download``.

    Raises
    ------
    PriceSourceError
        On the first use, if yfinance is not installed or the download fails.
    """
    names = [normalize_symbol(symbol) for symbol in symbols]

    @cache
    def tables() -> tuple[Claims, Sequence[Problem]]:
        return parse_yfinance_frame(_fetch(names, start, download), names)

    return TableSource("yfinance", tables, rules, today)


def parse_yfinance_frame(frame: pd.DataFrame, symbols: Sequence[str]) -> tuple[Claims, list[Problem]]:
    """Read a frame in the shape that ``yfinance.download`` returns.

    Parameters
    ----------
    frame : pandas.DataFrame
        Dates in the index, with or without a zone; columns in two levels, field and ticker in either order,
        or plain ones for a single symbol.
    symbols : sequence of str
        What was asked for; symbols that did not come are reported.
    """
    hint = LayoutHint(symbol=symbols[0]) if len(symbols) == 1 else LayoutHint()
    try:
        parsed = parse_grid(grid_of_frame(frame), "yfinance", hint)
    except PriceFileError as error:
        errors = [error.at(file="yfinance", symbol=symbol) for symbol in symbols]
        return {}, [Problem.from_error(error) for error in errors]
    claims: dict[str, tuple[RawPrices]] = {table.symbol: (table,) for table in parsed.tables}
    lost = [symbol for symbol in symbols if symbol not in claims]
    errors = [
        PriceFileError("Yahoo gave no prices", _REMEDY, file="yfinance", symbol=symbol) for symbol in lost
    ]
    return claims, [Problem.from_error(error) for error in (*parsed.errors, *errors)]


def _fetch(symbols: Sequence[str], start: str, download: Download | None) -> pd.DataFrame:
    if download is None:
        try:
            import yfinance
        except ImportError as error:
            raise PriceSourceError(
                "live prices need the package yfinance, which is missing; run: pip install gated-mamba[live]"
            ) from error
        download = yfinance.download
    try:
        frame = download(
            list(symbols), start=start, auto_adjust=False, actions=False, progress=False, threads=False
        )
    except Exception as error:
        raise PriceSourceError(
            f"yfinance could not download {', '.join(symbols)} ({error}); {_REMEDY}"
        ) from error
    if frame is None or frame.empty:
        raise PriceSourceError(f"yfinance returned no prices of {', '.join(symbols)}; {_REMEDY}")
    return frame
