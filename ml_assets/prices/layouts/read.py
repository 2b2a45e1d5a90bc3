"""One file in, rows per symbol out."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ml_assets.prices.errors import DOWNLOAD_AGAIN, PriceFileError
from ml_assets.prices.layouts.archives import members
from ml_assets.prices.layouts.files import NOT_READ
from ml_assets.prices.layouts.grid import Grid, grid_of_frame
from ml_assets.prices.layouts.hint import LayoutHint
from ml_assets.prices.layouts.shapes import ParsedFile, parse_grid
from ml_assets.prices.layouts.text import grid_of_text

__all__ = ["grid_of_bytes", "read_members", "read_price_file"]

T = TypeVar("T")


def read_price_file(path: Path, *, name: str | None = None, hint: LayoutHint | None = None) -> ParsedFile:
    """Read a file of prices in any layout.

    Parameters
    ----------
    path : Path
        CSV, TXT, gz, bz2, xz, zip, tar or Parquet.
    name : str, optional
        How to call the file in messages; the file's own name by default.
    hint : LayoutHint, optional
        What is known about it.

    Returns
    -------
    ParsedFile
        Tables of rows, and the errors of what could not be read. Nothing is raised for bad content.
    """
    parts, errors = read_members(path, name or path.name, hint or LayoutHint(), parse_grid)
    return ParsedFile(
        [table for part in parts for table in part.tables],
        [*errors, *(error for part in parts for error in part.errors)],
    )


def read_members(
    path: Path, name: str, hint: LayoutHint, parse: Callable[[Grid, str, LayoutHint], T]
) -> tuple[list[T], list[PriceFileError]]:
    """Read a file, or each member of an archive, as a grid and parse it.

    Parameters
    ----------
    path : Path
        The file.
    name : str
        How to call it in messages.
    hint : LayoutHint
        What is known about it.
    parse : callable
        Makes something of a grid, its name and the hint.

    Returns
    -------
    list, list of PriceFileError
        What was parsed, and the errors of what could not be read.
    """
    found, errors = [], []
    try:
        if path.suffix.lower() in NOT_READ:
            what = f"files of type {path.suffix} are not read"
            raise PriceFileError(what, "Save it as CSV or Parquet.")  # noqa: TRY301
        for member, data in members(path, name):
            try:
                found.append(parse(grid_of_bytes(data, hint), member, hint))
            except PriceFileError as error:
                errors.append(error.at(file=member))
    except PriceFileError as error:
        errors.append(error.at(file=name))
    except OSError as error:
        what = f"the file cannot be opened ({error.strerror or error})"
        errors.append(PriceFileError(what, "Check its permissions.", file=name))
    if not found and not errors:
        errors.append(PriceFileError("the archive is empty", "Remove it.", file=name))
    return found, errors


def grid_of_bytes(data: bytes, hint: LayoutHint) -> Grid:
    """Read the uncompressed content of a file, text or Parquet, as a grid.

    Raises
    ------
    PriceFileError
        If it is damaged, empty or no table.
    """
    if not data.startswith(b"PAR1"):
        return grid_of_text(data, hint)
    try:
        frame = pq.read_table(io.BytesIO(data)).to_pandas()
    except (pa.ArrowException, ValueError, OSError) as error:
        raise PriceFileError(f"the Parquet file is damaged ({error})", DOWNLOAD_AGAIN) from error
    if not isinstance(frame, pd.DataFrame) or frame.empty:
        raise PriceFileError("the file has a header but no rows", DOWNLOAD_AGAIN)
    return grid_of_frame(frame)
