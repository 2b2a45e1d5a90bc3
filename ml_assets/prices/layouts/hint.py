"""The one option of the folder source: what to say when a guess about a file is wrong."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ml_assets.prices.errors import PriceSourceError

__all__ = ["HINT_FILE", "LayoutHint", "read_hints"]

HINT_FILE = "layout_hints.json"
"""A folder may hold its hints in this file: a list of objects with the fields of :class:`LayoutHint`."""


@dataclass(frozen=True)
class LayoutHint:
    """What is known about some files; everything left out is found by looking at the file.

    Parameters
    ----------
    pattern : str
        Which files: a shell pattern for the name or for the path relative to the folder.
    date_format : str, optional
        As for :func:`time.strptime`, for instance ``'%d/%m/%Y'``.
    decimal : {'.', ','}, optional
        The decimal mark.
    delimiter : str, optional
        What separates columns.
    encoding : str, optional
        For instance ``'cp1250'``.
    symbol : str, optional
        The symbol of all rows of the file. It outranks what the file says.
    timezone : str, optional
        The exchange's zone, for instance ``'Asia/Tokyo'``: instants (epochs, stamps in UTC) are turned to its
        dates.
    columns : tuple of (str, str or int), optional
        Pairs of a role (``date``, ``symbol``, ``open``, ``high``, ``low``, ``close``, ``adj_close``,
        ``volume``) and the file's own name of the column or its position from 0. A mapping is accepted too.
    missing : tuple of str, optional
        Further texts that mean a missing value.

    Examples
    --------
    >>> LayoutHint("eu_*.csv", date_format="%d/%m/%Y", columns={"close": "Ultimo"}).columns
    (('close', 'Ultimo'),)
    """

    pattern: str = "*"
    date_format: str | None = None
    decimal: str | None = None
    delimiter: str | None = None
    encoding: str | None = None
    symbol: str | None = None
    timezone: str | None = None
    columns: Any = ()
    missing: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        pairs = self.columns.items() if isinstance(self.columns, Mapping) else self.columns
        object.__setattr__(self, "columns", tuple((str(role), name) for role, name in pairs))
        object.__setattr__(self, "missing", tuple(self.missing))
        if self.decimal not in (None, ".", ","):
            raise PriceSourceError(
                f"a layout hint's decimal is '.' or ',', not {self.decimal!r}; correct the hint"
            )


def read_hints(folder: Path) -> tuple[LayoutHint, ...]:
    """Read the folder's own hint file, if it has one.

    Raises
    ------
    PriceSourceError
        If the file is not a JSON list of hints, or a hint has an unknown field or one of the wrong type.
    """
    path = folder / HINT_FILE
    if not path.is_file():
        return ()
    try:
        content = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise PriceSourceError(f"{path} is no JSON ({error}); correct or remove it") from error
    if not isinstance(content, list) or not all(isinstance(item, dict) for item in content):
        raise PriceSourceError(
            f"{path} must hold a list of objects such as [{{'pattern': '*.txt', 'decimal': ','}}]"
        )
    known = LayoutHint.__dataclass_fields__
    for name in (name for item in content for name in item):
        if name not in known:
            raise PriceSourceError(f"a layout hint has no field {name!r}; its fields are {', '.join(known)}")
    try:
        return tuple(LayoutHint(**item) for item in content)
    except (TypeError, ValueError) as error:
        raise PriceSourceError(
            f"the layout hints {content!r} cannot be read ({error}); correct them"
        ) from error
