"""A small network, trained once for the whole test run, and a store that holds it certified."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ml_assets.gates.options.european import pinn_gates
from ml_assets.pinn import Domain, LatencyReport, PinnRecipe, PinnWeights
from ml_assets.pinn.european.weights import initial_parameters
from ml_assets.pinn.serving.certified import STORE_VARIABLE
from ml_assets.pinn.serving.latency import Peer
from ml_assets.pinn.serving.timing import Timing
from ml_assets.pinn.weights import NetworkWeights
from ml_assets.storage import ArtifactStore, FileLock, GateVerdict, certify

__all__ = [
    "ALIAS",
    "imported_by_serving",
    "latency_report",
    "pinn_store",
    "publish",
    "quick_weights",
    "random_weights",
    "shared_folder",
    "tensors",
]

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
            from ml_assets.pinn.european.training import train_pinn

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


def latency_report(milliseconds: float = 0.1) -> LatencyReport:
    """A report of a serving process that nobody has measured."""
    timing = Timing.of([milliseconds] * 200)
    return LatencyReport(
        weights_sha256="0" * 64,
        cold_start_ms=500.0,
        single=timing,
        cached=timing,
        price=timing,
        threads=timing,
        threads_per_second=8e3,
        batch={"64": Timing.of([0.64]), "10000": Timing.of([5.0])},
        price_batch={"64": Timing.of([0.32]), "10000": Timing.of([2.0])},
        record_batch={"64": Timing.of([0.64])},
        resident_mb=70.0,
        resident_after_large_batches_mb=71.0,
        tensorflow_imported=False,
        pandas_imported=False,
        machine="a machine",
        peers=(
            Peer("closed form (NumPy)", "2.4", single=timing, batch_per_second={"64": 1e6}),
            Peer("QuantLib", missing="not installed: pip install -e '.[benchmarks]'"),
        ),
    )


def tensors(weights: NetworkWeights) -> list[tuple[object, object]]:
    """Layers as the training takes them."""
    import tensorflow as tf

    pairs = zip(weights.kernels, weights.biases, strict=True)
    return [(tf.constant(kernel), tf.constant(bias)) for kernel, bias in pairs]


def imported_by_serving(store: Path, *prices: str) -> set[str]:
    """Which heavy packages a fresh process has loaded after these calls of a ``cache``."""
    lines = ["import sys", "from ml_assets.pinn import PINNCache", "cache = PINNCache()", *prices]
    done = subprocess.run(
        [sys.executable, "-c", "\n".join([*lines, "print(' '.join(sys.modules))"])],
        env={**os.environ, STORE_VARIABLE: str(store)},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    heavy = {"tensorflow", "keras", "pandas", "dagster", "h5py", "QuantLib", "matplotlib", "jinja2"}
    return heavy & set(done.stdout.split())
