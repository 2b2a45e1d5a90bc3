"""The trained exercise boundary as a value."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from ml_assets.pinn.american.recipe import AmericanDomain
from ml_assets.pinn.weights import NetworkWeights

__all__ = ["INPUTS", "AmericanWeights"]

INPUTS = 4
"""Inputs of the boundary network: ln s, ln(r / sigma**2), q / (q + r), tanh((1 + s) ln(q / r) / 2s)."""


@dataclass(frozen=True, eq=False)
class AmericanWeights(NetworkWeights):
    """A network for the exercise boundary of American puts; see :mod:`ml_assets.pinn.american.boundary`."""

    kind: ClassVar[str] = "american_weights"
    inputs: ClassVar[int] = INPUTS
    domain_type: ClassVar[type[Any]] = AmericanDomain
    name: ClassVar[str] = "American"
    command: ClassVar[str] = "american"

    domain: AmericanDomain = field(default_factory=AmericanDomain)
