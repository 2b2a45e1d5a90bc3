"""A file as a grid of named columns, before anything is known about symbols."""

from __future__ import annotations

import ast
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml_assets.prices.errors import PriceFileError
from ml_assets.prices.layouts.hint import LayoutHint
from ml_assets.prices.layouts.names import plain, role_of

__all__ = ["ColumnName", "Grid", "grid_of_frame", "hinted_columns"]


@dataclass(frozen=True)
class ColumnName:
    """A column's name, and the symbol that a second header level gives it."""

    field: str
    symbol: str | None = None


@dataclass(frozen=True)
class Grid:
    """Columns of one file.

    Parameters
    ----------
    names : tuple of ColumnName
        One for each column; empty fields where the file has no header.
    cells : pandas.DataFrame
        Columns 0, 1, ...; texts, or typed values from Parquet and data frames.
    lines : ndarray of int, shape (n,)
        The line of each row in the file, from 1.
    date_at : int or None
        Position of the dates where the content tells it.
    has_header : bool
        Whether the names come from the file.
    """

    names: tuple[ColumnName, ...]
    cells: pd.DataFrame
    lines: npt.NDArray[np.int64]
    date_at: int | None
    has_header: bool

    def error(self, what: str, remedy: str, row: int, at: int) -> PriceFileError:
        """Describe a fault with the place of its cell, given by the positions of row and column."""
        return PriceFileError(
            what,
            remedy,
            row=int(self.lines[row]),
            column=self.names[at].field or f"column {at + 1}",
            found=str(self.cells[at].iloc[row]),
        )


def hinted_columns(grid: Grid, hint: LayoutHint, roles: Collection[str]) -> dict[str, int]:
    """Find the columns that a hint names, out of the known roles.

    Raises
    ------
    PriceFileError
        If the hint names a role or a column that does not exist.
    """
    found = {}
    for role, name in hint.columns:
        if role not in roles:
            raise PriceFileError(
                f"the hint names an unknown role {role!r}", f"Use one of {', '.join(roles)}."
            )
        places = [at for at, column in enumerate(grid.names) if name in (at, column.field)]
        if isinstance(name, str):
            places += [at for at, column in enumerate(grid.names) if plain(column.field) == plain(name)]
        if not places:
            what = f"the hint's column {name!r} is not in the file"
            raise PriceFileError(what, "Correct the hint's columns.", column=str(name))
        found[role] = places[0]
    return found


def grid_of_frame(frame: pd.DataFrame) -> Grid:
    """Make a grid of a data frame, as read from Parquet or as yfinance returns it.

    Parameters
    ----------
    frame : pandas.DataFrame
        Dates in the index or in a column; columns plain, in two levels (field and ticker in either order), or
        such levels written as text (``"('Close', 'AAPL')"``).
    """
    labels: list[object] = list(frame.columns)
    frame = frame.set_axis(range(frame.shape[1]), axis=1)
    if not (isinstance(frame.index, pd.RangeIndex) and frame.index.name is None):
        names = [name or (f"index {at}" if at else "date") for at, name in enumerate(frame.index.names)]
        frame = pd.concat([frame.index.to_frame(index=False), frame.reset_index(drop=True)], axis=1)
        frame, labels = frame.set_axis(range(frame.shape[1]), axis=1), [*names, *labels]
    cells = pd.DataFrame({at: _cells(frame[at]) for at in frame.columns}, index=range(len(frame)))
    stamped = [at for at in range(frame.shape[1]) if cells[at].dtype.kind == "M"]
    return Grid(
        names=_level_names([_label(label) for label in labels]),
        cells=cells,
        lines=np.arange(1, len(frame) + 1, dtype=np.int64),
        date_at=stamped[0] if len(stamped) == 1 else None,
        has_header=True,
    )


def _label(label: object) -> tuple[str, ...]:
    if isinstance(label, str) and label.startswith("(") and label.endswith(")"):
        try:
            label = ast.literal_eval(label)
        except (ValueError, SyntaxError):
            return (str(label),)
    return tuple(str(part) for part in label if str(part)) if isinstance(label, tuple) else (str(label),)


def _level_names(labels: list[tuple[str, ...]]) -> tuple[ColumnName, ...]:
    """Tell which level is the field: the one whose words are roles."""
    deep = [label for label in labels if len(label) == 2]
    votes = [sum(role_of(label[level]) is not None for label in deep) for level in (0, 1)]
    field = 0 if votes[0] >= votes[1] else 1
    return tuple(
        ColumnName(label[field], label[1 - field]) if len(label) == 2 else ColumnName(" ".join(label))
        for label in labels
    )


def _cells(column: pd.Series) -> pd.Series:
    """Keep numbers and datetimes; turn everything else (dates, decimals, texts) into text."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(column.cat.categories.dtype)
    if column.dtype.kind in "iufM":
        return column.reset_index(drop=True)
    return column.astype("str").where(column.notna(), "").astype("str").reset_index(drop=True)
