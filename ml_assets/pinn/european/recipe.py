"""What decides the training of the European network, and the part of the plane that it learns."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar, Self

from ml_assets.pinn.recipe import TrainingRecipe

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
class PinnRecipe(TrainingRecipe):
    """How a network for European options is trained; see
    :class:`ml_assets.pinn.recipe.TrainingRecipe` for the other parameters.

    Parameters
    ----------
    physics_weight : float
        Weight of the PDE residual against the boundary and parity terms of the loss. The constraints are
        built into the ansatz, so those terms are zero for any weights; they are computed and reported all the
        same, and would count if the ansatz were broken.
    domain : Domain
        Where collocation points are drawn.
    """

    physics_weight: float = 10.0
    domain: Domain = field(default_factory=Domain)

    _loss_weights: ClassVar[tuple[str, ...]] = ("physics_weight",)

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
