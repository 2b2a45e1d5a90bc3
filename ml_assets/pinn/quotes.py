"""Option inputs: checked once, broadcast once, with the two reduced variables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

__all__ = [
    "BINOMIAL",
    "CLOSED_FORM",
    "GREEKS",
    "NETWORK",
    "OPTION_TYPES",
    "SOURCES",
    "QuoteError",
    "Quotes",
    "check_option_type",
    "make_quotes",
]

Array = npt.NDArray[np.float64]
Number = float | int | Sequence[float] | npt.NDArray[np.floating] | npt.NDArray[np.integer]
OptionType = str | Sequence[str] | npt.NDArray[np.str_]

OPTION_TYPES = ("call", "put")
GREEKS = ("price", "delta", "gamma", "vega", "theta", "rho")
"""Keys of a valuation, in order. Units: price in currency; delta per unit of S; gamma per unit of S
squared; vega per 1.00 of sigma (divide by 100 for a point); theta per year of calendar time (divide by
365 for a day); rho per 1.00 of r.
"""

SOURCES = ("closed_form", "network", "binomial")
"""Names of the methods that a valuation may come from, by their code."""
CLOSED_FORM, NETWORK, BINOMIAL = range(3)

# Rows of the checked columns, positive ones first, then those that may be zero.
_ROWS = (
    ("S", " above 0"),
    ("K", " above 0"),
    ("tau", " of at least 0"),
    ("sigma", " of at least 0"),
    ("r", ""),
    ("q", ""),
)

# |r| * tau beyond this makes discount factors meaningless; nearly always a rate in per cent or a time in
# days.
_MAX_EXPONENT = 50.0


class QuoteError(ValueError):
    """An option input that no price can be computed from."""


@dataclass(frozen=True, eq=False)
class Quotes:
    """Options as arrays of one length.

    Parameters
    ----------
    S, K : ndarray of shape (n,)
        Spot and strike, in currency, positive.
    tau : ndarray of shape (n,)
        Years to expiry, at least 0.
    r, sigma, q : ndarray of shape (n,)
        Interest rate, volatility (at least 0) and dividend yield per year, continuously compounded, as
        decimals.
    is_call : ndarray of bool, shape (n,)
    shape : tuple of int
        Shape of the caller's broadcast inputs; ``()`` for a single option.
    """

    S: Array
    K: Array
    tau: Array
    r: Array
    sigma: Array
    q: Array
    is_call: npt.NDArray[np.bool_]
    shape: tuple[int, ...]

    def __len__(self) -> int:
        return int(self.S.size)

    @cached_property
    def x(self) -> Array:
        """Log of forward over strike, shape (n,)."""
        x: Array = np.log(self.S / self.K) + (self.r - self.q) * self.tau
        return x

    @cached_property
    def s(self) -> Array:
        """Total volatility ``sigma * sqrt(tau)``, shape (n,)."""
        s: Array = self.sigma * np.sqrt(self.tau)
        return s

    def take(self, where: npt.NDArray[np.bool_] | npt.NDArray[np.intp] | slice) -> Quotes:
        """The options at which ``where`` is true, or at these positions."""
        S, K, tau, r, sigma, q = (
            column[where] for column in (self.S, self.K, self.tau, self.r, self.sigma, self.q)
        )
        return Quotes(S, K, tau, r, sigma, q, self.is_call[where], S.shape)


def check_option_type(option_type: object) -> str:
    """Return the type if it is ``'call'`` or ``'put'``; raise :class:`QuoteError` otherwise."""
    if isinstance(option_type, str) and option_type in OPTION_TYPES:
        return str(option_type)
    raise QuoteError(f"option_type is {option_type!r}: pass 'call' or 'put'")


def _check(columns: Array) -> None:
    """Refuse NaN, infinity and wrong signs, naming the first offender. Rows in the order of ``_ROWS``."""
    valid = np.isfinite(columns)
    valid[:2] &= columns[:2] > 0.0
    valid[2:4] &= columns[2:4] >= 0.0
    if valid.all():
        return
    row, at = (int(i) for i in np.argwhere(~valid)[0])
    name, rule = _ROWS[row]
    where = f"{name}[{at}]" if columns.shape[1] > 1 else name
    raise QuoteError(
        f"{where} is {columns[row, at]}: {name} must be a finite number{rule}; correct or drop this option"
    )


def _column(name: str, value: Number) -> Array:
    """One input as a float array."""
    try:
        return np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise QuoteError(f"{name} is {value!r}: pass a number or an array of numbers") from error


def _is_call(option_type: OptionType) -> npt.NDArray[np.bool_]:
    """Option types as booleans, any shape."""
    if isinstance(option_type, str):
        return np.asarray(check_option_type(option_type) == "call")
    types = np.asarray(option_type)
    calls = types == "call"
    unknown = ~(calls | (types == "put"))
    if unknown.any():
        check_option_type(types[unknown].flat[0])
    return np.asarray(calls)


def make_quotes(
    S: Number,
    K: Number,
    tau: Number,
    r: Number,
    sigma: Number,
    q: Number = 0.0,
    option_type: OptionType = "call",
) -> Quotes:
    """Check and broadcast option inputs.

    Parameters
    ----------
    S, K, tau, r, sigma, q : float or array-like
        See :class:`Quotes`; they broadcast against each other.
    option_type : str or array-like of str
        ``'call'`` or ``'put'``.

    Returns
    -------
    Quotes

    Raises
    ------
    QuoteError
        For NaN, infinity, a price of zero or less, a negative time or volatility, an unknown type, shapes
        that do not broadcast, or a rate and time so large that one of them is in the wrong unit.
    """
    inputs = {"S": S, "K": K, "tau": tau, "sigma": sigma, "r": r, "q": q}
    given = [_column(name, value) for name, value in inputs.items()]
    calls = _is_call(option_type)
    try:
        shape = np.broadcast_shapes(*(column.shape for column in given), calls.shape)
    except ValueError as error:
        shapes = ", ".join(f"{name} {column.shape}" for name, column in zip(inputs, given, strict=True))
        raise QuoteError(f"shapes do not broadcast: {shapes}, option_type {calls.shape}") from error
    columns = np.empty((6, *shape))
    for row, column in enumerate(given):
        columns[row, ...] = column
    columns = columns.reshape(6, -1)
    is_call = np.empty(shape, dtype=np.bool_)
    is_call[...] = calls
    _check(columns)
    spot, strike, time, volatility, rate, dividend = columns
    quotes = Quotes(spot, strike, time, rate, volatility, dividend, is_call.reshape(-1), shape)
    _check_units(quotes)
    return quotes


def _check_units(quotes: Quotes) -> None:
    """Refuse rates in per cent with times in days and the like."""
    exponent = (np.abs(quotes.r) + np.abs(quotes.q)) * quotes.tau
    if quotes.S.size and exponent.max() > _MAX_EXPONENT:
        at = int(np.argmax(exponent))
        raise QuoteError(
            f"r = {quotes.r[at]}, q = {quotes.q[at]} over tau = {quotes.tau[at]} discounts by more than "
            f"exp({_MAX_EXPONENT:.0f}): rates are decimals per year (5 % is 0.05), tau is in years"
        )
