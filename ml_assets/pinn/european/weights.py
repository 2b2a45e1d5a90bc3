"""The trained European network as a value."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from ml_assets.pinn.european.recipe import Domain
from ml_assets.pinn.weights import NetworkWeights, glorot_parameters, layer_shapes

__all__ = ["INPUTS", "PinnWeights", "initial_parameters"]

INPUTS = 3
"""Inputs of the network: two even functions of z, and s."""


def initial_parameters(width: int, depth: int, seed: int) -> npt.NDArray[np.float64]:
    """Parameters that the European training starts from, shape (n_parameters,).

    The output's bias is the exact at-the-money value ``-ln(2 pi)`` of the small-volatility limit.
    """
    return glorot_parameters(layer_shapes(width, depth, INPUTS), seed, -np.log(2.0 * np.pi))


@dataclass(frozen=True, eq=False)
class PinnWeights(NetworkWeights):
    """A network for European options, ready to serve; outside its domain the closed form answers."""

    kind: ClassVar[str] = "pinn_weights"
    inputs: ClassVar[int] = INPUTS
    domain_type: ClassVar[type[Any]] = Domain
    name: ClassVar[str] = "PINN"
    command: ClassVar[str] = "pinn"

    domain: Domain = field(default_factory=Domain)
