"""One file in, rows per symbol out."""

from __future__ import annotations

import io
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ml_assets.prices.errors import PriceFileError
from ml_assets.prices.layouts.archives import members
from ml_assets.prices.layouts.grid import Grid, grid_of_frame
from ml_assets.prices.layouts.hint import LayoutHint
from ml_assets.prices.layouts.shapes import ParsedFile, parse_grid
from ml_assets.prices.layouts.text import grid_of_text

__all__ = ["grid_of_bytes", "read_price_file"]


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
    hint, result = hint or LayoutHint(), ParsedFile()
    try:
        for member, data in members(path, name or path.name):
            try:
                part = parse_grid(grid_of_bytes(data, hint), member, hint)
            except PriceFileError as error:
                result.errors.append(error.at(file=member))
            else:
                result.tables += part.tables
                result.errors += [error.at(file=member) for error in part.errors]
    except PriceFileError as error:
        result.errors.append(error.at(file=name or path.name))
    except OSError as error:
        what = f"the file cannot be opened ({error.strerror or error})"
        result.errors.append(PriceFileError(what, "Check its permissions.", file=name or path.name))
    if not result.tables and not result.errors:
        result.errors.append(PriceFileError("the archive is empty", "Remove it.", file=name or path.name))
    return result


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
        raise PriceFileError(
            f"the Parquet file is damaged ({error})", "Download it again, or remove it."
        ) from error
    if not isinstance(frame, pd.DataFrame) or frame.empty:
        raise PriceFileError(
            "the file has a header but no rows", "Download it again, or remove it from the folder."
        )
    return grid_of_frame(frame)
