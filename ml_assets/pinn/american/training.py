"""Train the exercise boundary from its integral equation alone: Adam, then self-scaled BFGS."""

from __future__ import annotations

import functools
import logging

import numpy as np
import numpy.typing as npt
from scipy.stats import norm, qmc

from ml_assets.pinn.adam import adam
from ml_assets.pinn.american.physics import BoundaryPoints, BoundaryTerms, compile_boundary_loss, points_of
from ml_assets.pinn.american.recipe import AmericanDomain, AmericanRecipe
from ml_assets.pinn.american.weights import INPUTS, AmericanWeights
from ml_assets.pinn.bfgs import BfgsResult, self_scaled_bfgs
from ml_assets.pinn.progress import Clock, ProgressCallback
from ml_assets.pinn.weights import glorot_parameters, layer_shapes
from ml_assets.training.backend import tf

__all__ = ["boundary_points", "train_american"]

logger = logging.getLogger(__name__)

Array = npt.NDArray[np.float64]

_NO_DIVIDEND = 0.1  # share of the points with a dividend of exactly 0
_NEAR_EQUAL = 0.25  # share of the points with a dividend near the rate, where the boundary's start has a kink


def boundary_points(count: int, domain: AmericanDomain, seed: int) -> tuple[Array, Array, Array]:
    """Draw collocation points in the box: scrambled Sobol, in the logarithms of volatility, time and rate.

    They crowd towards the faces of the box as Chebyshev's nodes do, because there the largest error of a
    smooth approximation would stand otherwise.

    Returns
    -------
    s, rate, dividend : ndarray of shape (count,)
        ``sigma sqrt(tau)``, ``r / sigma**2``, ``q / sigma**2``.
    """
    size = 1 << (count - 1).bit_length()  # Sobol sequences are balanced at powers of two, and warn elsewhere
    u = qmc.Sobol(5, rng=np.random.default_rng(seed)).random(size)[:count]
    edge = 0.5 * (1.0 - np.cos(np.pi * u[:, :3]))
    sigma = domain.sigma_min * (domain.sigma_max / domain.sigma_min) ** edge[:, 0]
    tau = domain.tau_min * (domain.tau_max / domain.tau_min) ** edge[:, 1]
    r = domain.r_min * (domain.r_max / domain.r_min) ** edge[:, 2]
    s = sigma * np.sqrt(tau)
    spread = np.clip((u[:, 3] - _NO_DIVIDEND) / (1.0 - _NO_DIVIDEND), 0.0, 1.0)
    anywhere = domain.q_max * spread**1.5
    near = np.minimum(r * np.exp(1.2 * s * norm.ppf(np.clip(u[:, 3], 1e-6, 1.0 - 1e-6))), domain.q_max)
    q = np.where(u[:, 4] < _NEAR_EQUAL, near, anywhere)
    return s, r / sigma**2, q / sigma**2


class _Problem:
    """Loss and gradient as NumPy functions of the flat parameters, on the current draw of points."""

    def __init__(self, recipe: AmericanRecipe) -> None:
        self._recipe = recipe
        self._draws = 0
        self._weight = tf.constant(recipe.matching_weight, dtype=tf.float64)
        self._compiled = compile_boundary_loss(recipe.width, recipe.depth, recipe.nodes)
        self._points: BoundaryPoints
        self.resample()

    def resample(self) -> None:
        """Draw new points; the n-th draw of a seed is always the same."""
        seed = self._recipe.seed * 1_000_003 + self._draws
        self._points = points_of(*boundary_points(self._recipe.points, self._recipe.domain, seed))
        self._draws += 1

    def evaluate(self, parameters: Array) -> tuple[float, Array, BoundaryTerms]:
        """Loss, gradient and terms."""
        loss, gradient, terms = self._compiled(tf.constant(parameters), self._points, self._weight)
        return float(loss), gradient.numpy(), BoundaryTerms(*(float(term) for term in terms))

    def objective(self, parameters: Array) -> tuple[float, Array]:
        """Loss and gradient, for the optimizer."""
        return self.evaluate(parameters)[:2]


def train_american(
    recipe: AmericanRecipe | None = None, progress: ProgressCallback | None = None
) -> AmericanWeights:
    """Train the boundary without a single price.

    Parameters
    ----------
    recipe : AmericanRecipe, optional
        Default: ``AmericanRecipe()``, some minutes on one core.
    progress : callable, optional
        Called with a :class:`ml_assets.pinn.training.Progress` every 50 steps.

    Returns
    -------
    AmericanWeights
        Equal recipes give equal bytes on one machine with the same number of threads.

    Raises
    ------
    FloatingPointError
        If the loss is no longer finite.
    """
    recipe = AmericanRecipe() if recipe is None else recipe
    clock, problem = Clock(recipe, progress), _Problem(recipe)
    shapes = layer_shapes(recipe.width, recipe.depth, INPUTS)
    x = adam(
        problem.objective,
        glorot_parameters(shapes, recipe.seed, 0.0),
        steps=recipe.adam_steps,
        resample=problem.resample,
        callback=functools.partial(clock.tick, "adam"),
    )
    after_adam = problem.evaluate(x)[0]
    result = self_scaled_bfgs(
        problem.objective,
        x,
        iterations=recipe.bfgs_iterations,
        resample=problem.resample,
        resample_every=recipe.resample_every,
        callback=lambda step, loss: clock.tick("bfgs", recipe.adam_steps + step, loss),
    )
    problem.resample()  # the terms reported are of points that no step has seen
    loss, _, terms = problem.evaluate(result.x)
    if not np.isfinite(loss):
        raise FloatingPointError(
            f"the training loss is {loss} after {result.iterations} iterations: "
            f"use another seed or more Adam steps"
        )
    logger.info("trained boundary: loss %.3e after %d iterations", loss, result.iterations)
    return AmericanWeights.from_parameters(
        result.x,
        recipe.width,
        recipe.depth,
        domain=recipe.domain,
        seed=recipe.seed,
        figures=_figures(recipe, result, after_adam, loss, terms),
        history=np.array(clock.curve, dtype=np.float64).reshape(-1, 2),
    )


def _figures(
    recipe: AmericanRecipe, result: BfgsResult, after_adam: float, loss: float, terms: BoundaryTerms
) -> dict[str, float | int | str]:
    """Training figures that go into the artifact."""
    return {
        "adam_steps": recipe.adam_steps,
        "bfgs_iterations": result.iterations,
        "bfgs_evaluations": result.evaluations,
        "bfgs_ended_by": result.reason,
        "points": recipe.points,
        "nodes": recipe.nodes,
        "loss_after_adam": after_adam,
        "loss_on_the_last_draw": result.value,
        "loss": loss,
        "loss_fixed_point": terms.fixed_point,
        "loss_matching": terms.matching,
    }
