"""A file that is not the network that was trained is refused by name, on every way to the price server."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ml_assets.mamba import MambaBaseWeights
from ml_assets.pinn import OptionPricingPINN, PINNCache, PinnWeights, WeightsError
from ml_assets.pinn.serving import certified
from ml_assets.pinn.weights import _digest
from ml_assets.storage import ArtifactStore, GateVerdict, NotCertified, certify
from tests.pinn_fixtures import publish, random_weights

GOOD = random_weights(1)


def _contents() -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    with np.load(io.BytesIO(GOOD.to_bytes())) as archive:
        arrays = {name: archive[name] for name in archive.files}
    return arrays, json.loads(arrays.pop("meta").tobytes())


def _written(arrays: dict[str, np.ndarray], meta: dict[str, Any], *, honest: bool) -> bytes:
    """A file as a script would write it; an honest one carries the right digest."""
    if honest:
        meta.pop("digest")
        meta["digest"] = _digest(arrays, meta)
    buffer = io.BytesIO()
    np.savez(buffer, **arrays, meta=np.frombuffer(json.dumps(meta).encode(), dtype=np.uint8))
    return buffer.getvalue()


def one_weight_moved() -> bytes:
    arrays, meta = _contents()
    arrays["kernel_1"] = arrays["kernel_1"].copy()
    arrays["kernel_1"][0, 0] += 1e-9
    return _written(arrays, meta, honest=False)


def wider_domain_claimed() -> bytes:
    arrays, meta = _contents()
    meta["domain"]["s_max"] = 30.0
    return _written(arrays, meta, honest=False)


def other_activation() -> bytes:
    arrays, meta = _contents()
    meta["architecture"]["activation"] = "relu"
    return _written(arrays, meta, honest=True)


def five_inputs() -> bytes:
    arrays, meta = _contents()
    arrays["kernel_0"] = np.zeros((5, 8))
    return _written(arrays, meta, honest=True)


def domain_of_another_problem() -> bytes:
    arrays, meta = _contents()
    meta["domain"] = {"ratio_min": 0.1, "ratio_max": 3.0}
    return _written(arrays, meta, honest=True)


def older_format() -> bytes:
    arrays, meta = _contents()
    meta["format"] = 1
    return _written(arrays, meta, honest=True)


def truncated() -> bytes:
    return GOOD.to_bytes()[:-200]


def mamba_file() -> bytes:
    """An HDF5 signature and what follows: the weights of the stock models."""
    return b"\x89HDF\r\n\x1a\n" + bytes(2000)


def empty_file() -> bytes:
    return b""


REFUSED: list[tuple[Callable[[], bytes], str]] = [
    (one_weight_moved, "something has changed them"),
    (wider_domain_claimed, "something has changed them"),
    (other_activation, "relu layers"),
    (five_inputs, r"layer 0: kernel \(5, 8\)"),
    (domain_of_another_problem, "no PINN weights.*ratio_min"),
    (older_format, "weights of format 1, this version reads 2"),
    (truncated, "no PINN weights"),
    (mamba_file, "no PINN weights"),
    (empty_file, "these 0 bytes are no PINN weights"),
]


@pytest.mark.parametrize(("make", "said"), REFUSED)
def test_loose_file_is_refused_by_name(make: Callable[[], bytes], said: str, tmp_path: Path) -> None:
    path = tmp_path / "option_pricing.npz"
    path.write_bytes(make())
    model = OptionPricingPINN()
    with pytest.raises(WeightsError, match=rf"option_pricing\.npz: .*{said}"):
        model.load_weights(path)
    with pytest.raises(WeightsError, match=rf"option_pricing\.npz: .*{said}"):
        PINNCache(weights=path)
    with pytest.raises(WeightsError, match="no weights"):
        model.predict(S=100, K=100, tau=1.0)  # nothing of it was kept


@pytest.mark.parametrize(("make", "said"), REFUSED)
def test_certified_as_the_network_it_is_refused_all_the_same(
    make: Callable[[], bytes], said: str, tmp_path: Path
) -> None:
    """Even where a certificate vouches for the bytes."""
    data = make()
    gates = [GateVerdict("anything", True, "")]
    certificate = certify(
        data, asset="pinn_weights", kind="pinn_weights", extension=".npz", gates=gates, code_version="t"
    )
    ArtifactStore(tmp_path).publish(data, certificate)
    with pytest.raises(WeightsError, match=said):
        PINNCache(store=tmp_path).predict_with_cache(S=100, K=100, tau=1.0)


@pytest.mark.parametrize("make", [make for make, _ in REFUSED])
def test_put_in_the_place_of_the_certified_one_it_is_refused(
    make: Callable[[], bytes], quick_weights: PinnWeights, tmp_path: Path
) -> None:
    sha256 = publish(ArtifactStore(tmp_path), quick_weights)
    (victim,) = tmp_path.rglob(f"versions/{sha256}.npz")
    victim.write_bytes(make())
    certified._loaded.clear()
    with pytest.raises(NotCertified, match="pinn_weights"):
        PINNCache(store=tmp_path).predict_with_cache(S=100, K=100, tau=1.0)


def test_no_flipped_bit_is_served() -> None:
    """Wherever one bit of a file flips, it is refused, or the network is the same to the bit."""
    data = GOOD.to_bytes()
    refused = 0
    for at in range(0, len(data), 3):
        damaged = bytearray(data)
        damaged[at] ^= 1 << at % 8
        try:
            found = PinnWeights.from_bytes(bytes(damaged))
        except WeightsError:
            refused += 1
        else:  # a date or a flag of the archive that nobody reads
            assert found.to_bytes() == data
    assert refused > len(data) / 6


def test_option_network_is_no_mamba() -> None:
    with pytest.raises((ValueError, OSError)):
        MambaBaseWeights.from_bytes(GOOD.to_bytes())
