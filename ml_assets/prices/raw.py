"""Rows as a source gave them: parsed, not yet judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd

__all__ = ["FIELDS", "PRICE_FIELDS", "RawPrices"]

PRICE_FIELDS = ("open", "high", "low", "close", "adj_close", "adj_open", "adj_high", "adj_low")
"""Columns that hold prices."""

FIELDS = (*PRICE_FIELDS, "volume", "adj_volume")
"""Every column that a source may give."""


@dataclass(frozen=True)
class RawPrices:
    """The rows that one file holds for one symbol.

    Parameters
    ----------
    symbol : str
        Normalized symbol.
    file : str
        Name of the file, relative to the folder that was opened; a member of an archive as
        ``archive.zip/name``.
    rows : pandas.DataFrame
        In file order: ``row`` (int64, line in the file), ``date`` (datetime64[ns], never missing) and float64
        columns out of :data:`FIELDS`. NaN is missing; zeros, negative and infinite values stand as they were
        written.
    set_aside : mapping of str to tuple of int
        Lines after the header that hold no prices (a second header, a footer), by reason.
    notes : tuple of str
        How the file was read.
    names : mapping of str to str
        The file's own name of each column, for messages.
    """

    symbol: str
    file: str
    rows: pd.DataFrame
    set_aside: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)

    def name_of(self, column: str) -> str:
        """Return the file's own name of a column."""
        return self.names.get(column, column)
