"""American puts from the boundary: European price plus Kim's early-exercise premium, and every derivative.

With strike 1, time in units of ``1 / sigma**2``, ``T = s**2``, moneyness ``m`` and the boundary ``B`` (Kim
1990):

    p = p_European + integral over v in (0, T) of  R exp(-R v) Phi(-e2) - Q m exp(-Q v) Phi(-e1),
    e2 = (ln m - ln B(T - v) + (R - Q - 1/2) v) / sqrt(v),    e1 = e2 + sqrt(v).

The integral runs in the angle of ``v = T sin(a)**2``, in which the integrand is smooth at both ends, by
Gauss-Legendre.

Derivatives
-----------
All are analytic. Since ``m exp(-Q v) phi(e1) = B exp(-R v) phi(e2)``, whatever moves ``e1`` and ``e2``
together enters with the one factor ``(R - Q B) exp(-R v) phi(e2)``. It is not zero: smooth pasting makes the
value of the *exercise policy* stationary in the boundary, not this integral, which values the flows below it.
So the derivatives in ``R`` and ``Q`` carry those of the boundary, which the network gives. The derivative in
``T`` needs no formula of its own: for any ``B`` the integral obeys the Black-Scholes equation above the
boundary exactly.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from ml_assets.pinn.american.boundary import boundary, boundary_jet
from ml_assets.pinn.american.weights import AmericanWeights

__all__ = ["NEAR", "ReducedPut", "quadrature", "reduced_put"]

Array = npt.NDArray[np.float64]

# Gauss-Legendre nodes of the premium integral. Within one total volatility of the boundary its integrand is a
# steep step at the start, which needs more nodes, crowded there.
_NODES, _NODES_NEAR = 16, 48
NEAR = 1.0
"""Distance from the boundary, in total volatilities, up to which the finer rule integrates.

