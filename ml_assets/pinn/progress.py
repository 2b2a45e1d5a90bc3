"""How far a training is: reports to whoever watches, the loss curve, the time budget."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from ml_assets.pinn.recipe import TrainingRecipe

__all__ = ["Clock", "Progress", "ProgressCallback"]

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
        Since the start, compilation included; with those of an interrupted run that this one goes on with.
    """

    phase: str
    step: int
    total: int
    loss: float
    seconds: float


ProgressCallback = Callable[[Progress], None]


class Clock:
    """Reports progress, keeps the loss curve and watches the time budget."""

    def __init__(self, recipe: TrainingRecipe, progress: ProgressCallback | None) -> None:
        self.started = time.monotonic()
        self.curve: list[tuple[float, float]] = []
        self._budget = recipe.time_budget
        self._total = recipe.adam_steps + recipe.bfgs_iterations
        self._progress = progress

    @property
    def seconds(self) -> float:
        """Time since the start, with that of an interrupted run before."""
        return time.monotonic() - self.started

    def tick(self, phase: str, step: int, loss: float) -> bool:
        """Note a step; True when the budget is spent."""
        seconds = self.seconds
        if step % _REPORT_EVERY == 0 or step == self._total:
            self.curve.append((step, loss))
            if self._progress is not None:
                self._progress(Progress(phase, step, self._total, loss, seconds))
        return self._budget is not None and seconds >= self._budget
