"""A small network, trained once for the whole test run, and a store that holds it certified."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from ml_assets.gates.options import pinn_gates
from ml_assets.pinn import Domain, PinnRecipe, PinnWeights
from ml_assets.pinn.weights import initial_parameters
from ml_assets.storage import ArtifactStore, FileLock, GateVerdict, certify

__all__ = ["ALIAS", "pinn_store", "publish", "quick_weights", "random_weights", "shared_folder"]

ALIAS = "models/pinn/option_pricing/option_pricing.npz"


def shared_folder(factory: pytest.TempPathFactory) -> Path:
    """A folder of this test run alone, seen by all its xdist workers."""
    base = factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session")
def quick_weights(tmp_path_factory: pytest.TempPathFactory) -> PinnWeights:
    """``PinnRecipe.quick()``, trained by whichever worker comes first."""
    path = shared_folder(tmp_path_factory) / "pinn_quick.npz"
    with FileLock(path.with_suffix(".lock"), timeout=300):
        if not path.exists():
            from ml_assets.pinn.training import train_pinn

            path.write_bytes(train_pinn(PinnRecipe.quick()).to_bytes())
    return PinnWeights.from_bytes(path.read_bytes())


def publish(store: ArtifactStore, weights: PinnWeights) -> str:
    """Gate and publish a network the way the pipeline does; returns its sha256."""
    data = weights.to_bytes()
    verdicts = [GateVerdict(g.gate, g.passed, g.message, g.figures) for g in pinn_gates(weights)]
    certificate = certify(
        data,
        asset="pinn_weights",
        kind=PinnWeights.kind,
        extension=PinnWeights.extension,
        gates=verdicts,
        code_version="test",
    )
    return store.publish(data, certificate, alias=ALIAS).sha256


@pytest.fixture(scope="session")
def pinn_store(quick_weights: PinnWeights, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Root of a store whose current version of ``pinn_weights`` has passed every gate. Do not write to it."""
    root = tmp_path_factory.mktemp("pinn_store")
    publish(ArtifactStore(root), quick_weights)
    return root


def random_weights(seed: int, scale: float = 1.0, width: int = 8, depth: int = 2) -> PinnWeights:
    """A network that nobody has trained."""
    parameters = scale * initial_parameters(width, depth, seed)
    parameters = parameters + 0.1 * scale * np.random.default_rng(seed + 1).normal(size=parameters.size)
    return PinnWeights.from_parameters(parameters, width, depth, domain=Domain(), seed=seed)
