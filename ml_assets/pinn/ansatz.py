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

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ml_assets.pinn.weights import PinnWeights

__all__ = ["FeatureJet", "SmallLeg", "feature_jet", "network_jet", "small_leg"]

Array = npt.NDArray[np.float64]

# Points in one pass: few enough that the arrays of a 24-wide layer stay in cache and below the size at
# which malloc asks the system for fresh pages (twice slower at 1,024 on a busy machine), enough to hide
# the cost of a NumPy call.
_CHUNK = 384


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
    value[:, 0] = 0.25 * np.log1p(z2) - 0.5
    value[:, 1] = 1.0 - 8.0 * q
    value[:, 2] = (2.0 / s_max) * s - 1.0
    dz[:, 0] = 0.5 * z * p
    dz[:, 1] = 16.0 * z * q * q
    dzz[:, 0] = 0.5 * (1.0 - z2) * p * p
    dzz[:, 1] = (64.0 - 48.0 * z2) * q * q * q
    return FeatureJet(value, dz, dzz, 2.0 / s_max)


def network_jet(weights: PinnWeights, z: Array, s: Array) -> tuple[Array, Array, Array, Array]:
    """Network ``N(z, s)`` with ``N_z``, ``N_zz`` and ``N_s``, in Taylor mode.

    The four channels go through each dense layer as one matrix product: no graph, no second pass.

    Parameters
    ----------
    weights : PinnWeights
    z, s : ndarray of shape (n,)

    Returns
    -------
    tuple of four ndarrays of shape (n,)
    """
    jet = feature_jet(z, s, weights.domain.s_max)
    first = weights.kernels[0]
    channels = np.empty((4, z.size, first.shape[1]))
    np.matmul(jet.value, first, out=channels[0])
    np.matmul(jet.z, first[:2], out=channels[1])
    np.matmul(jet.zz, first[:2], out=channels[2])
    channels[3] = jet.s * first[2]
    channels[0] += weights.biases[0]
    for kernel, bias in zip(weights.kernels[1:], weights.biases[1:], strict=True):
        _tanh_jet(channels)
        channels = (channels.reshape(-1, kernel.shape[0]) @ kernel).reshape(4, z.size, kernel.shape[1])
        channels[0] += bias
    n, n_z, n_zz, n_s = channels[:, :, 0]
    return n, n_z, n_zz, n_s


def _tanh_jet(channels: Array) -> None:
    """Apply tanh in place to channels (f, f_z, f_zz, f_s) of shape (4, n, width)."""
    f, f_z, f_zz, f_s = channels
    np.tanh(f, out=f)
    slope = 1.0 - f * f
    f_zz -= 2.0 * f * f_z * f_z
    f_zz *= slope
    f_z *= slope
    f_s *= slope


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
    if a.size <= _CHUNK:
        return _small_leg(weights, a, s)
    out = SmallLeg(*np.empty((4, a.size)))
    for start in range(0, a.size, _CHUNK):
        part = slice(start, start + _CHUNK)
        for whole, piece in zip(out, _small_leg(weights, a[part], s[part]), strict=True):
            whole[part] = piece
    return out


def _small_leg(weights: PinnWeights, a: Array, s: Array) -> SmallLeg:
    z = a / s
    n, n_z, n_zz, n_s = network_jet(weights, z, s)
    grown = np.expm1(0.5 * a)  # keeps the digits of sinh near the money, and costs one exponential for both
    h, h_a = 0.5 * (grown + grown / (grown + 1.0)), 0.25 * (grown + 1.0 + 1.0 / (grown + 1.0))
    product = s * s * np.exp(n - 0.5 * z * z)  # G, the product of the legs
    # Logarithmic derivatives of G at fixed s or fixed a; z moves with both.
    slope = (n_z - z) / s
    curvature = (n_zz - 1.0) / (s * s) + slope * slope
    by_s = 2.0 / s + n_s - z * slope
    e = np.sqrt(h * h + product)
    y = product / (e + h)
    y_a = (0.5 * product * slope - h_a * y) / e
    y_aa = (0.5 * product * curvature - 0.25 * h * y - (2.0 * h_a + y_a) * y_a) / e
    return SmallLeg(y, y_a, y_aa, 0.5 * product * by_s / e)
