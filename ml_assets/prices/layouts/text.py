"""Text files: from bytes to a grid, by finding the encoding, the delimiter and the header."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter

import numpy as np
import pandas as pd

from ml_assets.prices.errors import DOWNLOAD_AGAIN, PriceFileError
from ml_assets.prices.layouts.dates import is_date_like
from ml_assets.prices.layouts.grid import ColumnName, Grid
from ml_assets.prices.layouts.hint import LayoutHint
from ml_assets.prices.layouts.names import role_of
from ml_assets.prices.layouts.numbers import is_missing

__all__ = ["grid_of_text"]

_DELIMITERS = (",", ";", "\t", "|")
_SPACES = "spaces"
_SAMPLE = 60
_HEAD = 30
_NOT_A_TABLE = (
    "Give a table with a column of dates and a column of closes, or remove the file from the folder."
)


def grid_of_text(data: bytes, hint: LayoutHint) -> Grid:
    """Read a text file as a grid.

    Parameters
    ----------
    data : bytes
        The uncompressed content.
    hint : LayoutHint
        Its encoding and delimiter outrank the guess.

    Returns
    -------
    Grid
        With texts as cells; blank lines are left out.

    Raises
    ------
    PriceFileError
        If the file is empty, holds a header only, or is no table with dates.
    """
    text = _decode(data, hint.encoding)
    if not text.strip():
        raise PriceFileError("the file is empty", DOWNLOAD_AGAIN)
    declared = re.match(r"\s*\"?sep=(.)\"?[;,\s]*\n", text)  # Excel's first line
    lines = text.split("\n")
    sample = [line for line in lines if line.strip()][: _SAMPLE + 1]
    delimiter = hint.delimiter or (declared[1] if declared else _sniff(sample))
    table = _split(lines, delimiter)
    if declared:
        table.iloc[0] = ""
    table = table[(table != "").any(axis=1)]
    date_at = _date_column(table, hint)
    is_data = is_date_like(table[date_at]) if date_at is not None else np.zeros(len(table), dtype=bool)
    if date_at is not None and hint.date_format is not None:
        parsed = pd.to_datetime(table[date_at], format=hint.date_format, errors="coerce", utc=True)
        is_data = is_data | parsed.notna().to_numpy()
    if not is_data.any():
        if table.head(_HEAD).map(role_of).notna().any(axis=1).all():
            raise PriceFileError("the file has a header but no rows", DOWNLOAD_AGAIN)
        raise PriceFileError("no column of dates found", _NOT_A_TABLE, found=lines[0][:60])
    first = int(np.argmax(is_data))
    names = _header(table.iloc[:first], table.iloc[first:], int(date_at or 0))
    body = table.iloc[first:]
    return Grid(
        names=names or tuple(ColumnName("") for _ in table.columns),
        cells=body.reset_index(drop=True),
        lines=body.index.to_numpy(dtype=np.int64) + 1,
        date_at=date_at,
        has_header=bool(names),
    )


def _decode(data: bytes, encoding: str | None) -> str:
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    encoding = encoding or ("utf-16" if wide else "utf-8-sig")
    try:
        text = data.decode(encoding)
    except (UnicodeDecodeError, LookupError):
        text = data.decode("cp1252", errors="replace")
    if text.count("\0") > len(text) // 100:
        raise PriceFileError(
            "the file is not text", "Save it as CSV or Parquet, or remove it from the folder."
        )
    return text.replace("\0", "").replace("\r\n", "\n").replace("\r", "\n")


def _sniff(sample: list[str]) -> str:
    """Choose the delimiter under which most lines have the same number of cells and one that is a date."""

    def score(delimiter: str) -> tuple[float, int]:
        lines, mark = _marked(sample, delimiter)
        rows = [
            [cell.strip() for cell in row] for row in csv.reader(lines, delimiter=mark, skipinitialspace=True)
        ]
        width = Counter(len(row) for row in rows).most_common(1)[0][0]
        good = sum(len(row) == width and bool(is_date_like(row).any()) for row in rows)
        return (round(good / len(rows), 2) if width > 1 else 0.0, width)

    best = max((*_DELIMITERS, _SPACES), key=score)
    return best if score(best)[0] > 0 else ","


def _marked(lines: list[str], delimiter: str) -> tuple[list[str], str]:
    """Put tabs in place of runs of spaces where these separate columns."""
    if delimiter != _SPACES:
        return lines, delimiter
    return [re.sub(r"\s+", "\t", line.strip()) for line in lines], "\t"


def _split(lines: list[str], delimiter: str) -> pd.DataFrame:
    """Cut lines into a frame of texts; the index is the line's position."""
    lines, delimiter = _marked(lines, delimiter)
    width = max(line.count(delimiter) for line in lines) + 1
    try:
        table = pd.read_csv(
            io.StringIO("\n".join(lines)),
            sep=delimiter,
            header=None,
            names=list(range(width)),
            index_col=False,
            dtype=str,
            na_filter=False,
            skip_blank_lines=False,
            skipinitialspace=True,
            engine="c" if len(delimiter) == 1 else "python",
        )
    except (pd.errors.ParserError, ValueError) as error:
        raise PriceFileError(
            f"the file cannot be cut into columns ({error})",
            "Check for an unpaired quotation mark, or give LayoutHint(delimiter=...) for it.",
        ) from error
    table = pd.DataFrame({at: table[at].fillna("").str.strip() for at in range(width)})
    filled = np.flatnonzero((table != "").any(axis=0).to_numpy())
    return table.iloc[:, : int(filled[-1]) + 1 if filled.size else 1]


