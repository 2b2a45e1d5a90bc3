"""From the reduced leg to price and Greeks, and the choice between network and closed form."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ml_assets.pinn.european.ansatz import small_leg, small_leg_value
from ml_assets.pinn.european.closed_form import value_closed_form
from ml_assets.pinn.european.recipe import Domain
from ml_assets.pinn.european.weights import PinnWeights
from ml_assets.pinn.quotes import GREEKS, Quotes

__all__ = ["in_domain", "price_network", "value_network", "value_quotes"]

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

# Options valued in one go: arrays of so many numbers stay in the cache between one formula and the next.
_BLOCK = 16_384


def in_domain(quotes: Quotes, domain: Domain) -> Mask:
    """Which options, shape (n,), lie where the network was trained."""
    a, s = np.abs(quotes.x), quotes.s
    inside: Mask = (s >= domain.s_min) & (s <= domain.s_max) & (a <= domain.x_max) & (a <= domain.z_max * s)
    return inside


def value_network(weights: PinnWeights, quotes: Quotes) -> dict[str, Array]:
    """Price and Greeks by the network, wherever the options lie (``s > 0``).

    The out-of-the-money leg comes from the network, the other one from it by put-call parity: one network
    for both types, and parity holds to rounding.

    Returns
    -------
    dict of ndarray of shape (n,)
    """
    S, K, tau, r, sigma, q = quotes.S, quotes.K, quotes.tau, quotes.r, quotes.sigma, quotes.q
    x = quotes.x
    put_is_small = x >= 0.0
    leg = small_leg(weights, np.abs(x), quotes.s)
    slope = np.where(put_is_small, leg.a, -leg.a)  # the leg is even in x
    # V = scale * leg(x, s) with scale = discount * sqrt(forward * K).
    discount, dividend = np.exp(-r * tau), np.exp(-q * tau)
    scale = discount * K * np.exp(0.5 * x)
    price = scale * leg.y
    by_x = scale * (slope + 0.5 * leg.y)
    by_s = scale * leg.s
    root = np.sqrt(tau)

    # Parity turns the small leg into the type asked for: +1 put to call, -1 call to put, 0 as it is.
    turn = np.where(quotes.is_call == put_is_small, np.where(quotes.is_call, 1.0, -1.0), 0.0)
    forward_leg, strike_leg = turn * S * dividend, turn * K * discount
    return {
        "price": price + (forward_leg - strike_leg),
        "delta": by_x / S + turn * dividend,
        "gamma": scale * (leg.aa - 0.25 * leg.y) / (S * S),
        "vega": by_s * root,
        "theta": r * price
        - by_x * (r - q)
        - by_s * sigma / (2.0 * root)
        + (q * forward_leg - r * strike_leg),
        "rho": tau * (by_x - price + strike_leg),
    }


def price_network(weights: PinnWeights, quotes: Quotes) -> dict[str, Array]:
    """Price alone by the network: a third of the work of :func:`value_network`.

    Returns
    -------
    dict with ``'price'``, ndarray of shape (n,)
    """
    x = quotes.x
    strike_leg = quotes.K * np.exp(-quotes.r * quotes.tau)
    price = strike_leg * np.exp(0.5 * x) * small_leg_value(weights, np.abs(x), quotes.s)
    other = quotes.is_call == (x >= 0.0)  # the in-the-money type, by parity
    sign = np.where(other, np.where(quotes.is_call, 1.0, -1.0), 0.0)
    return {"price": price + sign * (quotes.S * np.exp(-quotes.q * quotes.tau) - strike_leg)}


def value_quotes(
    weights: PinnWeights, quotes: Quotes, *, greeks: bool = True
) -> tuple[dict[str, Array], Mask]:
    """Price and Greeks, or the price alone, by the network inside its domain and by the closed form outside.

    Returns
    -------
    values : dict of ndarray of shape (n,)
    by_network : ndarray of bool, shape (n,)
    """
    if len(quotes) <= _BLOCK:
        return _value_block(weights, quotes, greeks)
    values = {name: np.empty(len(quotes)) for name in (GREEKS if greeks else GREEKS[:1])}
    by_network = np.empty(len(quotes), dtype=np.bool_)
    for start in range(0, len(quotes), _BLOCK):
        part = slice(start, start + _BLOCK)
        found, by_network[part] = _value_block(weights, quotes.take(part), greeks)
        for name, column in found.items():
            values[name][part] = column
    return values, by_network


def _value_block(weights: PinnWeights, quotes: Quotes, greeks: bool) -> tuple[dict[str, Array], Mask]:
    by_network = value_network if greeks else price_network
    inside = in_domain(quotes, weights.domain)
    if inside.all():
        return by_network(weights, quotes), inside
    # Positions, not booleans: gathering many columns by them is several times faster.
    at, outside = np.flatnonzero(inside), np.flatnonzero(~inside)
    closed = value_closed_form(quotes.take(outside))
    network = by_network(weights, quotes.take(at)) if at.size else {}
    values = {}
    for name in GREEKS if greeks else GREEKS[:1]:
        merged = values[name] = np.empty(len(quotes))
        merged[outside] = closed[name]
        if at.size:
            merged[at] = network[name]
    return values, inside
