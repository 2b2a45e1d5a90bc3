"""A folder of the user's own files, in whatever layouts they are."""

from __future__ import annotations

import datetime as dt
import logging
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

from ml_assets.prices.cleaning import CleaningRules
from ml_assets.prices.errors import PriceFileError, PriceSourceError, Problem
from ml_assets.prices.layouts import (
    NOT_READ,
    LayoutHint,
    ParsedFile,
    data_files,
    hint_for,
    read_hints,
    read_price_file,
)
from ml_assets.prices.raw import RawPrices
from ml_assets.prices.table_source import Claims, TableSource

__all__ = ["folder_source"]

_LOG = logging.getLogger(__name__)

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

    def tables() -> tuple[Claims, Sequence[Problem]]:
        return _read_folder(path, hints)

    return TableSource(str(path), tables, rules, today)


def _read_folder(path: Path, hints: Sequence[LayoutHint]) -> tuple[Claims, list[Problem]]:
    root = path if path.is_dir() else path.parent
    known = (*hints, *read_hints(root))
    claims: dict[str, list[RawPrices]] = {}
    problems: list[Problem] = []
    for file in data_files(path):
        name = file.relative_to(root).as_posix()
        if file.suffix.lower() in NOT_READ:
            what = f"files of type {file.suffix} are not read"
            problems.append(Problem.from_error(PriceFileError(what, "Save it as CSV or Parquet.", file=name)))
            continue
        parsed = _parse(file, name, hint_for(name, known))
        problems += [Problem.from_error(error) for error in parsed.errors]
        for table in parsed.tables:
            claims.setdefault(table.symbol, []).append(table)
    return claims, problems


def _parse(file: Path, name: str, hint: LayoutHint) -> ParsedFile:
    """Read a file, or recall it if it did not change."""
    try:
        state = file.stat()
    except OSError as failure:
        what = f"the file cannot be opened ({failure.strerror})"
        return ParsedFile(errors=[PriceFileError(what, "Check its permissions.", file=name)])
    key = (str(file.resolve()), state.st_mtime_ns, state.st_size, name, hint)
    if key in _CACHE:
        _CACHE.move_to_end(key)
        return _CACHE[key]
    parsed = read_price_file(file, name=name, hint=hint)
    _CACHE[key] = parsed
    while (
        len(_CACHE) > 1
        and sum(len(table.rows) for kept in _CACHE.values() for table in kept.tables) > _CACHED_ROWS
    ):
        _CACHE.popitem(last=False)
    return parsed
