"""What every training does: Adam to the valley, self-scaled BFGS down to rounding, resumable to the bit."""

from __future__ import annotations

import functools
import logging
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
from ml_assets.training.backend import placed_on, tf
from ml_assets.training.errors import TrainingError
from ml_assets.training.policy import Recovery, TrainingRecord
from ml_assets.training.safe import safe_training

__all__ = ["Optimum", "Problem", "optimize", "recovering"]

logger = logging.getLogger(__name__)

_ANOTHER_SEED = "use another seed or more Adam steps"

Array = npt.NDArray[np.float64]
Points = TypeVar("Points")


class Problem(Generic[Points]):
    """Loss and gradient as NumPy functions of the flat parameters, on the current draw of points.

    After running out of memory, loss and gradient are summed over two or four parts of the points; after a
    CUDA error they are computed on the CPU. An evaluation has no side effect, so it is simply done again: the
    training goes on at the very step at which it was disturbed.

    Parameters
    ----------
    size : int
        Collocation points in a draw. Only a multiple of 32 can be taken in parts: all terms of a loss are
        then means over as many points in each part.
    draw : callable
        Number of a draw, from 0, to its points: a tree of tensors, each with points along its first axis.
    loss : callable
        Flat parameters, a tensor of shape (n,), and points to ``(loss, gradient, terms)``, the terms of the
        loss a named tuple.
    """

    def __init__(
        self, size: int, draw: Callable[[int], Points], loss: Callable[[Any, Points], tuple[Any, Any, Any]]
    ) -> None:
        self.size, self._draw, self._loss = size, draw, loss
        self.recovery = Recovery(size, min_batch_size=smallest_part(size))
        self.redraw(1)

    def redraw(self, draws: int) -> None:
        """Return to the points of that many draws, at least 1; the n-th draw of a seed is always the same."""
        self.draws = draws
        self._held: tuple[tuple[int, str], list[Points]] | None = None

    def resample(self) -> None:
        """Draw new points."""
        self.redraw(self.draws + 1)

    def evaluate(self, parameters: Array) -> tuple[float, Array, dict[str, float]]:
        """Loss, gradient, and the terms of the loss by name."""
        return self.recovery.attempt(lambda: self._evaluate(parameters))

    def _evaluate(self, parameters: Array) -> tuple[float, Array, dict[str, float]]:
        with placed_on(self.recovery.state.device):
            parts = []
            for points in self._points():
                loss, gradient, terms = self._loss(tf.constant(parameters), points)
                figures = {name: float(term) for name, term in terms._asdict().items()}
                parts.append((float(loss), gradient.numpy(), figures))
        if len(parts) == 1:
            return parts[0]
        losses, gradients, named = zip(*parts, strict=True)
        means = {name: float(np.mean([figures[name] for figures in named])) for name in named[0]}
        return float(np.mean(losses)), np.mean(gradients, axis=0), means

    def _points(self) -> list[Points]:
        """The points of this draw, drawn when first asked for, in as many parts as memory asks for."""
        state = self.recovery.state
        conditions = (state.batch_size, state.device)
        if self._held is None or self._held[0] != conditions:
            self._held = None  # its memory may be needed
            points, count = self._draw(self.draws - 1), self.size // state.batch_size
            # Every count-th point: so the halves of a tensor of pairs are cut alike.
            parts = [points] if count == 1 else [_every(points, count, first) for first in range(count)]
            self._held = (conditions, parts)
        return self._held[1]

    def objective(self, parameters: Array) -> tuple[float, Array]:
        """Loss and gradient, for the optimizer."""
        return self.evaluate(parameters)[:2]


def smallest_part(size: int) -> int:
    """Return the fewest of so many points that are taken at once."""
    return size // 4 if size % 32 == 0 else size


def _every(points: Points, count: int, first: int) -> Points:
    return tf.nest.map_structure(lambda tensor: tensor[first::count], points)  # type: ignore[no-any-return]


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
    record : TrainingRecord
        What went wrong on the way.
    """

    x: Array
    last_loss: float
    figures: dict[str, float | int | str]
    history: Array
    record: TrainingRecord


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
        return Optimum(result.x, result.value, figures, history, self.problem.recovery.record)

    def _resume(self, size: int) -> AdamState | BfgsState | None:
        state = self.keeper.latest(size)
        if state is None:
            return None
        self.problem.redraw(state.draws)
        self.clock.started -= state.seconds
        self.clock.curve = list(state.curve)
        self.after_adam = state.after_adam
        self.problem.recovery.resume(state.record)
        return state.optimizer

    def _keep(self, state: Callable[[], AdamState | BfgsState]) -> None:
        if not self.keeper.due:
            return
        optimizer, clock = state(), self.clock
        done = optimizer.steps + (self.recipe.adam_steps if isinstance(optimizer, BfgsState) else 0)
        self.keeper.save(
            TrainingState(
                self.keeper.training, done, optimizer, self.problem.draws, self.after_adam, clock.seconds,
                tuple(clock.curve), self.problem.recovery.record,
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
            on_nan=functools.partial(self._after_nan, "Adam"),
        )
        self.after_adam = self.problem.evaluate(x)[0]
        self._require_finite(self.after_adam, f"{self.recipe.adam_steps} Adam steps")
        return x

    def _require_finite(self, loss: float, after: str) -> None:
        if not np.isfinite(loss):
            self.keeper.clear()  # else the next run would go on from there
            raise FloatingPointError(f"the training loss is {loss} after {after}: {_ANOTHER_SEED}")

    def _bfgs(self, start: Array | BfgsState) -> BfgsResult:
        return self_scaled_bfgs(
            self.problem.objective,
            start,
            iterations=self.recipe.bfgs_iterations,
            resample=self.problem.resample,
            resample_every=self.recipe.resample_every,
            callback=lambda step, loss: self.clock.tick("bfgs", self.recipe.adam_steps + step, loss),
            keep=self._keep,
            on_nan=functools.partial(self._after_nan, "BFGS"),
        )

    def _after_nan(self, phase: str, step: int, loss: float, good: Array) -> float:
        """Say how to go on from the last good weights."""
        reason = f"NaN loss detected: the training loss is {loss} after {step} {phase} steps"
        try:
            factor = self.problem.recovery.after_nan(phase, step, reason, _ANOTHER_SEED)
        except TrainingError as error:
            self.keeper.clear()  # else the next run would go on from there
            raise FloatingPointError(str(error)) from error
        gradient = self.problem.objective(good)[1]
        self.problem.recovery.note(
            f"{reason}; went on with smaller steps from the last good weights (the largest is "
            f"{np.abs(good).max():.3g}, of their gradient {np.abs(gradient).max():.3g})"
        )
        return factor


@contextmanager
def recovering(problem: Problem[Any]) -> Iterator[Recovery]:
    """Evaluate a problem under the recovery policy, and leave the block in an orderly way."""
    sizes = {"initial_batch_size": problem.size, "min_batch_size": smallest_part(problem.size)}
    with safe_training(**sizes, rate_factor=0.5) as problem.recovery:
        yield problem.recovery


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
        recovering(problem) as recovery,
        keeping(checkpoint_dir, recipe, checkpoint_seconds, recovery.note) as keeper,
    ):
        return _Run(problem, recipe, clock, keeper).optimum(start)
