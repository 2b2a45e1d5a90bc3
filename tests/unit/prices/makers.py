"""Small price tables, and the same rows in the layouts that vendors write."""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from ml_assets.prices import RawPrices

DAYS = 60


def bars(n: int = DAYS, *, seed: int = 0, start: str = "2016-09-07", price: float = 100.0) -> pd.DataFrame:
    """Return consistent daily bars with an adjusted close; prices have six decimals, volumes are whole."""
    rng = np.random.default_rng(seed)
    close = price * np.exp(np.cumsum(rng.normal(0, 0.01, n)))
    opened = close * np.exp(rng.normal(0, 0.005, n))
    frame = pd.DataFrame(
        {
            "open": opened,
            "high": np.maximum(opened, close) * (1 + rng.uniform(0, 0.01, n)),
            "low": np.minimum(opened, close) * (1 - rng.uniform(0, 0.01, n)),
            "close": close,
            "adj_close": close * np.where(np.arange(n) < n // 2, 0.98, 1.0),
        },
        index=pd.DatetimeIndex(pd.bdate_range(start, periods=n), name="date"),
    ).round(6)
    frame["volume"] = rng.integers(1_000_000, 90_000_000, n).astype(float)
    return frame


def raw(frame: pd.DataFrame, symbol: str = "AAPL", file: str = "AAPL.csv") -> RawPrices:
    """Wrap a frame as rows of a file whose first row is in line 2."""
    rows = frame.reset_index(names="date")
    rows["date"] = rows["date"].astype("datetime64[ns]")
    rows.insert(0, "row", np.arange(2, len(rows) + 2))
    return RawPrices(symbol, file, rows)


def texts(frame: pd.DataFrame, date: str = "%Y-%m-%d") -> pd.DataFrame:
    """Return the rows as text, dates first."""
    out = pd.DataFrame({"date": pd.DatetimeIndex(frame.index).strftime(date)})
    for name in frame:
        values = frame[name].to_numpy()
        out[name] = [f"{value:.0f}" if name == "volume" else f"{value:.6f}" for value in values]
    return out


def csv(frame: pd.DataFrame, names: str, columns: str, *, date: str = "%Y-%m-%d", sep: str = ",") -> str:
    """Write columns under the given names; ``names`` and ``columns`` are lists joined by ``|``."""
    table = texts(frame, date)[columns.split("|")]
    lines = [sep.join(row) for row in table.itertuples(index=False)]
    return "\n".join(([sep.join(names.split("|"))] if names else []) + lines) + "\n"


YAHOO = ("Date|Open|High|Low|Close|Adj Close|Volume", "date|open|high|low|close|adj_close|volume")
PLAIN = "date|open|high|low|close|volume"
ADJUSTED = ["open", "high", "low", "close", "adj_close", "volume"]
BARE = ["open", "high", "low", "close", "volume"]


def yahoo(frame: pd.DataFrame) -> str:
    return csv(frame, *YAHOO)


def german(frame: pd.DataFrame) -> str:
    text = csv(frame, "Datum|Eröffnung|Hoch|Tief|Schluss|Volumen", PLAIN, date="%d.%m.%Y", sep=";")
    head, _, body = text.partition("\n")
    table = [line.split(";") for line in body.splitlines()]
    rows = [";".join([row[0], *(cell.replace(".", ",") for cell in row[1:])]) for row in table]
    return "\n".join([head, *rows]) + "\n"


def quoted(frame: pd.DataFrame) -> str:
    """Write as investing.com does: a BOM, quotes, thousands, K and M, newest first."""
    head = '\ufeff"Date","Price","Open","High","Low","Vol.","Change %"'
    rows = []
    for day, row in frame[::-1].iterrows():
        prices = [f"{row[name] * 100:,.4f}" for name in ("close", "open", "high", "low")]
        cells = [f"{day:%m/%d/%Y}", *prices, f"{row['volume'] / 1e6:.6f}M", "0.03%"]
        rows.append(",".join(f'"{cell}"' for cell in cells))
    return "\n".join([head, *rows]) + "\n"


def dollars(frame: pd.DataFrame) -> str:
    head = "Date,Close/Last,Volume,Open,High,Low"
    rows = [
        f"{day:%m/%d/%Y},${r['close']:.6f},{r['volume']:.0f},${r['open']:.6f},${r['high']:.6f},${r['low']:.6f}"
        for day, r in frame[::-1].iterrows()
    ]
    return "\n".join([head, *rows]) + "\n"


def zoned(frame: pd.DataFrame) -> str:
    """Write local stamps with mixed offsets; one missing open as 0.0; the index has no name."""
    local = pd.DatetimeIndex(frame.index).tz_localize("America/New_York") + pd.Timedelta(hours=16)
    table = texts(frame)
    table["date"] = [stamp.isoformat(sep=" ") for stamp in local]
    table.loc[3, "open"] = "0.0"
    lines = [",".join(row) for row in table[PLAIN.split("|")].itertuples(index=False)]
    return "\n".join([",Open,High,Low,Close,Volume", *lines]) + "\n"


def epochs(
    frame: pd.DataFrame, unit: int, header: str = "ticker,volume,open,close,high,low,window_start"
) -> str:
    stamps = pd.DatetimeIndex(frame.index).tz_localize("America/New_York").as_unit("ns").asi8 // unit
    table = texts(frame)
    rows = zip(
        table["volume"], table["open"], table["close"], table["high"], table["low"], stamps, strict=True
    )
    return "\n".join([header, *("AAPL," + ",".join(map(str, row)) for row in rows)]) + "\n"


def integers(frame: pd.DataFrame) -> str:
    table = texts(frame[::-1], "%Y%m%d")
    lines = ["AAPL," + ",".join(row) for row in table[PLAIN.split("|")].itertuples(index=False)]
    return "\n".join(["ts_code,trade_date,open,high,low,close,vol", *lines]) + "\n"


def doubled(frame: pd.DataFrame) -> str:
    return yahoo(frame) * 2


def banner(frame: pd.DataFrame) -> str:
    return "Downloaded for research, do not redistribute\n" + yahoo(frame)


def headless(frame: pd.DataFrame) -> str:
    return csv(frame, "", YAHOO[1])


def prefixed(frame: pd.DataFrame) -> str:
    return csv(frame, "Date|AAPL.Open|AAPL.High|AAPL.Low|AAPL.Close|AAPL.Adjusted|AAPL.Volume", YAHOO[1])


def stooq_bulk(frame: pd.DataFrame) -> str:
    table = texts(frame, "%Y%m%d")
    rows = [
        f"AAPL.US,D,{r.date},000000,{r.open},{r.high},{r.low},{r.close},{r.volume},0"
        for r in table.itertuples()
    ]
    head = "<TICKER>,<PER>,<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>,<OPENINT>"
    return "\r\n".join([head, *rows]) + "\r\n"


def footer(frame: pd.DataFrame) -> str:
    text = csv(frame, "Time|Open|High|Low|Last|Volume", PLAIN, date="%m/%d/%Y")
    return text + '"Downloaded from Barchart.com as of 12-01-2016 08:14am CST"\n'


def spaces(frame: pd.DataFrame) -> str:
    return csv(frame, "Date|Open|High|Low|Close|Volume", PLAIN, sep="   ")


def excel(frame: pd.DataFrame) -> str:
    return "sep=;\n" + csv(frame, *YAHOO, sep=";")


Layout = tuple[str, Callable[[pd.DataFrame], str], list[str]]
TEXT_LAYOUTS: dict[str, Layout] = {
    "yahoo": ("AAPL.csv", yahoo, ADJUSTED),
    "stooq, CRLF": (
        "aapl_us_d.csv",
        lambda f: csv(f, "Date|Open|High|Low|Close|Volume", PLAIN).replace("\n", "\r\n"),
        BARE,
    ),
    "kaggle": ("aapl.us.txt", lambda f: csv(f, "Date|Open|High|Low|Close|Volume", PLAIN), BARE),
    "alphavantage": (
        "daily_AAPL.csv",
        lambda f: csv(f[::-1], "timestamp|1. open|2. high|3. low|4. close|5. volume", PLAIN),
        BARE,
    ),
    "german": ("AAPL.csv", german, BARE),
    "dollars, newest first": ("HistoricalData_AAPL.csv", dollars, BARE),
    "zoned": ("AAPL.csv", zoned, BARE),
    "epoch in ns": ("day_aggs.csv", lambda f: epochs(f, 1), BARE),
    "epoch in ms": ("day_aggs.csv", lambda f: epochs(f, 10**6), BARE),
    "epoch in s": ("day_aggs.csv", lambda f: epochs(f, 10**9), BARE),
    "yyyymmdd": ("daily.csv", integers, BARE),
    "doubled with second header": ("AAPL.csv", doubled, ADJUSTED),
    "banner": ("AAPL.csv", banner, ADJUSTED),
    "no header": ("AAPL.csv", headless, ADJUSTED),
    "prefixed": ("quantmod.csv", prefixed, ADJUSTED),
    "stooq bulk": ("x.txt", stooq_bulk, BARE),
    "footer": ("AAPL_daily.csv", footer, BARE),
    "spaces": ("AAPL.txt", spaces, BARE),
    "tabs": ("AAPL.tsv", lambda f: csv(f, *YAHOO, sep="\t"), ADJUSTED),
    "pipes": ("AAPL.dat", lambda f: csv(f, *YAHOO, sep="|"), ADJUSTED),
    "excel's sep line": ("AAPL.csv", excel, ADJUSTED),
    "named months": ("AAPL.csv", lambda f: csv(f, *YAHOO, date="%d-%b-%Y"), ADJUSTED),
    "month first, named": ("AAPL.csv", lambda f: csv(f, *YAHOO, date="%b %d, %Y", sep=";"), ADJUSTED),
    "two-digit years": ("AAPL.csv", lambda f: csv(f, *YAHOO, date="%d-%b-%y"), ADJUSTED),
    "iso in UTC": ("AAPL.csv", lambda f: csv(f, *YAHOO, date="%Y-%m-%dT00:00:00.000Z"), ADJUSTED),
    "spanish": ("AAPL.csv", lambda f: csv(f, "Fecha|Apertura|Máximo|Mínimo|Último|Volumen", PLAIN), BARE),
    "french": ("AAPL.csv", lambda f: csv(f, "Date|Ouverture|Plus Haut|Plus Bas|Dernier|Volume", PLAIN), BARE),
    "chinese": ("AAPL.csv", lambda f: csv(f, "日期|开盘|最高|最低|收盘|成交量", PLAIN), BARE),
}


def write(folder: Path, name: str, text: str | bytes) -> Path:
    """Write a file and return its path."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
    return path


def zipped(**members: str) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for name, text in members.items():
            archive.writestr(f"{name}.csv", text)
    return sink.getvalue()


def gzipped(text: str) -> bytes:
    return gzip.compress(text.encode())
