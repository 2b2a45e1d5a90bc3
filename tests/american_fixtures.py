"""A small boundary network, trained once for the whole test run."""

from __future__ import annotations

import numpy as np
import pytest

from ml_assets.gates.options.american import AmericanThresholds
from ml_assets.pinn.american import AmericanDomain, AmericanRecipe, AmericanWeights
from ml_assets.pinn.american.weights import INPUTS
from ml_assets.pinn.weights import glorot_parameters, layer_shapes
from ml_assets.storage import FileLock
from tests.pinn_fixtures import shared_folder

__all__ = ["LIMITS", "american_quick", "random_american"]

# Inside of the box that the quick recipe trains on: few steps leave its faces less accurate, and the
# boundary's own derivatives, on which rho near it rests, more than the price. A wrong sign is an error of 1.
LIMITS = AmericanThresholds(
    domain=AmericanDomain(
        sigma_min=0.2, sigma_max=0.5, tau_min=0.1, tau_max=0.8, r_min=0.02, r_max=0.1, q_max=0.08
    ),
    options=120,
    per_axis=2,
    greek_options=40,
    rungs=101,
    greeks_p99=2e-2,
)


@pytest.fixture(scope="session")
def american_quick(tmp_path_factory: pytest.TempPathFactory) -> AmericanWeights:
    """``AmericanRecipe.quick()``, trained by whichever worker comes first."""
    path = shared_folder(tmp_path_factory) / "american_quick.npz"
    with FileLock(path.with_suffix(".lock"), timeout=300):
        if not path.exists():
            from ml_assets.pinn.american import train_american

            path.write_bytes(train_american(AmericanRecipe.quick()).to_bytes())
    return AmericanWeights.from_bytes(path.read_bytes())


def random_american(seed: int, width: int = 8, depth: int = 2) -> AmericanWeights:
    """A network that nobody has trained."""
    parameters = glorot_parameters(layer_shapes(width, depth, INPUTS), seed, 0.0)
    parameters = parameters + 0.1 * np.random.default_rng(seed + 1).normal(size=parameters.size)
    return AmericanWeights.from_parameters(parameters, width, depth, seed=seed)