Each rule is right to about 1e-8 of the strike, but their errors differ: across this seam the price jumps by
as much.
"""
# Nearer than this even they do not resolve gamma.
_TOUCHING = 0.02
# Nodes in one pass: few enough that the network's layers stay in cache, enough to hide the cost of a call.
_CHUNK = 2048
_INVERSE_ROOT_2PI = 1.0 / np.sqrt(2.0 * np.pi)


class ReducedPut(NamedTuple):
    """A put with strike 1 in units of time ``1 / sigma**2``; arrays of shape (n,).

    Attributes
    ----------
    price, delta, gamma
        In the moneyness. Where the put is exercised at once: ``1 - m``, -1 and 0.
    by_time, by_rate, by_dividend
        Derivatives in ``T`` and, at fixed ``T``, in ``R`` and ``Q``; 0 where exercised. The last two are NaN
        when they were not asked for.
    """

    price: Array
    delta: Array
    gamma: Array
    by_time: Array
    by_rate: Array
    by_dividend: Array


@cache
def quadrature(nodes: int, crowding: int = 1) -> tuple[Array, Array, Array]:
    """Sine and cosine of the angles, and weights with ``dv = T * sine * weight``; each of shape (nodes,).

    ``crowding`` is the power of the angle's map from (0, 1): above 1, nodes crowd at ``v = 0``.
    """
    x, w = np.polynomial.legendre.leggauss(nodes)
    x = 0.5 * (1.0 + x)
    angle = 0.5 * np.pi * x**crowding
    sine, cosine = np.sin(angle), np.cos(angle)
    # dv = 2 T sin cos da, da = (pi / 2) crowding x**(crowding - 1) dx on (0, 1)
    rule = sine, cosine, 0.5 * np.pi * crowding * x ** (crowding - 1) * cosine * w
    for column in rule:
        column.setflags(write=False)  # shared by every caller
    return rule


def reduced_put(
    weights: AmericanWeights,
    m: Array,
    s: Array,
    rate: Array,
    dividend: Array,
    *,
    rate_derivatives: bool = True,
) -> ReducedPut:
    """Price and derivatives of puts in reduced variables.

    Parameters
    ----------
    weights : AmericanWeights
    m : ndarray of shape (n,)
        Spot over strike.
    s : ndarray of shape (n,)
        ``sigma sqrt(tau)``, positive.
    rate, dividend : ndarray of shape (n,)
        ``r / sigma**2``, positive, and ``q / sigma**2``, at least 0.
    rate_derivatives : bool
        Also the derivatives in rate and dividend, at two thirds more time.

    Returns
    -------
    ReducedPut
    """
    out = ReducedPut(1.0 - m, np.full(m.size, -1.0), *np.zeros((4, m.size)))
    if not rate_derivatives:
        out.by_rate.fill(np.nan)
        out.by_dividend.fill(np.nan)
    log_b = boundary(weights, s, rate, dividend)
    distance = (np.log(m) - log_b) / s
    near = distance <= NEAR
    for where, rule in (
        (np.flatnonzero(~near), quadrature(_NODES)),
        (np.flatnonzero(near & (distance > 0.0)), quadrature(_NODES_NEAR, 3)),
    ):
        length = _CHUNK // rule[0].size
        for start in range(0, where.size, length):
            at = where[start : start + length]
            piece = _held_put(weights, m[at], s[at], rate[at], dividend[at], rate_derivatives, rule)
            for whole, column in zip(out, piece, strict=False):
                whole[at] = column
    touching = np.flatnonzero((distance > 0.0) & (distance < _TOUCHING))
    if touching.size:
        _mend_gamma(weights, out, m, s, rate, dividend, log_b, touching)
    return out


def _held_put(
    weights: AmericanWeights,
    m: Array,
    s: Array,
    rate: Array,
    dividend: Array,
    rate_derivatives: bool,
    rule: tuple[Array, Array, Array],
) -> tuple[Array, ...]:
    """The fields of :class:`ReducedPut`, all or the first four, of puts above the boundary."""
    sine, cosine, w = rule
    nodes = w.size
    at = ((s[:, None] * cosine).ravel(), np.repeat(rate, nodes), np.repeat(dividend, nodes))
    jet = boundary_jet(weights, *at) if rate_derivatives else (boundary(weights, *at),)
    log_b = jet[0].reshape(-1, nodes)
    log_m, time = np.log(m), s * s
    R, Q = rate[:, None], dividend[:, None]

    root = s[:, None] * sine
    v = root * root
    e2 = (log_m[:, None] - log_b + (R - Q - 0.5) * v) / root
    width = s[:, None] * w  # dv / sqrt(v)
    discount = np.exp(-R * v)
    strike_flow = width * root * discount * ndtr(-e2)
    spot_flow = width * root * np.exp(-Q * v) * ndtr(-e2 - root)
    kernel = _INVERSE_ROOT_2PI * width * discount * np.exp(-0.5 * e2 * e2)
    pull = kernel * (R - Q * np.exp(log_b))

    d1 = (log_m + (rate - dividend) * time) / s + 0.5 * s
    strike_leg = np.exp(-rate * time) * ndtr(s - d1)
    spot_leg = np.exp(-dividend * time) * ndtr(-d1)
    density = np.exp(-dividend * time - 0.5 * d1 * d1) * (_INVERSE_ROOT_2PI / s)
    dividends = dividend * spot_flow.sum(1)
    price = strike_leg - m * spot_leg + rate * strike_flow.sum(1) - m * dividends
    delta = -spot_leg - pull.sum(1) / m - dividends
    gamma = density / m + (kernel * R + pull * e2 / root).sum(1) / (m * m)
    by_time = 0.5 * m * m * gamma + (rate - dividend) * m * delta - rate * price
    if not rate_derivatives:
        return price, delta, gamma, by_time
    b_rate, b_dividend = (column.reshape(-1, nodes) for column in jet[1:])
    by_rate = (strike_flow * (1.0 - R * v) - pull * (v - b_rate)).sum(1) - time * strike_leg
    by_dividend = (pull * (v + b_dividend) - m[:, None] * spot_flow * (1.0 - Q * v)).sum(1)
    return price, delta, gamma, by_time, by_rate, by_dividend + time * m * spot_leg


def _mend_gamma(
    weights: AmericanWeights,
    out: ReducedPut,
    m: Array,
    s: Array,
    rate: Array,
    dividend: Array,
    log_b: Array,
    where: npt.NDArray[np.intp],
) -> None:
    """Put gamma and the derivative in time right at the boundary, in place.

    There the integrand of gamma becomes a spike. The derivative in time is 0 at the boundary, by smooth
    pasting, and smooth above it: it is interpolated from where the spike is resolved, and gamma follows from
    it by the Black-Scholes equation.
    """
    m, s, rate, dividend, log_b = (column[where] for column in (m, s, rate, dividend, log_b))
    resolved = np.exp(log_b + _TOUCHING * s)
    rule = quadrature(_NODES_NEAR, 3)
    by_time = _held_put(weights, resolved, s, rate, dividend, False, rule)[3]
    by_time *= (np.log(m) - log_b) / (_TOUCHING * s)
    drift = (rate - dividend) * m * out.delta[where] - rate * out.price[where]
    out.by_time[where] = by_time
    out.gamma[where] = 2.0 * (by_time - drift) / (m * m)
