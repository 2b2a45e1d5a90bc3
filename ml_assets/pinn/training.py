"""Train the network: Adam to the valley, self-scaled BFGS down to rounding. No prices are used as labels."""

from __future__ import annotations

import functools
import logging
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.stats import qmc
from threadpoolctl import threadpool_limits

from ml_assets.pinn.adam import AdamState, adam
from ml_assets.pinn.bfgs import BfgsResult, BfgsState, self_scaled_bfgs
from ml_assets.pinn.physics import LossTerms, Points, compile_loss, edge_points, points_from
from ml_assets.pinn.progress import Clock, ProgressCallback
from ml_assets.pinn.recipe import Domain, PinnRecipe
from ml_assets.pinn.resume import Keeper, TrainingState, keeping
from ml_assets.pinn.weights import PinnWeights, initial_parameters
from ml_assets.training.backend import tf

__all__ = [
    "TrainingProblem",
    "collocation",
    "train_pinn",
]

logger = logging.getLogger(__name__)

Array = npt.NDArray[np.float64]


def collocation(count: int, domain: Domain, seed: int) -> tuple[Array, Array]:
    """Draw collocation points: scrambled Sobol, half of them log-uniform in s.

    Returns
    -------
    z, s : ndarray of shape (count,)
    """
    u = qmc.Sobol(2, rng=np.random.default_rng(seed)).random(count)
    low = np.minimum(2.0 * u[:, 0], 1.0)
    high = np.maximum(2.0 * u[:, 0] - 1.0, 0.0)
    log_uniform = domain.s_min * (domain.s_max / domain.s_min) ** low
    uniform = domain.s_min + (domain.s_max - domain.s_min) * high
    s = np.where(u[:, 0] < 0.5, log_uniform, uniform)
    return np.minimum(domain.z_max * u[:, 1], domain.x_max / s), s


class TrainingProblem:
    """Loss and gradient as NumPy functions of the flat parameters, on the current draw of points."""

    def __init__(self, recipe: PinnRecipe) -> None:
        self._recipe = recipe
        self.draws = 0
        self._edge = edge_points(*collocation(32, recipe.domain, recipe.seed), recipe.domain)
        self._weight = tf.constant(recipe.physics_weight, dtype=tf.float64)
        self._compiled = compile_loss(recipe.width, recipe.depth, recipe.domain)
        self.points: Points
        self.resample()

    def redraw(self, draws: int) -> None:
        """Return to the points of that many draws."""
        self.draws = draws - 1
        self.resample()

    def resample(self) -> None:
        """Draw new collocation points; the n-th draw of a seed is always the same."""
        recipe = self._recipe
        seed = recipe.seed * 1_000_003 + self.draws
        # A Sobol sequence warns unless its length is a power of two; larger draws are cut.
        count = 1 << (recipe.points - 1).bit_length()
        z, s = collocation(count, recipe.domain, seed)
        self.points = points_from(z[: recipe.points], s[: recipe.points], recipe.domain)
        self.draws += 1

    def evaluate(self, parameters: Array) -> tuple[float, Array, LossTerms]:
        """Loss, gradient and terms."""
        loss, gradient, terms = self._compiled(tf.constant(parameters), self.points, self._edge, self._weight)
        return float(loss), gradient.numpy(), LossTerms(*(float(term) for term in terms))

    def objective(self, parameters: Array) -> tuple[float, Array]:
        """Loss and gradient, for the optimizer."""
        loss, gradient, _ = self.evaluate(parameters)
        return loss, gradient


