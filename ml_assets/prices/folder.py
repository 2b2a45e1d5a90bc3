"""A folder of the user's own files, in whatever layouts they are."""

from __future__ import annotations

import datetime as dt
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

from ml_assets.prices.cleaning import CleaningRules
from ml_assets.prices.errors import PriceSourceError, Problem
from ml_assets.prices.layouts.files import data_files
from ml_assets.prices.layouts.hint import LayoutHint
from ml_assets.prices.layouts.read import read_price_file
from ml_assets.prices.layouts.shapes import ParsedFile
from ml_assets.prices.raw import RawPrices
from ml_assets.prices.table_source import Claims, TableSource

__all__ = ["folder_source"]

_CACHED_ROWS = 20_000_000

Key = tuple[str, int, int, str, LayoutHint]
_CACHE: OrderedDict[Key, ParsedFile] = OrderedDict()


def folder_source(
    path: Path,
    *,
    hints: Sequence[LayoutHint] = (),
    rules: CleaningRules | None = None,
    today: dt.date | None = None,
) -> TableSource:
    """Open a folder (with its subfolders) or a single file.

    Each file is read once; it is read again only if its time or size changed. New files are noticed on the
    next question.

    Parameters
    ----------
    path : Path
        The folder.
    hints : sequence of LayoutHint
        What is known about some files. The folder's own ``layout_hints.json`` is consulted after these.
    rules, today : optional
        As for any source.

    Raises
    ------
    PriceSourceError
        If the path does not exist.
    """
    if not path.exists():
        raise PriceSourceError(f"the price folder {path} does not exist; create it or correct the setting")

    return TableSource(str(path), lambda: _read_folder(path, hints), rules, today)


def _read_folder(path: Path, hints: Sequence[LayoutHint]) -> tuple[Claims, list[Problem]]:
    claims: dict[str, list[RawPrices]] = {}
    problems: list[Problem] = []
    for file, name, hint in data_files(path, hints):
        parsed = _parse(file, name, hint)
        problems += [Problem.from_error(error) for error in parsed.errors]
        for table in parsed.tables:
            claims.setdefault(table.symbol, []).append(table)
    return claims, problems


def _size(parsed: ParsedFile) -> int:
    return sum(len(table.rows) for table in parsed.tables)


def _parse(file: Path, name: str, hint: LayoutHint) -> ParsedFile:
    """Read a file, or recall it if it did not change."""
    try:
        state = file.stat()
    except OSError:
        return read_price_file(file, name=name, hint=hint)  # says why it cannot be opened
    key = (str(file.resolve()), state.st_mtime_ns, state.st_size, name, hint)
    parsed = _CACHE.pop(key, None) or read_price_file(file, name=name, hint=hint)
    _CACHE[key] = parsed
    while len(_CACHE) > 1 and sum(map(_size, _CACHE.values())) > _CACHED_ROWS:
        _CACHE.popitem(last=False)
    return parsed
