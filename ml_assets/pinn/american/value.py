"""Price and Greeks of American options: which method answers for which option, and calls from puts."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ml_assets.pinn.american.binomial import value_binomial
from ml_assets.pinn.american.certain import value_certain
from ml_assets.pinn.american.premium import reduced_put
from ml_assets.pinn.american.weights import AmericanWeights
from ml_assets.pinn.european.closed_form import value_closed_form
from ml_assets.pinn.quotes import BINOMIAL, CLOSED_FORM, GREEKS, NETWORK, Quotes

__all__ = ["american_methods", "as_puts", "value_american", "value_boundary"]

Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]

_CERTAIN = 1e-6
"""Total volatility below which an option is valued as certain; that moves its price by less than 4e-7 of the
strike."""


def as_puts(quotes: Quotes) -> tuple[Array, Array, Array, Array]:
    """Spot, strike, rate and dividend yield of the put that is worth the same.

    A call on S struck at K is a put on K struck at S, with rate and yield exchanged (McDonald and Schroder
    1998).
    """
    call = quotes.is_call
    return (
        np.where(call, quotes.K, quotes.S),
        np.where(call, quotes.S, quotes.K),
        np.where(call, quotes.q, quotes.r),
        np.where(call, quotes.r, quotes.q),
    )


def american_methods(weights: AmericanWeights, quotes: Quotes) -> Codes:
    """Which method values which option, as codes of :data:`ml_assets.pinn.quotes.SOURCES`, shape (n,)."""
    _, _, rate, dividend = as_puts(quotes)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        variance = quotes.sigma**2
        inside = weights.domain.contains(quotes.s, rate / variance, dividend / variance)
    methods = np.where(inside, NETWORK, BINOMIAL)
    methods[_never_early(rate, dividend) | (quotes.s < _CERTAIN)] = CLOSED_FORM
    return methods


def _never_early(rate: Array, dividend: Array) -> npt.NDArray[np.bool_]:
    """Puts whose early exercise can only lose.

    Exercising at S earns interest on K and gives up the dividends of S: a gain only where ``r K > q S``. With
    ``r <= 0`` and ``q >= r`` that asks for ``S >= K``, where nobody exercises a put.
    """
    never: npt.NDArray[np.bool_] = (rate <= 0.0) & (dividend >= rate)
    return never


def value_boundary(weights: AmericanWeights, quotes: Quotes) -> dict[str, Array]:
    """Price and Greeks by the boundary network, wherever the options lie.

    Needs ``sigma sqrt(tau)`` and the put's rate (the call's yield) positive. All Greeks are analytic; see
    :mod:`ml_assets.pinn.american.premium`. Where the option is exercised at once the price is the intrinsic
    value, delta 1 or -1, and the other Greeks are 0.

    Returns
    -------
    dict of ndarray of shape (n,)
    """
    spot, strike, rate, dividend = as_puts(quotes)
    sigma, variance = quotes.sigma, quotes.sigma**2
    m, R, Q = spot / strike, rate / variance, dividend / variance
    put = reduced_put(weights, m, quotes.s, R, Q)
    by_sigma = 2.0 * (sigma * quotes.tau * put.by_time - (R * put.by_rate + Q * put.by_dividend) / sigma)
    price = np.maximum(strike * put.price, strike - spot)
    call = quotes.is_call
    return {
        "price": price,
        # Euler's theorem: the put is homogeneous in spot and strike, and its strike is the call's spot.
        "delta": np.where(call, (price - spot * put.delta) / strike, put.delta),
        "gamma": np.where(call, m * m, 1.0) * put.gamma / strike,
        "vega": strike * by_sigma,
        "theta": -variance * strike * put.by_time,
        "rho": strike * np.where(call, put.by_dividend, put.by_rate) / variance,
    }


def value_american(weights: AmericanWeights, quotes: Quotes) -> tuple[dict[str, Array], Codes]:
    """Price and Greeks of American options by the method that is right for each.

    ============  ====================================================================================
    source        options
    ============  ====================================================================================
    network       inside the domain of the training, in some unit of time
    closed_form   never exercised early (put: ``r <= 0`` and ``q >= r``; call: ``q <= 0`` and ``r >= q``):
                  the European price; and ``sigma sqrt(tau)`` below 1e-6: the best moment of a certain path
    binomial      all others
    ============  ====================================================================================

    Returns
    -------
    values : dict of ndarray of shape (n,)
    methods : ndarray of int, shape (n,)
        Codes of :data:`ml_assets.pinn.quotes.SOURCES`.
    """
    methods = american_methods(weights, quotes)
    if (methods == NETWORK).all():
        return value_boundary(weights, quotes), methods
    certain = quotes.s < _CERTAIN
    values = {name: np.empty(len(quotes)) for name in GREEKS}
    for where, value in (
        (methods == NETWORK, lambda part: value_boundary(weights, part)),
        (methods == BINOMIAL, value_binomial),
        (certain, value_certain),
        ((methods == CLOSED_FORM) & ~certain, value_closed_form),
    ):
        if where.any():
            for name, column in value(quotes.take(where)).items():
                values[name][where] = column
    return values, methods
