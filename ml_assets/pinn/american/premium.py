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

__all__ = ["NODES", "ReducedPut", "quadrature", "reduced_put"]

Array = npt.NDArray[np.float64]

NODES = 16
"""Gauss-Legendre nodes of the premium integral."""
# Options in one pass: few enough that the network's layers stay in cache, enough to hide the cost of a call.
_CHUNK = 48
_INVERSE_ROOT_2PI = 1.0 / np.sqrt(2.0 * np.pi)


class ReducedPut(NamedTuple):
    """A put with strike 1 in units of time ``1 / sigma**2``; arrays of shape (n,).

    Attributes
    ----------
    price, delta, gamma
        In the moneyness.
    by_rate, by_dividend
        Derivatives in ``R`` and ``Q`` at fixed ``T``; NaN when they were not asked for.
    log_boundary
        At and below it the put is exercised and the other fields are of no use.
    """

    price: Array
    delta: Array
    gamma: Array
    by_rate: Array
    by_dividend: Array
    log_boundary: Array


@cache
def quadrature(nodes: int) -> tuple[Array, Array, Array]:
    """Sine and cosine of the angles, and weights with ``dv = T * sine * weight``; each of shape (nodes,)."""
    x, w = np.polynomial.legendre.leggauss(nodes)
    angle = 0.25 * np.pi * (1.0 + x)
    sine, cosine = np.sin(angle), np.cos(angle)
    rule = sine, cosine, 0.5 * np.pi * cosine * w  # dv = 2 T sin cos da, da = (pi / 4) dx
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
    nodes: int = NODES,
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
        Also the two derivatives that need the boundary's own, at two thirds more time.
    nodes : int
        Nodes of the quadrature.

    Returns
    -------
    ReducedPut
    """
    if m.size <= _CHUNK:
        return _reduced_put(weights, m, s, rate, dividend, rate_derivatives, nodes)
    out = ReducedPut(*np.empty((len(ReducedPut._fields), m.size)))
    for start in range(0, m.size, _CHUNK):
        part = slice(start, start + _CHUNK)
        piece = _reduced_put(weights, m[part], s[part], rate[part], dividend[part], rate_derivatives, nodes)
        for whole, column in zip(out, piece, strict=True):
            whole[part] = column
    return out


def _reduced_put(
    weights: AmericanWeights, m: Array, s: Array, rate: Array, dividend: Array, derivatives: bool, nodes: int
) -> ReducedPut:
    sine, cosine, w = quadrature(nodes)
    n, k = m.size, nodes + 1  # the last column is the boundary now
    later = np.append(cosine, 1.0)
    at = ((s[:, None] * later).ravel(), np.repeat(rate, k), np.repeat(dividend, k))
    if derivatives:
        jet = boundary_jet(weights, *at)
        log_b, b_rate, b_dividend = (column.reshape(n, k) for column in jet)
    else:
        log_b = boundary(weights, *at).reshape(n, k)
    log_m, time = np.log(m), s * s

    root = s[:, None] * sine
    v = root * root
    drift = (rate - dividend - 0.5)[:, None]
    e2 = (log_m[:, None] - log_b[:, :-1] + drift * v) / root
    n2, n1 = ndtr(-e2), ndtr(-e2 - root)
    discount, growth = np.exp(-rate[:, None] * v), np.exp(-dividend[:, None] * v)
    width = s[:, None] * w  # dv / sqrt(v)
    strike_flow = width * root * discount * n2
    spot_flow = width * root * growth * n1
    kernel = _INVERSE_ROOT_2PI * width * discount * np.exp(-0.5 * e2 * e2)
    gain = rate[:, None] - dividend[:, None] * np.exp(log_b[:, :-1])

    d1 = (log_m + (rate - dividend) * time) / s + 0.5 * s
    strike_leg = np.exp(-rate * time) * ndtr(s - d1)
    spot_leg = np.exp(-dividend * time) * ndtr(-d1)
    density = np.exp(-dividend * time - 0.5 * d1 * d1) * (_INVERSE_ROOT_2PI / s)
    dividends = dividend * spot_flow.sum(1)
    pull = kernel * gain
    price = strike_leg - m * spot_leg + rate * strike_flow.sum(1) - m * dividends
    delta = -spot_leg - pull.sum(1) / m - dividends
    gamma = density / m + (kernel * rate[:, None] + pull * e2 / root).sum(1) / (m * m)
    if not derivatives:
        unknown = np.full(n, np.nan)
        return ReducedPut(price, delta, gamma, unknown, unknown, log_b[:, -1])
    by_rate = (strike_flow * (1.0 - rate[:, None] * v) - pull * (v - b_rate[:, :-1])).sum(1)
    by_dividend = (pull * (v + b_dividend[:, :-1])).sum(1)
    by_dividend -= m * (spot_flow * (1.0 - dividend[:, None] * v)).sum(1)
    return ReducedPut(
        price,
        delta,
        gamma,
        by_rate - time * strike_leg,
        by_dividend + time * m * spot_leg,
        log_b[:, -1],
    )
