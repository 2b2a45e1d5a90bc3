"""Train the network: Adam to the valley, self-scaled BFGS down to rounding. No prices are used as labels."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from scipy.stats import qmc

from ml_assets.pinn.bfgs import self_scaled_bfgs
from ml_assets.pinn.physics import LossTerms, Points, compile_loss, edge_points, points_from
from ml_assets.pinn.recipe import Domain, PinnRecipe
from ml_assets.pinn.weights import PinnWeights, initial_parameters
from ml_assets.training.backend import tf

__all__ = [
    "Clock",
    "Problem",
    "Progress",
    "ProgressCallback",
    "Schedule",
    "adam",
    "collocation",
    "train_pinn",
]

logger = logging.getLogger(__name__)

Array = npt.NDArray[np.float64]

_LEARNING_RATE = 2e-3
_REPORT_EVERY = 50


@dataclass(frozen=True)
class Progress:
    """One report of a running training.

    Attributes
    ----------
    phase : str
        ``'adam'`` or ``'bfgs'``.
    step, total : int
        Steps done in all phases, and planned.
    loss : float
    seconds : float
        Since the start, compilation included.
    """

    phase: str
    step: int
    total: int
    loss: float
    seconds: float


ProgressCallback = Callable[[Progress], None]


class Schedule(Protocol):
    """What the clock must know of a recipe."""

    @property
    def adam_steps(self) -> int: ...  # noqa: D102
    @property
    def bfgs_iterations(self) -> int: ...  # noqa: D102
    @property
    def time_budget(self) -> float | None: ...  # noqa: D102


class Problem(Protocol):
    """A loss to minimize on points that can be drawn anew."""

    def objective(self, parameters: Array) -> tuple[float, Array]:
        """Loss and gradient at parameters of shape (n,)."""
        ...

    def resample(self) -> None:
        """Draw new points; the n-th draw of a seed is always the same."""
        ...


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


class _Problem:
    """Loss and gradient as NumPy functions of the flat parameters, on the current draw of points."""

    def __init__(self, recipe: PinnRecipe) -> None:
        self._recipe = recipe
        self._draws = 0
        self._edge = edge_points(*collocation(32, recipe.domain, recipe.seed), recipe.domain)
        self._weight = tf.constant(recipe.physics_weight, dtype=tf.float64)
        self._compiled = compile_loss(recipe.width, recipe.depth, recipe.domain)
        self.points: Points
        self.resample()

    def resample(self) -> None:
        """Draw new collocation points; the n-th draw of a seed is always the same."""
        recipe = self._recipe
        seed = recipe.seed * 1_000_003 + self._draws
        # A Sobol sequence warns unless its length is a power of two; larger draws are cut.
        count = 1 << (recipe.points - 1).bit_length()
        z, s = collocation(count, recipe.domain, seed)
        self.points = points_from(z[: recipe.points], s[: recipe.points], recipe.domain)
        self._draws += 1

    def evaluate(self, parameters: Array) -> tuple[float, Array, LossTerms]:
        """Loss, gradient and terms."""
        loss, gradient, terms = self._compiled(tf.constant(parameters), self.points, self._edge, self._weight)
        return float(loss), gradient.numpy(), LossTerms(*(float(term) for term in terms))

    def objective(self, parameters: Array) -> tuple[float, Array]:
        """Loss and gradient, for the optimizer."""
        loss, gradient, _ = self.evaluate(parameters)
        return loss, gradient


class Clock:
    """Reports progress, keeps the loss curve and watches the time budget."""

    def __init__(self, recipe: Schedule, progress: ProgressCallback | None) -> None:
        self._started = time.monotonic()
        self._budget = recipe.time_budget
        self._total = recipe.adam_steps + recipe.bfgs_iterations
        self._progress = progress
        self.curve: list[tuple[float, float]] = []

    def tick(self, phase: str, step: int, loss: float) -> bool:
        """Note a step; True when the budget is spent."""
        seconds = time.monotonic() - self._started
        if step % _REPORT_EVERY == 0 or step == self._total:
            self.curve.append((step, loss))
            if self._progress is not None:
                self._progress(Progress(phase, step, self._total, loss, seconds))
        return self._budget is not None and seconds >= self._budget


def adam(problem: Problem, x: Array, steps: int, clock: Clock) -> Array:
    """Adam (Kingma & Ba 2015) with cosine decay to one per cent, new points at every step."""
    first, second = np.zeros_like(x), np.zeros_like(x)
    for step in range(1, steps + 1):
        loss, gradient = problem.objective(x)
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient * gradient
        rate = _LEARNING_RATE * (0.01 + 0.99 * 0.5 * (1.0 + np.cos(np.pi * (step - 1) / steps)))
        corrected = np.sqrt(second / (1.0 - 0.999**step)) + 1e-8
        x = x - rate * first / (1.0 - 0.9**step) / corrected
        problem.resample()
        if clock.tick("adam", step, loss):
            break
    return x


def train_pinn(recipe: PinnRecipe | None = None, progress: ProgressCallback | None = None) -> PinnWeights:
    """Train a network from the equation alone.

    Parameters
    ----------
    recipe : PinnRecipe, optional
        Default: ``PinnRecipe()``.
    progress : callable, optional
        Called with a :class:`Progress` every 50 steps.

    Returns
    -------
    PinnWeights
        Equal recipes give equal bytes on one machine with the same number of threads (XLA and BLAS sum in an
        order that depends on it; figures differ in the last digits only).

    Raises
    ------
    FloatingPointError
        If the loss is no longer finite.
    """
    recipe = PinnRecipe() if recipe is None else recipe
    clock, problem = Clock(recipe, progress), _Problem(recipe)
    x = adam(problem, initial_parameters(recipe.width, recipe.depth, recipe.seed), recipe.adam_steps, clock)
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
    logger.info("trained PINN: loss %.3e after %d iterations (%s)", loss, result.iterations, result.reason)
    return PinnWeights.from_parameters(
        result.x,
        recipe.width,
        recipe.depth,
        domain=recipe.domain,
        seed=recipe.seed,
        figures=_figures(
            recipe, result.iterations, result.evaluations, result.reason, after_adam, loss, terms
        ),
        history=np.array(clock.curve, dtype=np.float64).reshape(-1, 2),
    )


def _figures(
    recipe: PinnRecipe,
    iterations: int,
    evaluations: int,
    reason: str,
    after_adam: float,
    loss: float,
    terms: Any,
) -> dict[str, float | int | str]:
    """Training figures that go into the artifact."""
    return {
        "adam_steps": recipe.adam_steps,
        "bfgs_iterations": iterations,
        "bfgs_evaluations": evaluations,
        "bfgs_ended_by": reason,
        "points": recipe.points,
        "physics_weight": recipe.physics_weight,
        "loss_after_adam": after_adam,
        "loss": loss,
        "loss_residual": terms.residual,
        "loss_boundary": terms.boundary,
        "loss_parity": terms.parity,
    }
