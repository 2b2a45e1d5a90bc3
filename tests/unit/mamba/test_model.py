"""The Keras model: building, equality with the reference, causality, round trips, transfer."""

import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_assets.mamba import MambaConfig, MambaModel
from ml_assets.mamba.shapes import weight_shapes
from ml_assets.mamba.weights import read_arrays
from ml_assets.training.backend import keras, tf
from tests.unit.mamba import reference

# Keras 3.15 itself triggers this with NumPy 2.4 when it saves or predicts.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
)

CONFIGS = [
    MambaConfig(),
    MambaConfig(variant="mamba1"),
    MambaConfig(d_model=8, n_blocks=2, d_state=4, head_dim=4, linear_skip=False, return_head=False),
    MambaConfig(d_model=24, n_blocks=2, d_state=3, d_conv=2, expand=1, variant="mamba1"),
]
configs = pytest.mark.parametrize("config", CONFIGS, ids=lambda c: f"{c.variant}-{c.d_model}x{c.n_blocks}")


def built(config, *, seed=0, shape=(60, 25), scramble=True, **kwargs):
    """A model with every weight away from its special start (zero skips, unit norms)."""
    model = MambaModel(config, seed=seed, **kwargs)
    model.build((None, *shape))
    if scramble:
        rng = np.random.default_rng(seed)
        for w in model.weights:
            w.assign(np.asarray(w.value) + 0.2 * rng.standard_normal(w.shape))
    return model


def windows(n=3, shape=(60, 25), seed=0):
    return np.random.default_rng(seed).standard_normal((n, *shape)).astype(np.float32)


@configs
def test_build_creates_every_weight_and_nothing_later_does(config):
    model = MambaModel(config)
    assert not model.built
    assert not model.weights
    model.build((None, 60, 25))
    assert model.built
    before = [w.path for w in model.weights]
    assert len(before) == len(weight_shapes(config, 25))
    assert model(windows()).shape == (3, 1)
    assert model.call_steps(windows()).shape == (3, 60, config.outputs)
    assert [w.path for w in model.weights] == before
    assert {path: w.shape for path, w in model.to_arrays().items()} == weight_shapes(config, 25)


@pytest.mark.parametrize("shape", [(None, 25), (None, None, 25), (None, 60, None), (60, 25)])
def test_build_refuses_shapes_that_leave_weights_unknown(shape):
    with pytest.raises(ValueError, match=r"for instance \(None, 60, 25\)"):
        MambaModel(MambaConfig()).build(shape)


