"""Child programs that train: ``python -m tests.faults.training_workers NAME ARGUMENTS``.

TensorFlow's import costs seconds, a fork milliseconds: `zygote` imports once, runs no operation, and forks a
child for each line that it reads.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import signal
import sys
import time
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np

from ml_assets.storage import ArtifactStore, GateVerdict, certify
from ml_assets.training import TrainingErrorHandler
from ml_assets.training.backend import keras
from ml_assets.windows.augmented_set import AugmentedSet

EPOCHS, ROWS = 10, 70


class Slow(keras.callbacks.Callback):
    """Stretch a training, so that there are moments at which to disturb it."""

    def on_train_batch_end(self, batch, logs=None):
        time.sleep(0.01)


def fit_net(folder: str) -> None:
    """Train a net that draws random numbers; at the end write down a hash of all that it came to."""
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(8, activation="tanh"), keras.layers.Dropout(0.5), keras.layers.Dense(1)]
    model = keras.Sequential(layers)
    model.compile(optimizer=keras.optimizers.AdamW(1e-2), loss="mse")
    rng = np.random.default_rng(1)
    X = rng.standard_normal((ROWS, 4)).astype(np.float32)
    handler = TrainingErrorHandler(initial_batch_size=16, checkpoint_dir=Path(folder) / "checkpoints")
    result = handler.train_with_recovery(
        model, X, X.sum(axis=1), epochs=EPOCHS, verbose=0, callbacks=[Slow()]
    )
    assert result["success"], result
    digest = hashlib.sha256(json.dumps(result["history"]).encode())
    for variable in [*model.weights, *model.optimizer.variables]:
        digest.update(np.asarray(variable).tobytes())
    (Path(folder) / "result").write_text(digest.hexdigest())


def fit_in_little_memory(folder: str, spare_mb: str) -> None:
    """Train where a large batch does not fit into the address space, without any injected fault."""
    X = np.zeros((4096, 256), np.float32)
    model = keras.Sequential([keras.layers.Dense(16_384, activation="relu"), keras.layers.Dense(1)])
    model.compile(optimizer="sgd", loss="mse", jit_compile=False)
    model.fit(X[:8], X[:8, 0], batch_size=8, verbose=0)  # TensorFlow's own threads and arenas come first
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    limit = used + int(spare_mb) * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    handler = TrainingErrorHandler(initial_batch_size=4096)
    result = handler.train_with_recovery(model, X, X[:, 0], epochs=1, verbose=0)
    keys = ("success", "recovery_attempts", "batch_size", "warnings", "error")
    (Path(folder) / "result").write_text(json.dumps({key: result[key] for key in keys}))


def train_and_publish(folder: str, symbol: str, seed: str) -> None:
    """Train a small Mamba for real and publish it through its gates; say when publication begins."""
    from ml_assets.gates.models.training import (
        training_rows_only,
        weights_finite_and_complete,
        weights_reload,
    )
    from ml_assets.mamba import train_mamba
    from tests.unit.mamba.sample import QUICK, TINY

    root = Path(folder)
    rows = AugmentedSet.from_bytes((root / f"{symbol}.npz").read_bytes())
    weights = train_mamba(rows, TINY, replace(QUICK, epochs=1), seed=int(seed))
    data = weights.to_bytes()
    gates = (
        weights_finite_and_complete(weights),
        training_rows_only(weights, rows),
        weights_reload(data, rows),
    )
    certificate = certify(
        data, asset="mamba_weights", partition=symbol, kind=weights.kind, extension=weights.extension,
        gates=[GateVerdict.of(gate) for gate in gates], code_version="test",
    )  # fmt: skip
    (root / "publishing").touch()
    started = time.monotonic()
    ArtifactStore(root / "store", keep_versions=10_000).publish(
        data, certificate, alias=f"weights/{symbol}.weights.h5"
    )
    (root / "published").write_text(f"{certificate.sha256} {time.monotonic() - started}")


def train_options(folder: str) -> None:
    """Train a small option network with a checkpoint after every step; at the end write down its bytes."""
    from ml_assets.pinn import PinnRecipe, train_pinn

    recipe = PinnRecipe(adam_steps=200, bfgs_iterations=200, points=128, width=6, resample_every=70)
    weights = train_pinn(recipe, checkpoint_dir=Path(folder) / "checkpoints", checkpoint_seconds=0.0)
    (Path(folder) / "result").write_bytes(weights.to_bytes())


def train_boundary(folder: str) -> None:
    """Do the same with the network for American options."""
    from ml_assets.pinn.american import AmericanRecipe, train_american

    recipe = AmericanRecipe(
        adam_steps=200, bfgs_iterations=200, points=64, nodes=8, width=6, resample_every=70
    )
    weights = train_american(recipe, checkpoint_dir=Path(folder) / "checkpoints", checkpoint_seconds=0.0)
    (Path(folder) / "result").write_bytes(weights.to_bytes())


def zygote() -> None:
    """Fork a child for each line ``NAME ARGUMENTS``; print its number, then how it ended."""
    for needed in (
        "ml_assets.mamba.recipe",
        "ml_assets.mamba.predict",
        "ml_assets.gates.models.training",
        "ml_assets.pinn.european.training",
        "ml_assets.pinn.american.training",
    ):
        import_module(needed)  # once here, not in every child
    for line in sys.stdin:
        name, *arguments = line.split()
        pid = os.fork()
        if pid == 0:
            status = 1
            signal.signal(signal.SIGINT, signal.default_int_handler)
            try:
                WORKERS[name](*arguments)
                status = 0
            except SystemExit as leaving:
                status = int(leaving.code or 0)
            except KeyboardInterrupt:
                status = 130
            finally:
                os._exit(status)
        print(pid, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


WORKERS = {
    f.__name__: f
    for f in (fit_net, fit_in_little_memory, train_and_publish, train_options, train_boundary, zygote)
}

if __name__ == "__main__":
    WORKERS[sys.argv[1]](*sys.argv[2:])