def _date_column(table: pd.DataFrame, hint: LayoutHint) -> int | None:
    """Find the column of dates: by content, and by name where integers could be dates too."""
    named = dict(hint.columns).get("date")
    if isinstance(named, int):
        return named
    head, body = table.iloc[:20], table.iloc[: 2 * _SAMPLE]
    scores = {}
    for at in table.columns:
        by_text, by_any = is_date_like(body[at], text_only=True).mean(), is_date_like(body[at]).mean()
        role = next((role for cell in head[at] if (role := role_of(cell)) and role.name == "date"), None)
        wanted = named is not None and (head[at] == named).any()
        if hint.date_format is not None and (wanted or role):
            by_any = 1.0
        bonus = 2.0 * wanted + (0.5 - role.rank / 1000 if role else 0.0)
        scores[at] = (0.5 * by_any + by_text + bonus) if by_any > 0.2 or (role and by_any > 0) else 0.0
    best = max(scores, key=lambda at: scores[at])
    return int(best) if scores[best] > 0 else None


def _header(head: pd.DataFrame, body: pd.DataFrame, date_at: int) -> tuple[ColumnName, ...] | None:
    """Find the line of names (and of tickers, where there are two levels) above the data; a banner is
    neither."""
    head = head.tail(_HEAD)
    width = int((body.head(_SAMPLE) != "").sum(axis=1).median())
    known = head.map(role_of).notna().sum(axis=1)
    filled = (head != "").sum(axis=1)
    likely = head.index[(known >= 2) | (filled >= max(2, (width + 1) // 2))]
    if likely.empty:
        return None
    at = max(likely, key=lambda line: (known[line], filled[line], line))
    fields = head.loc[at]
    others = [column for column in range(head.shape[1]) if column != date_at]
    shape = fields[others] != ""
    tickers = pd.Series("", index=fields.index)
    for line in head.index.drop(at):
        if (head.loc[line, others] != "").equals(shape) and not is_missing(head.loc[line, others]).all():
            tickers = head.loc[line].where(np.arange(head.shape[1]) != date_at, "")
    over_dates = role_of(fields[date_at])
    surplus = fields.iloc[-1] == "" and (body[head.columns[-1]] != "").mean() > 0.9
    if surplus and over_dates is not None and over_dates.name != "date":
        # R leaves the row names without a name: all names shift by one.
        fields = fields.shift(1, fill_value="")
    return tuple(ColumnName(name, symbol or None) for name, symbol in zip(fields, tickers, strict=True))
