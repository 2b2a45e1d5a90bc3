"""What decides the training of any option network: sizes, steps, seed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

__all__ = ["TrainingRecipe"]


@dataclass(frozen=True)
class TrainingRecipe:
    """What every training of a network has; equal recipes give equal weights.

    Parameters
    ----------
    adam_steps : int
        First-order steps that bring the weights near a valley, new points at each (learning rate 2e-3, cosine
        decay).
    bfgs_iterations : int
        Self-scaled BFGS iterations that follow; they give the last digits.
    points : int
        Collocation points in a draw; a power of two keeps the Sobol sequence balanced.
    width, depth : int
        Units of a tanh layer, and number of such layers.
    seed : int
        Decides the first weights and every collocation point.
    resample_every : int
        BFGS iterations between two draws of collocation points.
    time_budget : float, optional
        Seconds after which training stops with the best weights so far. A training cut by the clock is not
        reproducible to the bit, so there is no budget unless asked for.
    """

    adam_steps: int = 600
    bfgs_iterations: int = 6000
    points: int = 1024
    width: int = 24
    depth: int = 2
    seed: int = 0
    resample_every: int = 1000
    time_budget: float | None = None

    _counts: ClassVar[tuple[str, ...]] = ("points", "width", "depth", "resample_every")
    _loss_weights: ClassVar[tuple[str, ...]]

    def __post_init__(self) -> None:
        for names, least in ((self._counts, 1), (("adam_steps", "bfgs_iterations", "seed"), 0)):
            for name in names:
                if (value := getattr(self, name)) < least:
                    raise ValueError(f"{name} must be at least {least}, got {value}: correct the recipe")
        for name in self._loss_weights:
            if not (math.isfinite(weight := getattr(self, name)) and weight > 0):
                raise ValueError(f"{name} must be positive, got {weight}: that term of the loss is needed")
        if self.time_budget is not None and not self.time_budget > 0:
            raise ValueError(f"time_budget must be positive seconds or None, got {self.time_budget}")
