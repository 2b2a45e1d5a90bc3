"""The exercise boundary of American puts as a network, in NumPy.

Variables
---------
Strike 1 and time in units of ``1 / sigma**2``: with ``s = sigma sqrt(tau)``, ``R = r / sigma**2`` and ``Q =
q / sigma**2`` the boundary is a function ``B(s; R, Q)``, and volatility has left the problem.

Hard constraints
----------------
``ln B = ln X + (ln P - ln X) sigmoid(N + ln s)`` with ``N`` the network, ``P`` the boundary of the perpetual
put (Merton 1973) and ``X(s)`` a smoothed ``min(1, R / Q)``, exact at expiry, where the boundary starts. Both
are at most ``min(1, R / Q)``, hence so is ``B`` for *any* weights, and the integrand of the early-exercise
premium is never negative: an American price is never below the European one.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ml_assets.pinn.american.weights import AmericanWeights

__all__ = ["TINY", "BoundaryJet", "boundary", "boundary_jet", "perpetual_log"]

Array = npt.NDArray[np.float64]

TINY = 1e-12
"""Added to ``Q`` where its logarithm is taken: no dividend is the limit of a small one."""


class BoundaryJet(NamedTuple):
    """``ln B`` and its derivatives in ``R`` and ``Q`` at fixed ``s``, each of shape (n,)."""

    value: Array
    by_rate: Array
    by_dividend: Array


class _Pass(NamedTuple):
    """All that a pass through the network leaves for its derivatives; arrays of shape (n,) but the layers."""

    ratio: Array  # ln(Q / R)
    width: Array  # over which X is smoothed
    step: Array  # the fourth input, tanh(ratio / 4 width)
    layers: list[Array]
    start: Array  # ln X
    end: Array  # ln P
    share: Array  # sigmoid(N + ln s)


def perpetual_log(rate: Array, dividend: Array) -> Array:
    """Log of the perpetual put's boundary for strike 1; ``rate`` positive, any shape."""
    exponent = _perpetual_exponent(rate, dividend)[0]
    log: Array = np.log(exponent / (exponent - 1.0))
    return log


def _perpetual_exponent(rate: Array, dividend: Array) -> tuple[Array, Array, Array]:
    """Negative root of ``t**2 / 2 + h t = R``, with ``h`` and the discriminant's root."""
    h = rate - dividend - 0.5
    root = np.sqrt(h * h + 2.0 * rate)
    # Of the two forms of the root, the one that does not cancel.
    exponent = np.where(h > 0.0, -(h + root), -2.0 * rate / (root - h))
    return exponent, h, root


def _forward(weights: AmericanWeights, s: Array, rate: Array, dividend: Array) -> _Pass:
    """Carry shape (n,) inputs through the network and the constraints."""
    log_s = np.log(s)
    ratio = np.log((dividend + TINY) / rate)
    width = 0.5 * s / (1.0 + s)
    inputs = np.empty((s.size, 4))
    inputs[:, 0] = log_s
    inputs[:, 0] += 1.8
    inputs[:, 0] /= 1.6
    inputs[:, 1] = 0.5 * np.log(rate) + 0.25
    inputs[:, 2] = 2.0 * dividend / (dividend + rate) - 1.0
    scaled = ratio / width
    np.tanh(0.25 * scaled, out=inputs[:, 3])
    layers = []
    x = inputs
    for kernel, bias in zip(weights.kernels[:-1], weights.biases[:-1], strict=True):
        x = x @ kernel
        x += bias
        np.tanh(x, out=x)
        layers.append(x)
    n = (x @ weights.kernels[-1])[:, 0] + weights.biases[-1]
    share = 1.0 / (1.0 + np.exp(-n) / s)
    start = -width * (np.maximum(scaled, 0.0) + np.log1p(np.exp(-np.abs(scaled))))
    return _Pass(ratio, width, inputs[:, 3], layers, start, perpetual_log(rate, dividend), share)


def boundary(weights: AmericanWeights, s: Array, rate: Array, dividend: Array) -> Array:
    """Log of the exercise boundary of puts with strike 1.

    Parameters
    ----------
    weights : AmericanWeights
    s : ndarray of shape (n,)
        Total volatility to expiry ``sigma sqrt(tau)``, positive.
    rate, dividend : ndarray of shape (n,)
        ``r / sigma**2``, positive, and ``q / sigma**2``, at least 0.

    Returns
    -------
    ndarray of shape (n,)
    """
    p = _forward(weights, s, rate, dividend)
    return p.start + (p.end - p.start) * p.share


def boundary_jet(weights: AmericanWeights, s: Array, rate: Array, dividend: Array) -> BoundaryJet:
    """As :func:`boundary`, with the derivatives in the rates; one backward pass serves both."""
    p = _forward(weights, s, rate, dividend)
    # Gradient of the network in its inputs.
    back = weights.kernels[-1][:, 0] * _tanh_slope(p.layers[-1])
    for kernel, layer in zip(weights.kernels[-2:0:-1], p.layers[-2::-1], strict=True):
        back = back @ kernel.T
        back *= _tanh_slope(layer)
    _, n_1, n_2, n_3 = (back @ weights.kernels[0].T).T

    total = rate + dividend
    by_ratio = n_3 * 0.25 * (1.0 - p.step**2) / p.width
    slope = p.share * (1.0 - p.share) * (p.end - p.start)
    start_by_ratio = -1.0 / (1.0 + np.exp(np.clip(-p.ratio / p.width, -700.0, 700.0)))
    exponent, h, root = _perpetual_exponent(rate, dividend)
    end_by_exponent = -1.0 / (exponent * (exponent - 1.0))

    by_rate = p.share * end_by_exponent * (-1.0 - (h + 1.0) / root)
    by_rate += slope * (0.5 * n_1 / rate - 2.0 * n_2 * dividend / total**2)
    by_rate -= (slope * by_ratio + (1.0 - p.share) * start_by_ratio) / rate
    by_dividend = p.share * end_by_exponent * (1.0 + h / root)
    by_dividend += slope * 2.0 * n_2 * rate / total**2
    by_dividend += (slope * by_ratio + (1.0 - p.share) * start_by_ratio) / (dividend + TINY)
    return BoundaryJet(p.start + (p.end - p.start) * p.share, by_rate, by_dividend)


def _tanh_slope(value: Array) -> Array:
    """Derivative of tanh where it is ``value``; overwrites it."""
    np.multiply(value, value, out=value)
    return np.subtract(1.0, value, out=value)
