"""The integral equation of the exercise boundary and the training loss, in TensorFlow.

The equation is Kim's (1990): at the boundary the put is worth its exercise, ``K - B = p(B) + premium(B)``,
and its slope is -1. Andersen, Lake and Offengenden (*High-performance American option pricing*, 2016) put the
two into the fixed-point form "FP-B", ``B = K exp(-(r - q) tau) N / D``, whose residual is well scaled where
value matching alone is flat. No price enters the loss.

The same formulas as :mod:`ml_assets.pinn.american.boundary` (a test holds the two to 1e-12), written to be
differentiated by the weights inside one XLA-compiled function. Imported by the training only.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ml_assets.pinn.american.boundary import TINY, perpetual_log
from ml_assets.pinn.american.premium import quadrature
from ml_assets.pinn.american.weights import INPUTS
from ml_assets.pinn.european.physics import Layers, unflatten
from ml_assets.pinn.weights import layer_shapes
from ml_assets.training.backend import tf

__all__ = [
    "BoundaryPoints",
    "BoundaryTerms",
    "Collocation",
    "boundary_tf",
    "collocation",
    "compile_boundary_loss",
    "points_of",
    "residuals",
    "slope_residual",
]

Array = npt.NDArray[np.float64]

_ROOT_HALF = float(np.sqrt(0.5))
_STEP = 0.01  # in Q / R, off the face without a dividend: the boundary bends there within some hundredths


class BoundaryPoints(NamedTuple):
    """Collocation points as tensors of shape (n,), with all that does not depend on the weights."""

    s: Any
    rate: Any
    dividend: Any
    perpetual: Any


class Collocation(NamedTuple):
    """Points in the box, and on its face without a dividend: (m,) there, then the same (m,) a step inside."""

    box: BoundaryPoints
    face: BoundaryPoints


class BoundaryTerms(NamedTuple):
    """Mean squares of the three parts of the loss."""

    fixed_point: Any
    matching: Any
    slope: Any


BoundaryLoss = Callable[[Any, Collocation, Any], tuple[Any, Any, BoundaryTerms]]


def points_of(s: Array, rate: Array, dividend: Array) -> BoundaryPoints:
    """Prepare collocation points of shape (n,), once per draw."""
    columns = (s, rate, dividend, perpetual_log(rate, dividend))
    return BoundaryPoints(*(tf.constant(column, dtype=tf.float64) for column in columns))


def collocation(s: Array, rate: Array, dividend: Array) -> Collocation:
    """Prepare a draw; an eighth of it, (s, rate) of its first points, stands on the face as well."""
    on = slice(-(-s.size // 8))
    twice = np.tile(s[on], 2), np.tile(rate[on], 2)
    return Collocation(
        points_of(s, rate, dividend), points_of(*twice, np.concatenate([0.0 * rate[on], _STEP * rate[on]]))
    )


def boundary_tf(layers: Layers, points: BoundaryPoints) -> Any:
    """Log of the boundary; see :func:`ml_assets.pinn.american.boundary.boundary`."""
    s, rate, dividend = points.s, points.rate, points.dividend
    log_s = tf.math.log(s)
    scaled = tf.math.log((dividend + TINY) / rate) * (2.0 * (1.0 + s) / s)
    inputs = (
        (log_s + 1.8) / 1.6,
        0.5 * tf.math.log(rate) + 0.25,
        2.0 * dividend / (dividend + rate) - 1.0,
        tf.tanh(0.25 * scaled),
    )
    x = tf.stack(inputs, 1)
    for kernel, bias in layers[:-1]:
        x = tf.tanh(x @ kernel + bias)
    kernel, bias = layers[-1]
    n = (x @ kernel + bias)[:, 0]
    start = -0.5 * s / (1.0 + s) * tf.math.softplus(scaled)
    return start + (points.perpetual - start) * tf.sigmoid(n + log_s)


def _normal(x: Any) -> Any:
    """Normal distribution function, with its digits in the lower tail."""
    return 0.5 * tf.math.erfc(-_ROOT_HALF * x)


def residuals(layers: Layers, points: BoundaryPoints, nodes: int) -> tuple[Any, Any]:
    """Residuals of the fixed point, in ``ln B`` per unit of ``s``, and of value matching, per unit of strike.

    The integrals over the time ``v`` from now run in the angle of
    :func:`ml_assets.pinn.american.premium.quadrature`.
    """
    s, rate, dividend = points.s, points.rate, points.dividend
    sine, cosine, w = (tf.constant(column)[:, None] for column in quadrature(nodes))
    time, root, later_s = s * s, s * sine, s * cosine
    v, left = root * root, later_s * later_s
    weight = w * sine * time

    def spread(column: Any) -> Any:
        return tf.reshape(tf.broadcast_to(column, tf.shape(v)), [-1])

    later = BoundaryPoints(
        tf.reshape(later_s, [-1]), spread(rate), spread(dividend), spread(points.perpetual)
    )
    log_b = boundary_tf(layers, points)
    log_later = tf.reshape(boundary_tf(layers, later), tf.shape(v))

    d2 = (log_b + (rate - dividend) * time) / s - 0.5 * s
    e2 = (log_b - log_later + (rate - dividend - 0.5) * v) / root
    n2, n1 = _normal(e2), _normal(e2 + root)
    top = _normal(d2) + rate * tf.reduce_sum(weight * tf.exp(rate * left) * n2, 0)
    bottom = _normal(d2 + s) + dividend * tf.reduce_sum(weight * tf.exp(dividend * left) * n1, 0)
    fixed_point = log_b + (rate - dividend) * time - tf.math.log(top) + tf.math.log(bottom)

    b = tf.exp(log_b)
    european = tf.exp(-rate * time) * _normal(-d2) - b * tf.exp(-dividend * time) * _normal(-d2 - s)
    flow = rate * tf.exp(-rate * v) * (1.0 - n2) - dividend * b * tf.exp(-dividend * v) * (1.0 - n1)
    matching = 1.0 - b - european - tf.reduce_sum(weight * flow, 0)
    return fixed_point / s, matching


def slope_residual(layers: Layers, face: BoundaryPoints, nodes: int) -> Any:
    """How the fixed point's residual, in ``ln B``, changes along ``Q / R`` on the face ``Q = 0``, (m,).

    It is the error of the boundary's slope there, which the Greek of a dividend needs (rho of the call that
    mirrors the put): residuals that are small at every point leave it open.
    """
    fixed_point = residuals(layers, face, nodes)[0] * face.s
    there, inside = tf.split(fixed_point, 2)
    return (inside - there) / _STEP


@cache
def compile_boundary_loss(width: int, depth: int, nodes: int) -> BoundaryLoss:
    """XLA-compiled function of flat parameters, points, and the weights of matching and slope.

    It returns loss, gradient and terms.
    """
    shapes = layer_shapes(width, depth, INPUTS)

    def loss_and_gradient(
        parameters: Any, points: Collocation, weights: Any
    ) -> tuple[Any, Any, BoundaryTerms]:
        with tf.GradientTape() as tape:
            tape.watch(parameters)
            layers = unflatten(parameters, shapes)
            parts = *residuals(layers, points.box, nodes), slope_residual(layers, points.face, nodes)
            terms = BoundaryTerms(*(tf.reduce_mean(tf.square(part)) for part in parts))
            loss = terms.fixed_point + weights[0] * terms.matching + weights[1] * terms.slope
        return loss, tape.gradient(loss, parameters), terms

    compiled: BoundaryLoss = tf.function(loss_and_gradient, jit_compile=True, autograph=False)
    return compiled
