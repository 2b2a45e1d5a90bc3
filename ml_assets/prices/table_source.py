"""Where prices come from: one small protocol, and the source over tables that all others build on."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn, Protocol, runtime_checkable

from ml_assets.prices.claims import Settled, settle
from ml_assets.prices.cleaning import CleaningRules, latest_day
from ml_assets.prices.errors import PriceSourceError, Problem
from ml_assets.prices.history import PriceHistory
from ml_assets.prices.layouts.filenames import symbol_of_file
from ml_assets.prices.raw import RawPrices
from ml_assets.storage.symbols import normalize_symbol

__all__ = ["Claims", "PriceSource", "TableSource"]

_LOG = logging.getLogger(__name__)

Claims = Mapping[str, Sequence[RawPrices]]


@runtime_checkable
class PriceSource(Protocol):
    """A set of symbols with their prices. One bad symbol never stops the others."""

    def symbols(self) -> list[str]:
        """Return the symbols whose prices can be used, sorted."""
        ...

    def load(self, symbol: str) -> PriceHistory:
        """Return one symbol's clean prices.

        Raises
        ------
        PriceFileError
            If its prices are refused.
        PriceSourceError
            If the source does not have the symbol.
        """
        ...

    def problems(self) -> list[Problem]:
        """Return the files and symbols that are not used, and why."""
        ...


class TableSource:
    """A source over rows that are at hand; each symbol is cleaned when it is asked for, and once.

    Parameters
    ----------
    name : str
        For messages.
    tables : callable
        Returns for each symbol the rows of every file that gives it, and the problems of reading. It is
        called on every question, so that a source can notice new files; rows that are the same objects are
        not cleaned again.
    rules : CleaningRules, optional
        How to clean.
    today : datetime.date, optional
        Later rows are in the future.
    """

    def __init__(
        self,
        name: str,
        tables: Callable[[], tuple[Claims, Sequence[Problem]]],
        rules: CleaningRules | None = None,
        today: dt.date | None = None,
    ) -> None:
        self._name, self._tables = name, tables
        self._rules, self._today = rules or CleaningRules(), today
        self._settled: dict[str, tuple[tuple[RawPrices, ...], dt.date, Settled]] = {}

    def __repr__(self) -> str:
        return f"TableSource({self._name!r})"

    def symbols(self) -> list[str]:
        """Return the symbols whose prices can be used, sorted."""
        claims, _ = self._tables()
        return sorted(symbol for symbol in claims if self._settle(symbol, claims[symbol]).history is not None)

    def load(self, symbol: str) -> PriceHistory:
        """Return one symbol's clean prices."""
        claims, problems = self._tables()
        wanted = normalize_symbol(symbol)
        if wanted not in claims:
            for problem in problems:
                if _concerns(problem, wanted):
                    _raise(problem)
            known = ", ".join(sorted(claims)[:10]) + (", ..." if len(claims) > 10 else "")
            raise PriceSourceError(
                f"{self._name} has no prices of {wanted}; it has {known or 'no symbols at all'}"
            )
        settled = self._settle(wanted, claims[wanted])
        if settled.history is None:
            _raise(settled.problems[-1])
        return settled.history

    def problems(self) -> list[Problem]:
        """Return the files and symbols that are not used, and why."""
        claims, found = self._tables()
        settled = [
            problem for symbol in sorted(claims) for problem in self._settle(symbol, claims[symbol]).problems
        ]
        return [*found, *settled]

    def _settle(self, symbol: str, claims: Sequence[RawPrices]) -> Settled:
        today, known = latest_day(self._today), self._settled.get(symbol)
        if known is not None and known[1] == today and _identical(known[0], claims):
            return known[2]
        settled = settle(claims, self._rules, today)
        self._settled[symbol] = (tuple(claims), today, settled)
        if settled.history is not None:
            _LOG.debug("%s: %s", symbol, settled.history.report.summary())
        return settled


def _concerns(problem: Problem, symbol: str) -> bool:
    """Tell whether a refusal explains why a symbol is missing: it names it, or its file's name does."""
    return symbol == (problem.symbol or (symbol_of_file(problem.file) if problem.file else None))


def _identical(known: Sequence[RawPrices], claims: Sequence[RawPrices]) -> bool:
    return len(known) == len(claims) and all(one is other for one, other in zip(known, claims, strict=True))


def _raise(refusal: Problem) -> NoReturn:
    assert refusal.error is not None  # symbols without prices were refused
    raise refusal.error.at()  # a copy: an exception that is raised again and again grows its traceback
