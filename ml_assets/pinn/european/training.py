"""Train the network for European options. No prices are used as labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.stats import qmc

from ml_assets.pinn.european.physics import Points, compile_loss, edge_points, points_from
from ml_assets.pinn.european.recipe import Domain, PinnRecipe
from ml_assets.pinn.european.weights import PinnWeights, initial_parameters
from ml_assets.pinn.optimization import Problem, optimize
from ml_assets.pinn.progress import ProgressCallback
from ml_assets.training.backend import tf

__all__ = ["collocation", "train_pinn", "training_problem"]

Array = npt.NDArray[np.float64]


def collocation(count: int, domain: Domain, seed: int) -> tuple[Array, Array]:
    """Draw collocation points: scrambled Sobol, half of them log-uniform in s.

    Returns
    -------
    z, s : ndarray of shape (count,)
    """
    size = 1 << (count - 1).bit_length()  # Sobol sequences are balanced at powers of two, and warn elsewhere
    u = qmc.Sobol(2, rng=np.random.default_rng(seed)).random(size)[:count]
    low = np.minimum(2.0 * u[:, 0], 1.0)
    high = np.maximum(2.0 * u[:, 0] - 1.0, 0.0)
    log_uniform = domain.s_min * (domain.s_max / domain.s_min) ** low
    uniform = domain.s_min + (domain.s_max - domain.s_min) * high
    s = np.where(u[:, 0] < 0.5, log_uniform, uniform)
    return np.minimum(domain.z_max * u[:, 1], domain.x_max / s), s


def training_problem(recipe: PinnRecipe) -> Problem[Points]:
    """Black-Scholes' equation in the reduced plane, with the terms that the ansatz makes zero."""
    domain = recipe.domain
    edge = edge_points(*collocation(32, domain, recipe.seed), domain)
    weight = tf.constant(recipe.physics_weight, dtype=tf.float64)
    compiled = compile_loss(recipe.width, recipe.depth, domain)
    first = recipe.seed * 1_000_003
    return Problem(
        recipe.points,
        lambda number: points_from(*collocation(recipe.points, domain, first + number), domain),
        lambda parameters, points: compiled(parameters, points, edge, weight),
    )


def train_pinn(
    recipe: PinnRecipe | None = None,
    progress: ProgressCallback | None = None,
    *,
    checkpoint_dir: str | Path | None = None,
    checkpoint_seconds: float = 5.0,
) -> PinnWeights:
    """Train a network from the equation alone.

    Parameters
    ----------
    recipe : PinnRecipe, optional
        Default: ``PinnRecipe()``.
    progress, checkpoint_dir, checkpoint_seconds
        Who is told, and how an interrupted training goes on: see
        :func:`ml_assets.pinn.optimization.optimize`.

    Returns
    -------
    PinnWeights
        Equal recipes give equal bytes on one machine.

    Raises
    ------
    FloatingPointError
        If the loss is no longer finite.
    """
    recipe = PinnRecipe() if recipe is None else recipe
    found = optimize(
        training_problem(recipe),
        recipe,
        initial_parameters(recipe.width, recipe.depth, recipe.seed),
        progress,
        checkpoint_dir=checkpoint_dir,
        checkpoint_seconds=checkpoint_seconds,
    )
    return PinnWeights.from_parameters(
        found.x,
        recipe.width,
        recipe.depth,
        domain=recipe.domain,
        seed=recipe.seed,
        figures={**found.figures, "physics_weight": recipe.physics_weight},
        history=found.history,
        recovery=found.record,
    )
