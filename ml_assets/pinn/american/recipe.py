"""What decides the training of the exercise boundary, and where the network may answer."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Self

import numpy as np
import numpy.typing as npt

__all__ = ["AmericanDomain", "AmericanRecipe"]

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class AmericanDomain:
    """Box of puts on whose reduced variables the boundary is trained.

    An American put depends on time, volatility and rates only through ``s = sigma sqrt(tau)``, ``r /
    sigma**2`` and ``q / sigma**2``: another unit of time is another put of the box. So the network answers
    for every put that *some* choice of the unit brings into the box, for instance for volatilities far above
    ``sigma_max`` over short times. Moneyness has no bound: the premium integral is exact in the spot.

    Parameters
    ----------
    sigma_min, sigma_max : float
        Volatility per year.
    tau_min, tau_max : float
        Years.
    r_min, r_max : float
        Interest rate per year; ``r_min`` is positive, since without interest a put is never exercised early.
    q_max : float
        Largest dividend yield per year; the smallest is 0.
    """

    sigma_min: float = 0.05
    sigma_max: float = 0.9
    tau_min: float = 1.0 / 365.0
    tau_max: float = 3.0
    r_min: float = 0.001
    r_max: float = 0.12
    q_max: float = 0.12

    def __post_init__(self) -> None:
        pairs = ((self.sigma_min, self.sigma_max), (self.tau_min, self.tau_max), (self.r_min, self.r_max))
        bounds = (*(bound for pair in pairs for bound in pair), self.q_max)
        if not all(math.isfinite(b) and b > 0 for b in bounds) or any(low >= high for low, high in pairs):
            raise ValueError(
                f"a domain needs finite positive bounds, each minimum below its maximum, got {self!r}: "
                f"correct the bounds"
            )

    def contains(self, s: Array, rate: Array, dividend: Array) -> npt.NDArray[np.bool_]:
        """Which puts lie in the box in some unit of time.

        Parameters
        ----------
        s : ndarray of shape (n,)
            Total volatility ``sigma sqrt(tau)``, positive.
        rate, dividend : ndarray of shape (n,)
            ``r / sigma**2`` and ``q / sigma**2``.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            # The variances for which each bound holds; the put is inside if one variance meets them all.
            low = np.maximum(np.maximum(s**2 / self.tau_max, self.r_min / rate), self.sigma_min**2)
            high = np.minimum(np.minimum(s**2 / self.tau_min, self.r_max / rate), self.sigma_max**2)
            high = np.where(dividend > 0.0, np.minimum(high, self.q_max / dividend), high)
        slack = 1.0 + 1e-12  # the edges of the box belong to it, whatever rounding says
        inside: npt.NDArray[np.bool_] = (rate > 0.0) & (dividend >= 0.0) & (low <= high * slack)
        return inside


@dataclass(frozen=True)
class AmericanRecipe:
    """How the boundary is trained.

    Parameters
    ----------
    adam_steps : int
        First-order steps, new points at each (learning rate 2e-3, cosine decay).
    bfgs_iterations : int
        Self-scaled BFGS iterations that follow.
    points : int
        Collocation points in a draw; with fewer than some 4,000 the default network overfits them.
    nodes : int
        Gauss-Legendre nodes of the premium integral in the loss.
    width, depth : int
        Units of a tanh layer, and number of such layers.
    seed : int
        Decides the first weights and every collocation point: equal recipes give equal weights.
    resample_every : int
        BFGS iterations between two draws of points.
    matching_weight : float
        Weight of value matching, a price error, against the fixed-point equation, an error of the boundary.
    time_budget : float, optional
        Seconds after which training stops with the best weights so far; then it is not reproducible to the
        bit, so there is no budget unless asked for.
    domain : AmericanDomain
        Where collocation points are drawn.
    """

    adam_steps: int = 600
    bfgs_iterations: int = 8000
    points: int = 4096
    nodes: int = 12
    width: int = 28
    depth: int = 2
    seed: int = 0
    resample_every: int = 400
    matching_weight: float = 1e4
    time_budget: float | None = None
    domain: AmericanDomain = field(default_factory=AmericanDomain)

    @classmethod
    def quick(cls, seed: int = 0) -> Self:
        """A training of seconds for tests and trials, on a narrower box and to fewer digits."""
        return cls(
            adam_steps=200,
            bfgs_iterations=2000,
            points=512,
            width=14,
            seed=seed,
            resample_every=200,
            domain=AmericanDomain(
                sigma_min=0.15, sigma_max=0.6, tau_min=0.05, tau_max=1.0, r_min=0.01, r_max=0.12, q_max=0.1
            ),
        )

    def __post_init__(self) -> None:
        for name in ("points", "nodes", "width", "depth", "resample_every"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}: correct the recipe")
        for name in ("adam_steps", "bfgs_iterations", "seed"):
            if getattr(self, name) < 0:
                raise ValueError(
                    f"{name} must not be negative, got {getattr(self, name)}: correct the recipe"
                )
        if not (math.isfinite(self.matching_weight) and self.matching_weight > 0):
            raise ValueError(f"matching_weight must be positive, got {self.matching_weight}")
        if self.time_budget is not None and not self.time_budget > 0:
            raise ValueError(f"time_budget must be positive seconds or None, got {self.time_budget}")