@configs
def test_float64_model_equals_the_reference(config):
    model = built(config, dtype="float64")
    x = windows().astype(np.float64)
    wanted = reference.model_steps(x, model.to_arrays(), config)
    np.testing.assert_allclose(model.call_steps(x).numpy(), wanted, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(model.call_last(x).numpy(), wanted[:, -1], rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(model(x).numpy(), wanted[:, -1, :1], rtol=1e-10, atol=1e-12)


@configs
def test_float32_model_and_gradients_are_within_1e5_of_float64(config):
    exact, model = built(config, dtype="float64"), built(config)
    model.assign_arrays({path: w.astype(np.float32) for path, w in exact.to_arrays().items()})
    outputs, gradients = [], []
    for net in (model, exact):
        x = tf.constant(windows(), net.compute_dtype)
        with tf.GradientTape() as tape:
            out = net.call_steps(x)
            loss = tf.reduce_mean(out**2)
        outputs.append(out.numpy())
        gradients.append([g.numpy() for g in tape.gradient(loss, net.trainable_variables)])
    assert np.abs(outputs[0] - outputs[1]).max() <= 1e-5 * np.abs(outputs[1]).max()
    for w, found, wanted in zip(model.trainable_variables, *gradients, strict=True):
        assert np.abs(found - wanted).max() <= 1e-5 * np.abs(wanted).max(), w.path


@configs
@given(cut=st.integers(0, 58), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=4, deadline=None)
def test_no_output_sees_a_later_step(config, cut, seed):
    model = built(config)
    x = windows()
    changed = x.copy()
    changed[:, cut + 1 :] = 10.0 * np.random.default_rng(seed).standard_normal(x[:, cut + 1 :].shape)
    before, after = model.call_steps(x).numpy(), model.call_steps(changed).numpy()
    np.testing.assert_array_equal(before[:, : cut + 1], after[:, : cut + 1])
    assert np.all(before[:, -1] != after[:, -1])


def test_compile_and_fit_lower_the_loss_and_move_every_weight():
    keras.utils.set_random_seed(0)
    x = windows(64)
    model = built(MambaConfig(dropout=0.0), scramble=False)
    before = model.to_arrays()
    model.compile(optimizer=keras.optimizers.Adam(1e-2), loss="mse", jit_compile=False)
    losses = model.fit(x, x[:, -1, 0], epochs=12, verbose=0).history["loss"]
    assert losses[-1] < 0.5 * losses[0]
    after = model.to_arrays()
    assert [p for p in before if np.array_equal(before[p], after[p])] == []


def test_seed_fixes_the_start_whatever_the_global_seed_is():
    keras.utils.set_random_seed(1)
    a = built(MambaConfig(), seed=7, scramble=False).to_arrays()
    keras.utils.set_random_seed(2)
    b = built(MambaConfig(), seed=7, scramble=False).to_arrays()
    c = built(MambaConfig(), seed=8, scramble=False).to_arrays()
    assert all(np.array_equal(a[p], b[p]) for p in a)
    assert not np.array_equal(a["embed/vars/0"], c["embed/vars/0"])


@configs
def test_start_follows_the_papers(config):
    arrays = built(config, scramble=False).to_arrays()
    position = {"ssd": (3, 4), "mamba1": (5, 6)}[config.variant]
    bias, a_log = (arrays[f"block_0/mixer/vars/{i}"] for i in position)
    steps = np.logaddexp(0.0, bias)
    assert np.all((steps >= 1e-3 * 0.999) & (steps <= 1e-1 * 1.001))
    if config.variant == "mamba1":
        np.testing.assert_allclose(
            np.exp(a_log), np.tile(np.arange(1, config.d_state + 1), (config.d_inner, 1)), 1e-6
        )
    else:
        assert np.all((np.exp(a_log) >= 1) & (np.exp(a_log) <= 16))
    if config.linear_skip:
        assert not arrays["feature_skip/vars/0"].any()


@configs
def test_keras_files_round_trip_exactly(config, tmp_path):
    model = built(config)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert isinstance(loaded, MambaModel)
    assert loaded.config == config
    model.save_weights(tmp_path / "model.weights.h5")
    fresh = built(config, seed=1)
    fresh.load_weights(tmp_path / "model.weights.h5")
    for copy in (loaded, fresh):
        for path, values in model.to_arrays().items():
            np.testing.assert_array_equal(copy.to_arrays()[path], values)
        np.testing.assert_array_equal(copy(windows()).numpy(), model(windows()).numpy())
    assert set(read_arrays(tmp_path / "model.weights.h5")) == set(weight_shapes(config, 25))


def test_config_round_trips():
    model = MambaModel(MambaConfig(d_model=8), seed=3, name="forecaster")
    again = MambaModel.from_config(model.get_config())
    assert (again.config, again.seed, again.name) == (model.config, 3, "forecaster")
    assert again.compute_output_shape((None, 60, 25)) == (None, 1)


def test_partial_load_reports_what_fits(tmp_path):
    source = built(MambaConfig(n_blocks=1), seed=1)
    source.save_weights(tmp_path / "base.weights.h5")
    target = built(MambaConfig(n_blocks=2), seed=2, shape=(30, 31))
    before = target.to_arrays()
    report = target.load_weights_by_layer(tmp_path / "base.weights.h5")
    assert report.loaded == ("block_0/norm", "block_0/mixer", "final_norm", "head")
    assert set(report.skipped) == {"embed", "block_1/norm", "block_1/mixer", "feature_skip"}
    assert report.skipped["embed"] == "embed/vars/0 has shape (25, 32) in the source, (31, 32) here"
    assert report.skipped["block_1/norm"] == "block_1/norm/vars/0 is not in the source"
    for path, values in target.to_arrays().items():
        loaded = path.rsplit("/vars/", 1)[0] in report.loaded
        np.testing.assert_array_equal(values, source.to_arrays()[path] if loaded else before[path])


@pytest.mark.parametrize("form", ["path", "text", "bytes", "arrays"])
def test_partial_load_takes_files_bytes_and_arrays(form, tmp_path):
    source, path = built(MambaConfig(), seed=1), tmp_path / "base.weights.h5"
    source.save_weights(path)
    given_as = {
        "path": path,
        "text": os.fspath(path),
        "bytes": path.read_bytes(),
        "arrays": source.to_arrays(),
    }
    target = built(MambaConfig(), seed=2)
    assert not target.load_weights_by_layer(given_as[form]).skipped
    np.testing.assert_array_equal(target(windows()).numpy(), source(windows()).numpy())


def test_loading_says_what_is_wrong():
    with pytest.raises(ValueError, match="build the model before"):
        MambaModel(MambaConfig()).load_weights_by_layer({})
    model = built(MambaConfig())
    with pytest.raises(ValueError, match="no layer of the source fits"):
        model.load_weights_by_layer({"elsewhere/vars/0": np.zeros(3)})
    with pytest.raises(ValueError, match="not a readable HDF5 file"):
        model.load_weights_by_layer(b"not a weight file")
    arrays = model.to_arrays() | {"head/vars/1": np.zeros(9)}
    with pytest.raises(ValueError, match=r"head/vars/1 needs shape \(2,\), found \(9,\)"):
        model.assign_arrays(arrays)
