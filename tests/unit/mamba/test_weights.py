"""The stored form: one Keras file with a record, deterministic, verified on reading."""

import io
import json
from dataclasses import replace

import h5py
import numpy as np
import pytest

from ml_assets.mamba import MambaConfig, MambaModel, MambaWeights, TrainingRecipe
from ml_assets.mamba.shapes import weight_shapes
from ml_assets.storage.artifact import Artifact

NAMES = tuple(f"f{i}" for i in range(25))


def example(**changes):
    rng = np.random.default_rng(0)
    config = changes.get("config", MambaConfig())
    arrays = {p: rng.standard_normal(s).astype(np.float32) for p, s in weight_shapes(config, 25).items()}
    values = {
        "symbol": "BRK.B", "config": config, "recipe": TrainingRecipe(), "seed": 3, "window": 60,
        "feature_names": NAMES, "center": rng.standard_normal(25), "scale": rng.uniform(0.5, 2, 25),
        "return_center": 1e-4, "return_scale": 0.015, "arrays": arrays, "training_rows": 100,
        "known_until": "2017-12-29", "data_sha256": "ab" * 32, "history": ({"epoch": 1, "loss": 0.7},),
        "validation": {"loss": 0.69},
        "validation_outputs_sha256": "cd" * 32, "seconds": 1.5,
    }  # fmt: skip
    return MambaWeights(**values | changes)


def edited(data, change):
    """The same file after `change(h5 file)`."""
    buffer = io.BytesIO(data)
    with h5py.File(buffer, "r+") as file:
        change(file)
    return buffer.getvalue()


def test_it_is_an_artifact_with_deterministic_bytes():
    weights = example()
    assert isinstance(weights, Artifact)
    assert (weights.kind, weights.extension) == ("mamba_weights", ".weights.h5")
    data = weights.to_bytes()
    assert data == example(seconds=99.0).to_bytes(), "time taken must not make a new version"
    assert data != example(seed=4).to_bytes()


@pytest.mark.parametrize("config", [MambaConfig(), MambaConfig(variant="mamba1", linear_skip=False)])
def test_round_trip_is_exact(config):
    weights = example(config=config)
    again = MambaWeights.from_bytes(weights.to_bytes())
    assert again.to_bytes() == weights.to_bytes()
    assert (again.config, again.recipe, again.symbol) == (config, weights.recipe, "BRK.B")
    np.testing.assert_array_equal(again.center, weights.center)
    for path, values in weights.arrays.items():
        np.testing.assert_array_equal(again.arrays[path], values)


def test_keras_opens_the_file_and_the_record_does_not_disturb_it(tmp_path):
    weights = example()
    (tmp_path / "BRK.B.weights.h5").write_bytes(weights.to_bytes())
    model = MambaModel(weights.config)
    model.build((None, 60, 25))
    model.load_weights(tmp_path / "BRK.B.weights.h5")
    for path, values in weights.arrays.items():
        np.testing.assert_array_equal(model.to_arrays()[path], values)
    fresh = MambaModel(weights.config)
    fresh.build((None, 60, 25))
    assert not fresh.load_weights_by_layer(weights).skipped


def _drop(file):
    del file["head/vars/1"]


def _reshape(file):
    del file["head/vars/1"]
    file["head/vars/1"] = np.zeros(7)


def _add(file):
    file["head/vars/2"] = np.zeros(2)


def _no_record(file):
    del file.attrs["_gated"]


def _other_format(file):
    file.attrs["_gated"] = json.dumps(json.loads(file.attrs["_gated"]) | {"format": 99})


def _lost_field(file):
    record = json.loads(file.attrs["_gated"])
    del record["center"]
    file.attrs["_gated"] = json.dumps(record)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (_drop, "head/vars/1 has shape none, it is missing"),
        (_reshape, r"head/vars/1 has shape \(7,\), the configuration says \(2,\)"),
        (_add, "head/vars/2 has shape .* there is no such weight"),
        (_no_record, "no '_gated' record"),
        (_other_format, "format 99"),
        (_lost_field, "'center' is missing"),
    ],
)
def test_damage_is_named(change, match):
    with pytest.raises(ValueError, match=match):
        MambaWeights.from_bytes(edited(example().to_bytes(), change))


@pytest.mark.parametrize("data", [b"", b"{}", example().to_bytes()[:1000]])
def test_what_is_no_weight_file_is_refused(data):
    with pytest.raises(ValueError, match="not a readable HDF5 file"):
        MambaWeights.from_bytes(data)


def test_a_record_too_long_for_hdf5_is_refused_with_advice():
    long = replace(example(), history=tuple({"epoch": i, "loss": 0.123456789} for i in range(5000)))
    with pytest.raises(ValueError, match="fewer epochs"):
        long.to_bytes()
