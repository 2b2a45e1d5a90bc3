"""American options by QuantLib: the independent reference of the gates, the report and the benchmark.

QuantLib is imported when the first reference is made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from ml_assets.pinn.quotes import Quotes

__all__ = ["DAYS_PER_YEAR", "QuantLibReference", "ReferenceMissingError"]

Array = npt.NDArray[np.float64]

DAYS_PER_YEAR = 365
"""QuantLib counts whole days; expiries are days over this (Actual/365 Fixed)."""


class ReferenceMissingError(RuntimeError):
    """QuantLib is not installed."""


def _quantlib() -> Any:
    try:
        import QuantLib
    except ImportError as error:
        raise ReferenceMissingError(
            f"QuantLib cannot be imported ({error}), so nothing judges American prices: install it with "
            f"`pip install QuantLib`, or build the environment anew with `make setup`"
        ) from error
    return QuantLib


def _high_precision(ql: Any, process: Any) -> Any:
    return ql.QdFpAmericanEngine(process, ql.QdFpAmericanEngine.highPrecisionScheme())


class QuantLibReference:
    """Prices options one by one with one QuantLib engine.

    Parameters
    ----------
    engine : callable, optional
        ``(QuantLib, process) -> engine``; default: QdFp (Andersen, Lake and Offengenden 2016) in its high
        precision scheme, whose error is near 1e-10.

    Raises
    ------
    ReferenceMissingError
        If QuantLib cannot be imported; says what to do.
    """

    def __init__(self, engine: Callable[[Any, Any], Any] = _high_precision) -> None:
        ql = self._ql = _quantlib()
        self._today = ql.Date(1, 1, 2020)
        days = ql.Actual365Fixed()
        self._quotes = [ql.SimpleQuote(value) for value in (1.0, 0.05, 0.0, 0.2)]
        spot, rate, dividend, sigma = (ql.QuoteHandle(quote) for quote in self._quotes)
        curves = [
            ql.YieldTermStructureHandle(ql.FlatForward(self._today, handle, days))
            for handle in (dividend, rate)
        ]
        surface = ql.BlackVolTermStructureHandle(
            ql.BlackConstantVol(self._today, ql.NullCalendar(), sigma, days)
        )
        self._engine = engine(ql, ql.BlackScholesMertonProcess(spot, *curves, surface))

    @contextmanager
    def _date(self) -> Iterator[None]:
        """QuantLib's evaluation date is global: set it for this call, and give it back."""
        settings = self._ql.Settings.instance()
        before = settings.evaluationDate
        settings.evaluationDate = self._today
        try:
            yield
        finally:
            settings.evaluationDate = before

    def price(self, quotes: Quotes) -> Array:
        """Prices of American options, shape (n,).

        Raises
        ------
        ValueError
            If an expiry is not a whole number of days.
        """
        return self.ask(quotes, lambda option: option.NPV())

    def ask(self, quotes: Quotes, question: Callable[[Any], float]) -> Array:
        """What each priced QuantLib option answers, shape (n,): see :meth:`price`."""
        ql = self._ql
        days = np.rint(quotes.tau * DAYS_PER_YEAR)
        if np.abs(days - quotes.tau * DAYS_PER_YEAR).max(initial=0.0) > 1e-6 or days.min(initial=1.0) < 1.0:
            raise ValueError("QuantLib counts whole days: pass expiries of at least 1 / 365")
        kinds = np.where(quotes.is_call, ql.Option.Call, ql.Option.Put)
        columns = (quotes.S, quotes.r, quotes.q, quotes.sigma)
        found = np.empty(len(quotes))
        with self._date():
            for i, strike in enumerate(quotes.K.tolist()):
                for quote, column in zip(self._quotes, columns, strict=True):
                    quote.setValue(float(column[i]))
                exercise = ql.AmericanExercise(self._today, self._today + int(days[i]))
                option = ql.VanillaOption(ql.PlainVanillaPayoff(int(kinds[i]), strike), exercise)
                option.setPricingEngine(self._engine)
                found[i] = question(option)
        return found
