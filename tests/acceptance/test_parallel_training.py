import io
import json
import multiprocessing as mp
import time
from pathlib import Path

import h5py
import numpy as np

from ml_assets.mamba import MambaConfig, MambaWeights, TrainingRecipe, train_mamba
from ml_assets.prices.simulated import simulate
from ml_assets.storage import ArtifactStore, GateVerdict, certify
from ml_assets.windows.augmented_set import AugmentedSet, augment_sequences
from ml_assets.windows.sequences import build_sequences

SYMBOLS = ("AAPL", "BRK.B", "^GSPC")
JOBS = [(SYMBOLS[i % 3], seed) for i, seed in enumerate(range(15))]
PROCESSES = 10
CONFIG = MambaConfig(d_model=8, d_state=4, head_dim=8)
RECIPE = TrainingRecipe(epochs=1, jit_compile=False)


def work(folder, number, together):
    """One process: train its share of the jobs and publish each through the store."""
    from ml_assets.gates.models.training import (
        training_rows_only,
        weights_finite_and_complete,
        weights_reload,
    )
    from ml_assets.training.backend import limit_threads

    limit_threads(1)
    store = ArtifactStore(folder / "store", keep_versions=10)
    for round_, (symbol, seed) in enumerate(JOBS[number::PROCESSES]):
        data = AugmentedSet.from_bytes((folder / f"{SYMBOLS.index(symbol)}.npz").read_bytes())
        weights = train_mamba(data, CONFIG, RECIPE, seed=seed)
        blob = weights.to_bytes()
        gates = (
            weights_finite_and_complete(weights),
            training_rows_only(weights, data),
            weights_reload(blob, data),
        )  # fmt: skip
        certificate = certify(
            blob, asset="mamba_weights", partition=symbol, kind=weights.kind, extension=weights.extension,
            gates=[GateVerdict.of(gate) for gate in gates], code_version="test",
        )  # fmt: skip
        if round_ == 0:
            together.wait(timeout=120)  # ten publications at the same instant
        store.publish(blob, certificate, alias=f"weights/{symbol}.weights.h5")


def look(store: Path) -> int:
    """Open every file of the store, as a reader would while others write; return how many."""
    seen = 0
    for path in store.rglob("*"):
        if path.name.startswith(".") or path.suffix not in (".json", ".h5"):
            continue
        try:
            blob = path.read_bytes()
        except FileNotFoundError:
            continue
        seen += 1
        if path.suffix == ".json":
            assert isinstance(json.loads(blob), dict), f"partial JSON: {path}"
        else:
            with h5py.File(io.BytesIO(blob), "r") as file:
                assert file["head/vars/0"][()].size, f"no content: {path}"
    return seen


def test_parallel_training_no_corruption(tmp_path):
    """R3: 10 processes train 15 jobs over 3 symbols at once: all succeed, every file is always whole."""
    for i, symbol in enumerate(SYMBOLS):
        market = simulate("ar1", 900, best_accuracy=0.75, seed=i, symbol=symbol)
        (tmp_path / f"{i}.npz").write_bytes(augment_sequences(build_sequences(market.prices)).to_bytes())
    spawn = mp.get_context("spawn")
    together = spawn.Barrier(PROCESSES)
    crowd = [spawn.Process(target=work, args=(tmp_path, n, together)) for n in range(PROCESSES)]
    for process in crowd:
        process.start()
    try:
        while any(process.is_alive() for process in crowd):
            look(tmp_path / "store")
            time.sleep(0.2)
    finally:
        for process in crowd:
            process.kill()
            process.join()
    assert [process.exitcode for process in crowd] == [0] * PROCESSES

    store = ArtifactStore(tmp_path / "store")
    assert look(tmp_path / "store") > 0
    for symbol in SYMBOLS:
        versions = store.versions("mamba_weights", symbol)
        assert len(versions) == 5, "one version for each job of the symbol"
        for version in versions:
            data, certificate = store.read("mamba_weights", symbol, version.sha256)
            weights = MambaWeights.from_bytes(data)
            assert weights.symbol == symbol
            assert certificate.passed
        seeds = {
            MambaWeights.from_bytes(store.read("mamba_weights", symbol, v.sha256)[0]).seed for v in versions
        }
        assert seeds == {seed for name, seed in JOBS if name == symbol}
        current, _ = store.read("mamba_weights", symbol)
        alias = tmp_path / "store" / "weights" / f"{symbol}.weights.h5"
        assert alias.read_bytes() == current
        with h5py.File(alias, "r") as file:
            assert all(np.isfinite(file[path][()]).all() for path in weights.arrays)
