"""What decides the training of the exercise boundary, and where the network may answer."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt

from ml_assets.pinn.recipe import TrainingRecipe

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
class AmericanRecipe(TrainingRecipe):
    """How the boundary is trained; see :class:`ml_assets.pinn.recipe.TrainingRecipe` for what is not here.

    Parameters
    ----------
    points : int
        Collocation points in a draw; with fewer than some 4,000 the default network overfits them.
    nodes : int
        Gauss-Legendre nodes of the premium integral in the loss.
    matching_weight : float
        Weight of value matching, a price error, against the fixed-point equation, an error of the boundary.
    slope_weight : float
        Weight of the fixed point's slope in the dividend where there is none; without it rho of a call at
        rates near 0 is left to chance.
    domain : AmericanDomain
        Where collocation points are drawn.
    """

    bfgs_iterations: int = 8000
    points: int = 4096
    width: int = 28
    resample_every: int = 400
    nodes: int = 12
    matching_weight: float = 1e4
    slope_weight: float = 1.0
    domain: AmericanDomain = field(default_factory=AmericanDomain)

    _counts: ClassVar[tuple[str, ...]] = (*TrainingRecipe._counts, "nodes")
    _loss_weights: ClassVar[tuple[str, ...]] = ("matching_weight", "slope_weight")

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
