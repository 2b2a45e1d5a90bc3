"""Black-Scholes-Merton prices and Greeks in closed form: the reference of every gate, and the fallback of
serving.

Formulas: Merton (1973), with the dividend yield of Hull, *Options, Futures and Other Derivatives*. They
are written from the textbook, not through the network's reduced variables, so that a mistake there cannot
hide here.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import erfcx, ndtr

from ml_assets.pinn.quotes import Number, OptionType, Quotes, make_quotes

__all__ = ["black_scholes", "value_closed_form"]

Array = npt.NDArray[np.float64]

_ROOT_HALF = np.sqrt(0.5)
_ROOT_2PI = np.sqrt(2.0 * np.pi)
_FAR = 40.0  # the normal density of it is zero in double precision
_DEAD = 1e-100  # a total volatility whose ratios would leave the range of doubles


def _out_of_the_money(
    s: Array, x: Array, d1: Array, d2: Array, forward_leg: Array, strike_leg: Array
) -> Array:
    """Price of the out-of-the-money option, with its digits kept in the tails; ``s > 0``.

    There the two terms nearly cancel; both are ``exp(-(z**2 + s**2 / 4) / 2)`` times a scaled complementary
    error function, so the common factor is taken out (Jaeckel, *Let's be rational*, 2015).
    """
    sign = np.where(x < 0.0, 1.0, -1.0)
    plain = sign * (forward_leg * ndtr(sign * d1) - strike_leg * ndtr(sign * d2))
    z, half = np.minimum(np.abs(x) / s, _FAR), 0.5 * s
    scaled = erfcx(_ROOT_HALF * np.maximum(z - half, -1.0)) - erfcx(_ROOT_HALF * (z + half))
    factor = np.exp(-0.5 * (z * z + np.minimum(half, _FAR) ** 2))
    tail = 0.5 * np.sqrt(forward_leg * strike_leg) * factor * scaled
    price: Array = np.where(z - half > -1.0, tail, np.maximum(plain, 0.0))
    return price


def value_closed_form(quotes: Quotes) -> dict[str, Array]:
    """Price and Greeks of checked options; see :func:`black_scholes`."""
    S, K, tau, r, sigma, q = quotes.S, quotes.K, quotes.tau, quotes.r, quotes.sigma, quotes.q
    x, s = quotes.x, quotes.s
    dividend, discount = np.exp(-q * tau), np.exp(-r * tau)
    forward_leg, strike_leg = S * dividend, K * discount
    alive = s > _DEAD
    safe = np.where(alive, s, 1.0)
    # Without volatility the exercise is certain one way or the other, or undecided exactly at the forward.
    d1 = np.where(alive, x / safe + 0.5 * s, np.where(x == 0.0, 0.0, np.copysign(np.inf, x)))
    d2 = d1 - s
    density = np.where(alive, np.exp(-0.5 * np.minimum(np.abs(d1), _FAR) ** 2) / _ROOT_2PI, 0.0)
    sign = np.where(quotes.is_call, 1.0, -1.0)
    n1, n2 = ndtr(sign * d1), ndtr(sign * d2)

    otm = np.where(alive, _out_of_the_money(safe, x, d1, d2, forward_leg, strike_leg), 0.0)
    in_the_money = np.where(quotes.is_call, x >= 0.0, x < 0.0)
    price = np.where(in_the_money, otm + sign * (forward_leg - strike_leg), otm)
    root = np.sqrt(tau)
    decay = np.where(alive, forward_leg * density * sigma / (2.0 * np.where(alive, root, 1.0)), 0.0)
    return {
        "price": np.maximum(price, 0.0),
        "delta": sign * dividend * n1,
        "gamma": dividend * density / (S * safe),
        "vega": forward_leg * density * root,
        "theta": -decay + sign * (q * forward_leg * n1 - r * strike_leg * n2),
        "rho": sign * tau * strike_leg * n2,
    }


def black_scholes(
    S: Number,
    K: Number,
    tau: Number,
    r: Number,
    sigma: Number,
    q: Number = 0.0,
    option_type: OptionType = "call",
) -> dict[str, Array]:
    """Price and Greeks of European options.

    Parameters
    ----------
    S, K : float or array-like
        Spot and strike, positive.
    tau : float or array-like
        Years to expiry, at least 0.
    r, sigma, q : float or array-like
        Rate, volatility and dividend yield per year, as decimals.
    option_type : str or array-like of str
        ``'call'`` or ``'put'``.

    Returns
    -------
    dict of ndarray, of the broadcast shape
        ``price``, ``delta``, ``gamma``, ``vega``, ``theta``, ``rho``; units in
        :data:`ml_assets.pinn.quotes.GREEKS`. With ``tau = 0`` or ``sigma = 0`` the price is the
        discounted intrinsic value, delta, theta and rho are the limits (one half of the exercise terms
        exactly at the forward), and gamma and vega, which have no finite limit at the kink, are 0.

    Raises
    ------
    QuoteError
        See :func:`ml_assets.pinn.quotes.make_quotes`.

    Examples
    --------
    >>> round(float(black_scholes(100, 100, 1.0, 0.05, 0.2)["price"]), 4)
    10.4506
    """
    quotes = make_quotes(S, K, tau, r, sigma, q, option_type)
    return {name: values.reshape(quotes.shape) for name, values in value_closed_form(quotes).items()}
