"""What decides a training: sizes, steps, seed, and the part of the plane the network learns."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Self

__all__ = ["Domain", "PinnRecipe"]


@dataclass(frozen=True)
class Domain:
    """Region of the reduced plane on which the network is trained and may answer.

    With ``F`` the forward price, ``x = ln(F / K)``, ``s = sigma * sqrt(tau)`` and ``z = x / s``. Rates and
    dividends enter only through ``F`` and the discount factor, so they need no bounds of their own.

    Parameters
    ----------
    s_min, s_max : float
        Bounds of the total volatility ``s``. The default reaches from 10 % over an hour to 100 % over nine
        years.
    z_max : float
        Largest ``|z|``: a cut at fewer standard deviations leaves the tail undetermined.
    x_max : float
        Largest ``|x|``; 5 is a forward 148 times the strike.
    """

    s_min: float = 0.001
    s_max: float = 3.0
    z_max: float = 7.0
    x_max: float = 5.0

    def __post_init__(self) -> None:
        values = (self.s_min, self.s_max, self.z_max, self.x_max)
        if not all(math.isfinite(v) and v > 0 for v in values) or self.s_min >= self.s_max:
            raise ValueError(
                f"a domain needs finite positive bounds with s_min < s_max, got {self!r}: correct the bounds"
            )


@dataclass(frozen=True)
class PinnRecipe:
    """How a network is trained.

    Parameters
    ----------
    adam_steps : int
        First-order steps that bring the weights near a valley (learning rate 2e-3, cosine decay).
    bfgs_iterations : int
        Self-scaled BFGS iterations that follow; they give the last six digits.
    points : int
        Collocation points in a batch; a power of two keeps the Sobol sequence balanced.
    width, depth : int
        Units of a tanh layer, and number of such layers.
    seed : int
        Decides the first weights and every collocation point: equal recipes give equal weights.
    resample_every : int
        BFGS iterations between two draws of collocation points.
    physics_weight : float
        Weight of the PDE residual against the boundary and parity terms of the loss. The constraints are
        built into the ansatz, so those terms are zero for any weights; they are computed and reported all the
        same, and would count if the ansatz were broken.
    time_budget : float, optional
        Seconds after which training stops with the best weights so far. A training cut by the clock is not
        reproducible to the bit, so there is no budget unless asked for.
    domain : Domain
        Where collocation points are drawn.
    """

    adam_steps: int = 600
    bfgs_iterations: int = 6000
    points: int = 1024
    width: int = 24
    depth: int = 2
    seed: int = 0
    resample_every: int = 1000
    physics_weight: float = 10.0
    time_budget: float | None = None
    domain: Domain = field(default_factory=Domain)

    @classmethod
    def quick(cls, seed: int = 0) -> Self:
        """A training of some ten seconds for tests and trials.

        It passes the gates, whose grid its narrower domain just covers, but without the margin of the
        default.
        """
        return cls(
            adam_steps=300,
            bfgs_iterations=2000,
            points=1024,
            width=16,
            seed=seed,
            domain=Domain(s_min=0.0025, s_max=1.2),
        )

    def __post_init__(self) -> None:
        for name in ("points", "width", "depth", "resample_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}: correct the recipe")
        for name in ("adam_steps", "bfgs_iterations", "seed"):
            if getattr(self, name) < 0:
                raise ValueError(
                    f"{name} must not be negative, got {getattr(self, name)}: correct the recipe"
                )
        if not (math.isfinite(self.physics_weight) and self.physics_weight > 0):
            raise ValueError(
                f"physics_weight must be positive, got {self.physics_weight}: "
                f"without the residual nothing is learned"
            )
        if self.time_budget is not None and not self.time_budget > 0:
            raise ValueError(f"time_budget must be positive seconds or None, got {self.time_budget}")
