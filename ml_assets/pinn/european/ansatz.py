"""The network and its derivatives in NumPy: all that serving needs, without TensorFlow.

The reduced problem
-------------------
With ``F`` the forward, ``D`` the discount factor, ``x = ln(F / K)``, ``s = sigma * sqrt(tau)`` and
``b = V / (D * sqrt(F * K))``, Black-Scholes becomes ``b_w = b_xx / 2 - b / 8`` in ``w = s**2``: five
inputs are two, and interest and dividends leave the equation.

Hard constraints
----------------
The normalized call and put are the two legs of ``call * put = G = s**2 * exp(-z**2 / 2 + N(z, s))``, ``z
= x / s`` and ``call - put = 2 sinh(x / 2)``, with ``N`` the network, even in ``z``. For *any* weights
parity, positivity, the lower bound, put-call symmetry, the payoff at expiry and Gaussian tails then hold.

The small leg
-------------
Only the out-of-the-money leg ``y`` is ever computed, as ``y = G / (E + h)`` with ``a = |x|``, ``h =
sinh(a / 2)``, ``E = sqrt(h**2 + G)``: nothing is subtracted, so tiny prices keep their digits.
Differentiating ``y**2 + 2 h y = G`` gives its derivatives, again without cancellation.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ml_assets.pinn.european.weights import INPUTS, PinnWeights

__all__ = [
    "FeatureJet",
    "SmallLeg",
    "feature_jet",
    "network_jet",
    "network_value",
    "small_leg",
    "small_leg_value",
]

Array = npt.NDArray[np.float64]

# Points in one pass: few enough that the arrays of a 24-wide layer stay in the second-level cache, enough to
# hide the cost of a NumPy call. Without derivatives there is a quarter of the arrays, so more points fit.
_CHUNK = 512
_VALUE_CHUNK = 1024


class FeatureJet(NamedTuple):
    """Inputs of the network and their derivatives, columns in the order of the network's inputs.

    Attributes
    ----------
    value : ndarray of shape (n, 3)
        ``ln(1 + z**2) / 4 - 1/2``, ``2 z**2 / (z**2 + 4) - 1``, ``2 s / s_max - 1``.
    z, zz : ndarray of shape (n, 2)
        First and second derivative in ``z`` of the first two columns (the third does not depend on ``z``).
    s : float
        Derivative in ``s`` of the third column (the others do not depend on ``s``).
    """

    value: Array
    z: Array
    zz: Array
    s: float


class SmallLeg(NamedTuple):
    """Out-of-the-money leg ``y(a, s)``, ``a = |x|``, and its partial derivatives, each of shape (n,)."""

    y: Array
    a: Array
    aa: Array
    s: Array


def feature_jet(z: Array, s: Array, s_max: float) -> FeatureJet:
    """Inputs of the network at ``z >= 0`` and ``s``, both of shape (n,), with their derivatives."""
    z2 = z * z
    p, q = 1.0 / (1.0 + z2), 1.0 / (4.0 + z2)
    value, dz, dzz = np.empty((z.size, 3)), np.empty((z.size, 2)), np.empty((z.size, 2))
    _feature_values(z2, q, s, s_max, value)
    dz[:, 0] = 0.5 * z * p
    dz[:, 1] = 16.0 * z * q * q
    dzz[:, 0] = 0.5 * (1.0 - z2) * p * p
    dzz[:, 1] = (64.0 - 48.0 * z2) * q * q * q
    return FeatureJet(value, dz, dzz, 2.0 / s_max)


def _feature_values(z2: Array, q: Array, s: Array, s_max: float, out: Array) -> None:
    """Inputs of the network from ``z**2`` and ``q = 1 / (4 + z**2)``, into an array of shape (n, 3)."""
    out[:, 0] = 0.25 * np.log1p(z2) - 0.5
    out[:, 1] = 1.0 - 8.0 * q
    out[:, 2] = (2.0 / s_max) * s - 1.0


class _Space:
    """Arrays reused from chunk to chunk: asking the system for fresh ones costs as much as the arithmetic."""

    def __init__(self) -> None:
        self._held: dict[str, Array] = {}

    def array(self, name: str, *shape: int) -> Array:
        """Return the contiguous array of this name and shape, its content undefined."""
        size = math.prod(shape)
        held = self._held.get(name)
        if held is None or held.size < size:
            held = self._held[name] = np.empty(size)
        return held[:size].reshape(shape)


def network_jet(
    weights: PinnWeights, z: Array, s: Array, space: _Space | None = None
) -> tuple[Array, Array, Array, Array]:
    """Network ``N(z, s)`` with ``N_z``, ``N_zz`` and ``N_s``, in Taylor mode.

    The four channels go through each dense layer as one matrix product: no graph, no second pass.

    Parameters
    ----------
    weights : PinnWeights
    z, s : ndarray of shape (n,)
    space : _Space, optional
        Where results and intermediate arrays are put, until it is used again.

    Returns
    -------
    tuple of four ndarrays of shape (n,)
    """
    space = space or _Space()
    jet = feature_jet(z, s, weights.domain.s_max)
    first = weights.kernels[0]
    channels = space.array("0", 4, z.size, first.shape[1])
    np.matmul(jet.value, first, out=channels[0])
    np.matmul(jet.z, first[:2], out=channels[1])
    np.matmul(jet.zz, first[:2], out=channels[2])
    channels[3] = jet.s * first[2]
    channels[0] += weights.biases[0]
    for i, (kernel, bias) in enumerate(zip(weights.kernels[1:], weights.biases[1:], strict=True), 1):
        _tanh_jet(channels, space)
        product = space.array(str(i % 2), 4, z.size, kernel.shape[1])
        np.matmul(channels.reshape(-1, kernel.shape[0]), kernel, out=product.reshape(-1, kernel.shape[1]))
        channels = product
        channels[0] += bias
    n, n_z, n_zz, n_s = channels[:, :, 0]
    return n, n_z, n_zz, n_s


def _tanh_jet(channels: Array, space: _Space) -> None:
    """Apply tanh in place to channels (f, f_z, f_zz, f_s) of shape (4, n, width)."""
    f, f_z, f_zz, _ = channels
    np.tanh(f, out=f)
    bend = np.multiply(f_z, f_z, out=space.array("bend", *f.shape))
    bend *= f
    bend *= 2.0
    f_zz -= bend
    slope = np.multiply(f, f, out=bend)
    np.subtract(1.0, slope, out=slope)
    channels[1:] *= slope


def network_value(weights: PinnWeights, z: Array, s: Array, space: _Space | None = None) -> Array:
    """Network ``N(z, s)`` alone, shape (n,); see :func:`network_jet`."""
    space = space or _Space()
    f = space.array("features", z.size, INPUTS)
    z2 = z * z
    _feature_values(z2, 1.0 / (4.0 + z2), s, weights.domain.s_max, f)
    last = len(weights.kernels) - 1
    for i, (kernel, bias) in enumerate(zip(weights.kernels, weights.biases, strict=True)):
        f = np.matmul(f, kernel, out=space.array(str(i % 2), z.size, kernel.shape[1]))
        f += bias
        if i < last:
            np.tanh(f, out=f)
    return f[:, 0]


def small_leg(weights: PinnWeights, a: Array, s: Array) -> SmallLeg:
    """Out-of-the-money leg and its derivatives.

    Parameters
    ----------
    weights : PinnWeights
    a : ndarray of shape (n,)
        ``|ln(F / K)|``.
    s : ndarray of shape (n,)
        ``sigma * sqrt(tau)``, positive.

    Returns
    -------
    SmallLeg
        ``y`` in units of ``D * sqrt(F * K)``.
    """
    space, out = _Space(), SmallLeg(*np.empty((4, a.size)))
    for start in range(0, a.size, _CHUNK):
        part = slice(start, start + _CHUNK)
        for whole, piece in zip(out, _leg_jet(weights, a[part], s[part], space), strict=True):
            whole[part] = piece
    return out


def small_leg_value(weights: PinnWeights, a: Array, s: Array) -> Array:
    """Out-of-the-money leg without its derivatives, shape (n,); see :func:`small_leg`."""
    space, out = _Space(), np.empty(a.size)
    for start in range(0, a.size, _VALUE_CHUNK):
        part = slice(start, start + _VALUE_CHUNK)
        z = a[part] / s[part]
        h, _ = _half_difference(a[part])
        product = _product(network_value(weights, z, s[part], space), z, s[part])
        np.divide(product, np.sqrt(h * h + product) + h, out=out[part])
    return out


def _half_difference(a: Array) -> tuple[Array, Array]:
    """``h = sinh(a / 2)`` and ``exp(a / 2)``: the digits near the money kept, by one exponential."""
    grown = np.expm1(0.5 * a)
    power = grown + 1.0
    return 0.5 * (grown + grown / power), power


def _product(n: Array, z: Array, s: Array) -> Array:
    """``G``, the product of the legs, from the network's value."""
    product: Array = s * s * np.exp(n - 0.5 * z * z)
    return product


def _leg_jet(weights: PinnWeights, a: Array, s: Array, space: _Space) -> SmallLeg:
    z = a / s
    n, n_z, n_zz, n_s = network_jet(weights, z, s, space)
    h, power = _half_difference(a)
    h_a = 0.25 * (power + 1.0 / power)
    product = _product(n, z, s)
    # Logarithmic derivatives of G at fixed s or fixed a; z moves with both.
    slope = (n_z - z) / s
    curvature = (n_zz - 1.0) / (s * s) + slope * slope
    by_s = 2.0 / s + n_s - z * slope
    e = np.sqrt(h * h + product)
    y = product / (e + h)
    half = 0.5 * product
    y_a = (half * slope - h_a * y) / e
    y_aa = (half * curvature - 0.25 * h * y - (2.0 * h_a + y_a) * y_a) / e
    return SmallLeg(y, y_a, y_aa, half * by_s / e)
