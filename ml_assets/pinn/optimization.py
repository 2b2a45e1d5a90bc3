"""What every training does: Adam to the valley, self-scaled BFGS down to rounding, resumable to the bit."""

from __future__ import annotations

import functools
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from ml_assets.pinn.adam import AdamState, adam
from ml_assets.pinn.bfgs import BfgsResult, BfgsState, self_scaled_bfgs
from ml_assets.pinn.progress import Clock, ProgressCallback
from ml_assets.pinn.recipe import TrainingRecipe
from ml_assets.pinn.resume import Keeper, TrainingState, keeping
from ml_assets.training.backend import tf

__all__ = ["Optimum", "Problem", "optimize"]

logger = logging.getLogger(__name__)

Array = npt.NDArray[np.float64]
Points = TypeVar("Points")


class Problem(Generic[Points]):
    """Loss and gradient as NumPy functions of the flat parameters, on the current draw of points.

    Parameters
    ----------
    seed : int
        Decides every draw.
    draw : callable
        Seed of a draw to its points.
    loss : callable
        Flat parameters, a tensor of shape (n,), and points to ``(loss, gradient, terms)``, the terms of the
        loss a named tuple.
    """

    def __init__(
        self, seed: int, draw: Callable[[int], Points], loss: Callable[[Any, Points], tuple[Any, Any, Any]]
    ) -> None:
        self._seed, self._draw, self._loss = seed, draw, loss
        self.redraw(1)

    def redraw(self, draws: int) -> None:
        """Return to the points of that many draws, at least 1; the n-th draw of a seed is always the same."""
        self.draws = draws
        self._points = self._draw(self._seed * 1_000_003 + draws - 1)

    def resample(self) -> None:
        """Draw new points."""
        self.redraw(self.draws + 1)

    def evaluate(self, parameters: Array) -> tuple[float, Array, dict[str, float]]:
        """Loss, gradient, and the terms of the loss by name."""
        loss, gradient, terms = self._loss(tf.constant(parameters), self._points)
        return float(loss), gradient.numpy(), {name: float(term) for name, term in terms._asdict().items()}

    def objective(self, parameters: Array) -> tuple[float, Array]:
        """Loss and gradient, for the optimizer."""
        return self.evaluate(parameters)[:2]


class Optimum(NamedTuple):
    """Where a training has ended.

    Attributes
    ----------
    x : ndarray of shape (n,)
        Parameters.
    last_loss : float
        Loss on the draw of points of the last step.
    figures : dict
        Steps, and losses on points that no step has seen. No wall-clock times: equal trainings give equal
        bytes.
    history : ndarray of shape (k, 2)
        Step and loss along the training.
    """

    x: Array
    last_loss: float
    figures: dict[str, float | int | str]
    history: Array


@dataclass
class _Run:
    """One training: two phases over one problem, its state offered to a keeper after every step."""

    problem: Problem[Any]
    recipe: TrainingRecipe
    clock: Clock
    keeper: Keeper
    after_adam: float = math.nan

    def optimum(self, start: Array) -> Optimum:
        """Train from the beginning or from where an interrupted run stood."""
        held = self._resume(start.size)
        result = self._bfgs(
            held if isinstance(held, BfgsState) else self._adam(start if held is None else held)
        )
        self.problem.resample()
        loss, _, terms = self.problem.evaluate(result.x)
        self._require_finite(loss, f"{result.iterations} BFGS iterations")
        self.keeper.clear()
        logger.info(
            "trained %s: loss %.3e after %d iterations (%s)",
            self.keeper.training, loss, result.iterations, result.reason,
        )  # fmt: skip
        figures: dict[str, float | int | str] = {
            "adam_steps": self.recipe.adam_steps,
            "bfgs_iterations": result.iterations,
            "bfgs_evaluations": result.evaluations,
            "bfgs_ended_by": result.reason,
            "points": self.recipe.points,
            "loss_after_adam": self.after_adam,
            "loss": loss,
            **{f"loss_{name}": term for name, term in terms.items()},
        }
        history = np.array(self.clock.curve, dtype=np.float64).reshape(-1, 2)
        return Optimum(result.x, result.value, figures, history)

    def _resume(self, size: int) -> AdamState | BfgsState | None:
        state = self.keeper.latest(size)
        if state is None:
            return None
        self.problem.redraw(state.draws)
        self.clock.started -= state.seconds
        self.clock.curve = list(state.curve)
        self.after_adam = state.after_adam
        return state.optimizer

    def _keep(self, state: Callable[[], AdamState | BfgsState]) -> None:
        if not self.keeper.due:
            return
        optimizer, clock = state(), self.clock
        done = optimizer.steps + (self.recipe.adam_steps if isinstance(optimizer, BfgsState) else 0)
        self.keeper.save(
            TrainingState(
                self.keeper.training, done, optimizer, self.problem.draws, self.after_adam, clock.seconds,
                tuple(clock.curve),
            )
        )  # fmt: skip

    def _adam(self, start: Array | AdamState) -> Array:
        x = adam(
            self.problem.objective,
            start,
            steps=self.recipe.adam_steps,
            resample=self.problem.resample,
            callback=functools.partial(self.clock.tick, "adam"),
            keep=lambda state: self._keep(lambda: state),
        )
        self.after_adam = self.problem.evaluate(x)[0]
        self._require_finite(self.after_adam, f"{self.recipe.adam_steps} Adam steps")
        return x

    def _require_finite(self, loss: float, after: str) -> None:
        if not np.isfinite(loss):
            self.keeper.clear()  # else the next run would go on from there
            raise FloatingPointError(
                f"the training loss is {loss} after {after}: use another seed or more Adam steps"
            )

    def _bfgs(self, start: Array | BfgsState) -> BfgsResult:
        return self_scaled_bfgs(
            self.problem.objective,
            start,
            iterations=self.recipe.bfgs_iterations,
            resample=self.problem.resample,
            resample_every=self.recipe.resample_every,
            callback=lambda step, loss: self.clock.tick("bfgs", self.recipe.adam_steps + step, loss),
            keep=self._keep,
        )


def optimize(
    problem: Problem[Any],
    recipe: TrainingRecipe,
    start: Array,
    progress: ProgressCallback | None = None,
    *,
    checkpoint_dir: str | Path | None = None,
    checkpoint_seconds: float = 5.0,
) -> Optimum:
    """Minimize the loss of a problem by the two phases of a recipe.

    Parameters
    ----------
    problem : Problem
        At its first draw.
    recipe : TrainingRecipe
        Its type and values name the training among the checkpoints.
    start : ndarray of shape (n,)
        First parameters.
    progress : callable, optional
        Called with a :class:`ml_assets.pinn.progress.Progress` every 50 steps.
    checkpoint_dir : path, optional
        Keep the state of the training there until it is complete: a run that was killed goes on when it is
        started again with the same recipe, and ends with the bits of an unbroken one. Ctrl-C and SIGTERM
        then save before they act.
    checkpoint_seconds : float
        Time between two checkpoints: the most that a ``kill -9`` costs.

    Returns
    -------
    Optimum

    Raises
    ------
    FloatingPointError
        If the loss is no longer finite.
    """
    clock = Clock(recipe, progress)
    # One thread: on products this small a second one only waits, and the order of its sums would change bits.
    with (
        threadpool_limits(limits=1, user_api="blas"),
        keeping(checkpoint_dir, recipe, checkpoint_seconds) as keeper,
    ):
        return _Run(problem, recipe, clock, keeper).optimum(start)