class _Run:
    """One training: two phases over one problem, its state offered to a keeper after every step."""

    def __init__(self, recipe: PinnRecipe, progress: ProgressCallback | None, keeper: Keeper) -> None:
        self._recipe, self._keeper = recipe, keeper
        self._clock, self._problem = Clock(recipe, progress), TrainingProblem(recipe)
        self._after_adam = math.nan

    def weights(self) -> PinnWeights:
        """Train from the beginning or from where an interrupted run stood."""
        recipe = self._recipe
        x = initial_parameters(recipe.width, recipe.depth, recipe.seed)
        held = self._resume(x.size)
        result = self._bfgs(held if isinstance(held, BfgsState) else self._adam(x if held is None else held))
        self._problem.resample()  # the terms reported are of points that no step has seen
        loss, _, terms = self._problem.evaluate(result.x)
        self._keeper.clear()
        if not np.isfinite(loss):
            raise FloatingPointError(
                f"the training loss is {loss} after {result.iterations} iterations: "
                f"use another seed or more Adam steps"
            )
        logger.info(
            "trained PINN: loss %.3e after %d iterations (%s)", loss, result.iterations, result.reason
        )
        return PinnWeights.from_parameters(
            result.x,
            recipe.width,
            recipe.depth,
            domain=recipe.domain,
            seed=recipe.seed,
            figures=self._figures(result, loss, terms),
            history=np.array(self._clock.curve, dtype=np.float64).reshape(-1, 2),
        )

    def _resume(self, size: int) -> AdamState | BfgsState | None:
        state = self._keeper.latest(size)
        if state is None:
            return None
        self._problem.redraw(state.draws)
        self._clock.started -= state.seconds
        self._clock.curve = list(state.curve)
        self._after_adam = state.after_adam
        return state.optimizer

    def _keep(self, optimizer: AdamState | BfgsState) -> None:
        done = optimizer.steps
        if isinstance(optimizer, BfgsState):
            done += self._recipe.adam_steps
        clock = self._clock
        self._keeper.save(
            TrainingState(
                done, optimizer, self._problem.draws, self._after_adam, clock.seconds, tuple(clock.curve)
            )
        )

    def _adam(self, start: Array | AdamState) -> Array:
        def keep(state: AdamState) -> None:
            if self._keeper.due:
                self._keep(state)

        x = adam(
            self._problem.objective,
            start,
            steps=self._recipe.adam_steps,
            resample=self._problem.resample,
            callback=functools.partial(self._clock.tick, "adam"),
            keep=keep,
        )
        self._after_adam = self._problem.evaluate(x)[0]
        return x

    def _bfgs(self, start: Array | BfgsState) -> BfgsResult:
        recipe = self._recipe

        def keep(state: Callable[[], BfgsState]) -> None:
            if self._keeper.due:
                self._keep(state())

        return self_scaled_bfgs(
            self._problem.objective,
            start,
            iterations=recipe.bfgs_iterations,
            resample=self._problem.resample,
            resample_every=recipe.resample_every,
            callback=lambda step, loss: self._clock.tick("bfgs", recipe.adam_steps + step, loss),
            keep=keep,
        )

    def _figures(self, result: BfgsResult, loss: float, terms: LossTerms) -> dict[str, float | int | str]:
        """Training figures that go into the artifact."""
        return {
            "adam_steps": self._recipe.adam_steps,
            "bfgs_iterations": result.iterations,
            "bfgs_evaluations": result.evaluations,
            "bfgs_ended_by": result.reason,
            "points": self._recipe.points,
            "physics_weight": self._recipe.physics_weight,
            "loss_after_adam": self._after_adam,
            "loss": loss,
            "loss_residual": terms.residual,
            "loss_boundary": terms.boundary,
            "loss_parity": terms.parity,
        }


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
    progress : callable, optional
        Called with a :class:`Progress` every 50 steps.
    checkpoint_dir : path, optional
        Keep the state of the training there until it is complete: a run that was killed goes on when it is
        started again with the same recipe, and ends with the bytes of an unbroken one. Ctrl-C and SIGTERM
        then save before they act.
    checkpoint_seconds : float
        Time between two checkpoints: the most that a ``kill -9`` costs.

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
    # One thread: on products this small a second one only waits, and the order of its sums would change bits.
    with (
        threadpool_limits(limits=1, user_api="blas"),
        keeping(checkpoint_dir, recipe, checkpoint_seconds) as keeper,
    ):
        return _Run(recipe, progress, keeper).weights()
