"""Implied volatility: the closed form inverted, for many options at once."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ml_assets.pinn.european.closed_form import value_closed_form
from ml_assets.pinn.quotes import Quotes

__all__ = ["forward_quotes", "implied_volatility"]

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

_LOW, _HIGH = 1e-6, 40.0
"""Bracket of the total volatility: at the upper end an option is worth its bound to the last digit."""
_STEPS = 100


def forward_quotes(
    forward: Floats, strike: Floats, tau: Floats, discount: Floats, sigma: Floats, call: Mask
) -> Quotes:
    """Describe options by forward and discount factor instead of spot, rate and dividend yield.

    Parameters
    ----------
    forward, strike, tau, discount, sigma : ndarray of shape (n,)
        ``tau`` in years, positive; ``sigma`` per year.
    call : ndarray of bool, shape (n,)

    Returns
    -------
    Quotes
        With the discounted forward as spot and no dividends: the same prices.
    """
    rate = -np.log(discount) / tau
    return Quotes(forward * discount, strike, tau, rate, sigma, np.zeros_like(tau), call, strike.shape)


def implied_volatility(
    price: Floats, forward: Floats, strike: Floats, tau: Floats, discount: Floats, call: Mask
) -> Floats:
    """Find the volatility at which the closed form gives the price.

    Parameters
    ----------
    price : ndarray of shape (n,)
        Currency.
    forward, strike, tau, discount : ndarray of shape (n,)
        All positive; ``tau`` in years.
    call : ndarray of bool, shape (n,)

    Returns
    -------
    ndarray of shape (n,)
        Per year, a decimal; NaN where none exists: at or below the discounted intrinsic value, at or above
        the upper bound, or for a price that is not finite.

    Notes
    -----
    Newton's method on the logarithm of the out-of-the-money price, which is nearly straight where the price
    itself is nearly flat (Jaeckel, *Let's be rational*, 2015, on why), from the point of inflection
    ``s = sqrt(2 |ln(F / K)|)`` (Manaster and Koehler 1982), inside a bracket that shrinks at every step: a
    step that leaves it is replaced by a bisection. An option in the money is turned by parity, so its digits
    are those that the price has above the intrinsic value.
    """
    lower = discount * np.where(call, forward - strike, strike - forward)
    small_is_call = forward <= strike
    small = np.where(call == small_is_call, price, price - lower)
    bound = discount * np.where(small_is_call, forward, strike)
    with np.errstate(invalid="ignore"):
        solvable = (small > 0.0) & (small < bound) & np.isfinite(price)
    result = np.full(price.shape, np.nan)
    if solvable.any():
        at = np.flatnonzero(solvable)
        s = _total_volatility(small[at], forward[at], strike[at], tau[at], discount[at], small_is_call[at])
        result[at] = s / np.sqrt(tau[at])
    return result


def _total_volatility(
    price: Floats, forward: Floats, strike: Floats, tau: Floats, discount: Floats, call: Mask
) -> Floats:
    """``sigma * sqrt(tau)`` of out-of-the-money options."""
    target, root = np.log(price), np.sqrt(tau)
    x = np.abs(np.log(forward / strike))
    # At the money the inflection is at zero; there the price is nearly a straight line in s (Brenner and
    # Subrahmanyam 1988).
    at_the_money = np.sqrt(2.0 * np.pi) * price / (discount * np.sqrt(forward * strike))
    s: Floats = np.clip(np.maximum(np.sqrt(2.0 * x), at_the_money), 1e-4, 10.0)
    low, high = np.full_like(s, _LOW), np.full_like(s, _HIGH)
    active = np.arange(s.size)
    for _ in range(_STEPS):
        at = active
        inputs = (forward[at], strike[at], tau[at], discount[at])
        value = value_closed_form(forward_quotes(*inputs, s[at] / root[at], call[at]))
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            gap = np.log(value["price"]) - target[at]
            step = gap * value["price"] * root[at] / value["vega"]
        high[at] = np.where(gap > 0.0, s[at], high[at])
        low[at] = np.where(gap > 0.0, low[at], s[at])
        moved = s[at] - step
        inside = (moved > low[at]) & (moved < high[at])  # False for NaN
        moved = np.where(inside, moved, np.sqrt(low[at] * high[at]))
        moved = np.where(gap == 0.0, s[at], moved)
        done = np.abs(moved - s[at]) <= 1e-14 * moved
        s[at] = moved
        active = at[~done]
        if not active.size:
            break
    return s
