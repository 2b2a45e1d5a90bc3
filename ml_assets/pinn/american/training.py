"""Train the exercise boundary from its integral equation alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.stats import norm, qmc

from ml_assets.pinn.american.physics import Collocation, collocation, compile_boundary_loss
from ml_assets.pinn.american.recipe import AmericanDomain, AmericanRecipe
from ml_assets.pinn.american.weights import INPUTS, AmericanWeights
from ml_assets.pinn.optimization import Problem, optimize
from ml_assets.pinn.progress import ProgressCallback
from ml_assets.pinn.weights import glorot_parameters, layer_shapes
from ml_assets.training.backend import tf

__all__ = ["boundary_points", "train_american"]

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


def _problem(recipe: AmericanRecipe) -> Problem[Collocation]:
    """Kim's equation at the boundary, as a fixed point and as value matching, and its slope at a face."""
    weights = tf.constant([recipe.matching_weight, recipe.slope_weight], dtype=tf.float64)
    compiled = compile_boundary_loss(recipe.width, recipe.depth, recipe.nodes)
    first = recipe.seed * 1_000_003
    return Problem(
        recipe.points,
        lambda number: collocation(*boundary_points(recipe.points, recipe.domain, first + number)),
        lambda parameters, points: compiled(parameters, points, weights),
    )


def train_american(
    recipe: AmericanRecipe | None = None,
    progress: ProgressCallback | None = None,
    *,
    checkpoint_dir: str | Path | None = None,
    checkpoint_seconds: float = 5.0,
) -> AmericanWeights:
    """Train the boundary without a single price.

    Parameters
    ----------
    recipe : AmericanRecipe, optional
        Default: ``AmericanRecipe()``, some minutes on one core.
    progress, checkpoint_dir, checkpoint_seconds
        Who is told, and how an interrupted training goes on: see
        :func:`ml_assets.pinn.optimization.optimize`.

    Returns
    -------
    AmericanWeights
        Equal recipes give equal bytes on one machine.

    Raises
    ------
    FloatingPointError
        If the loss is no longer finite.
    """
    recipe = AmericanRecipe() if recipe is None else recipe
    found = optimize(
        _problem(recipe),
        recipe,
        glorot_parameters(layer_shapes(recipe.width, recipe.depth, INPUTS), recipe.seed, 0.0),
        progress,
        checkpoint_dir=checkpoint_dir,
        checkpoint_seconds=checkpoint_seconds,
    )
    return AmericanWeights.from_parameters(
        found.x,
        recipe.width,
        recipe.depth,
        domain=recipe.domain,
        seed=recipe.seed,
        figures={**found.figures, "nodes": recipe.nodes, "loss_on_the_last_draw": found.last_loss},
        history=found.history,
        recovery=found.record,
    )
