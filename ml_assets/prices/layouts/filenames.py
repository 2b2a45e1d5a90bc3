"""The symbol that a file's name stands for."""

from __future__ import annotations

import re

from ml_assets.storage.symbols import normalize_symbol

__all__ = ["symbol_of_file", "symbol_of_text"]

_EXTENSIONS = re.compile(r"\.(?:csv|txt|tsv|dat|data|gz|zip|bz2|xz|tar|tgz|parquet|pq)$", re.IGNORECASE)
_NOISE_WORDS = (
    "data dataset daily day days d d1 1d us usa hist historicaldata historical history historic stock "
    "stocks share shares price prices quote quotes ohlc ohlcv eod adj adjusted unadjusted raw clean "
    "full compact max timeseries time series ts download downloads table export nasdaq nyse amex "
    "yahoo yfinance stooq tiingo polygon alphavantage kaggle chart candles bars 1y 2y 3y 5y 10y 20y "
    "close closes test sample copy new "
)
_NOISE = frozenset(_NOISE_WORDS.split())
_DATE = re.compile(r"^(?:19|20)\d\d(?:-?[01]\d(?:-?[0-3]\d)?)?$|^\d{9,}$")


def symbol_of_text(text: str) -> str:
    """Normalize a symbol from a file, without Stooq's ``.US``.

    Raises
    ------
    ValueError
        If the text is no symbol.
    """
    symbol = normalize_symbol(text)
    return symbol[:-3] if symbol.endswith(".US") and len(symbol) > 3 else symbol


def symbol_of_file(name: str) -> str | None:
    """Read the symbol from a file's name.

    The rule: extensions go; if ``__`` occurs, what follows the last one counts; the rest is cut at ``_``,
    white space and commas; words such as ``daily``, ``data``, ``us`` or ``HistoricalData``, dates and ``(1)``
    go, unless nothing else is there; what is left, joined by ``_``, is the symbol. A hyphen never cuts
    (``BRK-B``), except before a trailing ``-1d``.

    Parameters
    ----------
    name : str
        File name, with or without folders.

    Returns
    -------
    str or None
        The normalized symbol; None if the name holds only words such as ``prices``.

    Examples
    --------
    >>> [symbol_of_file(name) for name in ("aapl.us.txt", "aapl_us_d.csv", "BBY_data.csv")]
    ['AAPL', 'AAPL', 'BBY']
    >>> symbol_of_file("alphavantage__daily_AAPL.csv"), symbol_of_file("prices.csv")
    ('AAPL', None)
    """
    stem = re.split(r"[/\\!]", name)[-1]
    while _EXTENSIONS.search(stem):
        stem = _EXTENSIONS.sub("", stem)
    stem = re.sub(r"\s*\(\d+\)$", "", stem)
    after = stem.rpartition("__")[2]
    stem = re.sub(r"[-.](?:1d|d1|daily)$", "", after or stem, flags=re.IGNORECASE)
    words = [word for word in re.split(r"[_\s,]+", stem) if word]
    if not words:
        return None
    told = [word for word in words if word.lower() not in _NOISE and not _DATE.match(word)]
    if not told and len(words[0]) <= 2:
        told = words[:1]  # D_us_d.csv: Dominion's ticker is D
    try:
        return symbol_of_text("_".join(told)) if told else None
    except ValueError:
        return None
