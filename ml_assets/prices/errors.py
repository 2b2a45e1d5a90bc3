"""What can go wrong with prices: one error that names the place, and the record of what was refused."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, Self

__all__ = ["DOWNLOAD_AGAIN", "PriceFileError", "PriceSourceError", "Problem", "ProblemKind"]

DOWNLOAD_AGAIN = "Download it again, or remove it from the folder."
"""The remedy for a file that is damaged or empty."""

ProblemKind = Literal["refused", "conflict", "superseded", "duplicate"]
"""What became of a file's rows for a symbol.

``refused``
    The file or the symbol cannot be used.
``conflict``
    Another file gives the symbol with other values; this file is not used.
``superseded``
    Another file gives the same prices more completely (for instance with an adjusted close); this file is not
    used.
``duplicate``
    Another file gives the same rows; nothing is lost.
"""


class PriceSourceError(ValueError):
    """A source cannot be opened, or does not have the symbol asked for."""


class PriceFileError(ValueError):
    """Prices that cannot be used, with the place and the remedy.

    Parameters
    ----------
    what : str
        What is wrong, as a phrase.
    remedy : str
        What the user can do, as a sentence.
    file, row, column, found, symbol : optional
        The place: the file's name, the line in it (from 1; in Parquet the position of the row), the column as
        the file calls it, the text or value found there, and the symbol.

    Examples
    --------
    >>> str(PriceFileError("no number", "Correct it.", file="A.csv", row=7, column="Close", found="12x"))
    "A.csv, row 7, column 'Close': no number (found '12x'). Correct it."
    """

    def __init__(
        self,
        what: str,
        remedy: str,
        *,
        file: str | None = None,
        row: int | None = None,
        column: str | None = None,
        found: str | None = None,
        symbol: str | None = None,
    ) -> None:
        self.what, self.remedy = what, remedy
        self.file, self.row, self.column, self.found, self.symbol = file, row, column, found, symbol
        super().__init__(self._message())

    def _message(self) -> str:
        place = [self.file or "", f"symbol {self.symbol}" if self.symbol else ""]
        place += [f"row {self.row}" if self.row is not None else ""]
        place += [f"column {self.column!r}" if self.column is not None else ""]
        where = ", ".join(part for part in place if part)
        found = f" (found {self.found!r})" if self.found is not None else ""
        prefix = f"{where}: " if where else ""
        return f"{prefix}{self.what}{found}. {self.remedy}"

    @property
    def place(self) -> dict[str, Any]:
        """The place, as keyword arguments."""
        return {name: getattr(self, name) for name in ("file", "row", "column", "found", "symbol")}

    def at(self, **place: Any) -> PriceFileError:
        """Return the same error with the given parts of its place filled in where they are unknown."""
        known = {name: value for name, value in self.place.items() if value is not None}
        return PriceFileError(self.what, self.remedy, **(place | known))

    def __reduce__(self) -> tuple[Any, ...]:
        # Exceptions with keyword arguments do not survive a process pool without this.
        return partial(PriceFileError, **self.place), (self.what, self.remedy)


@dataclass(frozen=True)
class Problem:
    """A file or a symbol that was not used, and why.

    Parameters
    ----------
    kind : {'refused', 'conflict', 'superseded', 'duplicate'}
        See :data:`ProblemKind`. Only the first two call for action.
    message : str
        What happened and what to do.
    symbol, file, row, column, found, remedy : optional
        The place, as in :class:`PriceFileError`.
    error : PriceFileError, optional
        The refusal itself.
    """

    kind: ProblemKind
    message: str
    symbol: str | None = None
    file: str | None = None
    row: int | None = None
    column: str | None = None
    found: str | None = None
    remedy: str | None = None
    error: PriceFileError | None = field(default=None, compare=False)

    @classmethod
    def from_error(cls, error: PriceFileError) -> Self:
        """Record a refusal."""
        return cls("refused", str(error), remedy=error.remedy, error=error, **error.place)
