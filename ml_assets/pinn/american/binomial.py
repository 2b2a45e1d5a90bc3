"""American options by an extrapolated binomial tree: the fallback where no boundary was trained.

Two published repairs make the textbook tree accurate and smooth ("BBSR" of Broadie and Detemple, *American
option valuation*, 1996): the last step is the Black-Scholes price instead of the payoff, and two trees are
extrapolated. Up and down have probability one half (Jarrow and Rudd 1983), which is a probability for any
volatility, rate and dividend, negative ones too; so the tree also prices where the exercise region has two
boundaries.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ml_assets.pinn.european.closed_form import value_closed_form
from ml_assets.pinn.quotes import Quotes

__all__ = ["value_binomial"]

Array = npt.NDArray[np.float64]

STEPS = 300
"""Steps of the coarse tree; the fine one has twice as many. The error is some 1e-5 of the strike."""
_ROWS = 16  # options in one pass: their levels stay in cache
_BUMP = 1e-3  # of sigma and tau (relative) and r (absolute): above the tree's noise, below its curvature


def _tree(q: Quotes, steps: int) -> Array:
    """Values at three spots two levels wide, the middle one ``S``: shape (3, n).

    The tree starts two steps before today, shifted so that today's middle node is the spot: the three nodes
    of today give delta and gamma without a second tree.
    """
    dt = (q.tau / steps)[:, None]
    jump = q.sigma[:, None] * np.sqrt(dt)
    # Jarrow and Rudd's jump**2 / 2 in its exact form, so that the mean is exact at any volatility.
    drift = (q.r - q.q)[:, None] * dt - (jump + np.log1p(np.exp(-2.0 * jump)) - np.log(2.0))
    sign = np.where(q.is_call, 1.0, -1.0)[:, None]
    discount = 0.5 * np.exp(-q.r[:, None] * dt)
    strike = q.K[:, None]
    # Level j, counted from today, has the j + 3 nodes exp(j drift + (2 i - j - 2) jump).
    level = steps - 1
    nodes = np.arange(level + 3)
    spots = q.S[:, None] * np.exp(level * drift + (2 * nodes - level - 2) * jump)

    def spread(column: Array) -> Array:
        return np.broadcast_to(column, spots.shape).ravel()

    positive = np.maximum(spots, np.finfo(np.float64).tiny).ravel()
    rate, sigma, dividend = (spread(column[:, None]) for column in (q.r, q.sigma, q.q))
    last = Quotes(
        positive, spread(strike), spread(dt), rate, sigma, dividend, spread(sign) > 0.0, (spots.size,)
    )
    values = np.maximum(value_closed_form(last)["price"].reshape(spots.shape), sign * (spots - strike))
    back = np.exp(-jump - drift)  # from the upper child, which never underflows, to the parent's spot
    for _ in range(level):
        spots = spots[:, 1:] * back
        values = np.maximum(discount * (values[:, :-1] + values[:, 1:]), sign * (spots - strike))
    found: Array = values.T
    return found


def _extrapolated(quotes: Quotes, steps: int) -> tuple[Array, Array, Array]:
    """Price, delta and gamma, each of shape (n,)."""
    found = []
    for count in (steps, 2 * steps):
        low, middle, high = _tree(quotes, count)
        width = 2.0 * quotes.sigma * np.sqrt(quotes.tau / count)
        below, above = quotes.S * -np.expm1(-width), quotes.S * np.expm1(width)
        slope_below, slope_above = (middle - low) / below, (high - middle) / above
        delta = (above * slope_below + below * slope_above) / (above + below)
        found.append((middle, delta, 2.0 * (slope_above - slope_below) / (above + below)))
    price, delta, gamma = (2.0 * fine - coarse for coarse, fine in zip(*found, strict=True))
    return price, delta, gamma


def value_binomial(quotes: Quotes, steps: int = STEPS) -> dict[str, Array]:
    """Price and Greeks of American options with ``sigma sqrt(tau)`` above 1e-6.

    Delta and gamma come from the tree's nodes, the others from central differences of the price: the last
    step makes it smooth in sigma, r and tau, while theta from the Black-Scholes equation would inherit the
    error of gamma, which jumps at the boundary of exercise.

    Parameters
    ----------
    quotes : Quotes
    steps : int
        Steps of the coarse tree.

    Returns
    -------
    dict of ndarray of shape (n,)
    """
    n = len(quotes)
    out = {name: np.empty(n) for name in ("price", "delta", "gamma", "vega", "theta", "rho")}
    for start in range(0, n, _ROWS):
        where = np.zeros(n, dtype=np.bool_)
        where[start : start + _ROWS] = True
        for name, column in _value(quotes.take(where), steps).items():
            out[name][where] = column
    return out


# Directions of the differences in (sigma, r, tau).
_MOVES = ((0, 0, 0), (-1, 0, 0), (1, 0, 0), (0, -1, 0), (0, 1, 0), (0, 0, -1), (0, 0, 1))


def _value(q: Quotes, steps: int) -> dict[str, Array]:
    sign = np.where(q.is_call, 1.0, -1.0)
    by_sigma, by_tau = _BUMP * q.sigma, _BUMP * q.tau
    copies = len(_MOVES)
    stacked = Quotes(
        np.tile(q.S, copies),
        np.tile(q.K, copies),
        np.concatenate([q.tau + move * by_tau for _, _, move in _MOVES]),
        np.concatenate([q.r + move * _BUMP for _, move, _ in _MOVES]),
        np.concatenate([q.sigma + move * by_sigma for move, _, _ in _MOVES]),
        np.tile(q.q, copies),
        np.tile(q.is_call, copies),
        (copies * len(q),),
    )
    price, delta, gamma = (column.reshape(copies, -1) for column in _extrapolated(stacked, steps))
    intrinsic = sign * (q.S - q.K)
    exercised = price[0] <= intrinsic
    held = {
        "gamma": gamma[0],
        "vega": (price[2] - price[1]) / (2.0 * by_sigma),
        "theta": (price[5] - price[6]) / (2.0 * by_tau),
        "rho": (price[4] - price[3]) / (2.0 * _BUMP),
    }
    return {
        "price": np.maximum(price[0], intrinsic),
        "delta": np.where(exercised, sign, delta[0]),
        **{name: np.where(exercised, 0.0, column) for name, column in held.items()},
    }
