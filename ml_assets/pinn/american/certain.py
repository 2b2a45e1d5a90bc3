"""American options without randomness: the best moment of exercise is known."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ml_assets.pinn.quotes import Quotes

__all__ = ["value_certain"]

Array = npt.NDArray[np.float64]


def value_certain(quotes: Quotes) -> dict[str, Array]:
    """Price and Greeks for ``sigma = 0`` or ``tau = 0``.

    The value is the largest of ``f(t) = w (S exp(-q t) - K exp(-r t))`` over ``0 <= t <= tau`` and of 0, with
    ``w`` = 1 for a call and -1 for a put. ``f`` has at most one stationary point, ``exp((r - q) t) = r K / (q
    S)``, so three moments are compared. By the envelope theorem the best moment counts as fixed in the
    derivatives. Gamma and vega, which have no finite limit at a kink, are 0; exactly at the kink, where ``f``
    is 0 at its best, delta and rho are one half, and theta is 0.

    Returns
    -------
    dict of ndarray of shape (n,)
    """
    S, K, tau, r, q = quotes.S, quotes.K, quotes.tau, quotes.r, quotes.q
    sign = np.where(quotes.is_call, 1.0, -1.0)
    with np.errstate(all="ignore"):
        stationary = np.log(r * K / (q * S)) / (r - q)
    moments = np.stack([np.zeros_like(tau), tau, np.clip(np.nan_to_num(stationary), 0.0, tau)])
    gains = sign * (S * np.exp(-q * moments) - K * np.exp(-r * moments))
    best = np.argmax(gains, axis=0)[None]
    t, gain = (np.take_along_axis(column, best, 0)[0] for column in (moments, gains))
    share = np.where(gain > 0.0, 1.0, np.where(gain == 0.0, 0.5, 0.0))
    asset, money = S * np.exp(-q * t), K * np.exp(-r * t)
    # Only an option that is held to the end gains from a later one.
    waiting = np.where(t == tau, np.maximum(sign * (r * money - q * asset), 0.0), 0.0)
    zero = np.zeros_like(S)
    return {
        "price": np.maximum(gain, 0.0),
        "delta": share * sign * asset / S,
        "gamma": zero,
        "vega": zero.copy(),
        "theta": -np.where(gain > 0.0, waiting, 0.0),
        "rho": share * sign * t * money,
    }
