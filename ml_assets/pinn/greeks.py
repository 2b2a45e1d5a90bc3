"""From the reduced leg to price and Greeks, and the choice between network and closed form."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ml_assets.pinn.ansatz import small_leg
from ml_assets.pinn.closed_form import value_closed_form
from ml_assets.pinn.quotes import GREEKS, Quotes
from ml_assets.pinn.recipe import Domain
from ml_assets.pinn.weights import PinnWeights

__all__ = ["in_domain", "value_network", "value_quotes"]

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


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


def value_quotes(weights: PinnWeights, quotes: Quotes) -> tuple[dict[str, Array], Mask]:
    """Price and Greeks by the network inside its domain and by the closed form outside.

    Returns
    -------
    values : dict of ndarray of shape (n,)
    by_network : ndarray of bool, shape (n,)
    """
    inside = in_domain(quotes, weights.domain)
    if inside.all():
        return value_network(weights, quotes), inside
    if not inside.any():
        return value_closed_form(quotes), inside
    network = value_network(weights, quotes.take(inside))
    closed = value_closed_form(quotes.take(~inside))
    values = {}
    for name in GREEKS:
        merged = np.empty(len(quotes))
        merged[inside], merged[~inside] = network[name], closed[name]
        values[name] = merged
    return values, inside
