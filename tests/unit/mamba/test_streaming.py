"""One day at a time with carried state: the same numbers as the window gives, at every step."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_assets.mamba import DirectionStream, MambaConfig, MambaModel, predict_direction, train_mamba
from ml_assets.training.backend import keras
from tests.unit.mamba.sample import QUICK, TINY, augmented, sequences

CONFIGS = st.builds(
    MambaConfig,
    d_model=st.sampled_from([4, 8]),
    n_blocks=st.integers(1, 3),
    d_state=st.integers(1, 5),
    d_conv=st.integers(1, 5),
    head_dim=st.sampled_from([2, 4, 8]),
    variant=st.sampled_from(["ssd", "mamba1"]),
    linear_skip=st.booleans(),
    return_head=st.booleans(),
    dropout=st.just(0.5),  # must play no part
)


def stream(model, X):
    state, outputs = model.initial_state(len(X)), []
    for day in range(X.shape[1]):
        out, state = model.step(keras.ops.convert_to_tensor(X[:, day]), state)
        outputs.append(np.asarray(out))
    return np.stack(outputs, 1), state


@given(
    config=CONFIGS, batch=st.integers(1, 3), length=st.integers(1, 20), features=st.integers(1, 4),
    seed=st.integers(0, 99), decay=st.sampled_from([-8.0, 0.0, 6.0]),
    dtype=st.sampled_from(["float32", "float64"]),
)  # fmt: skip
@settings(deadline=None, max_examples=25)
def test_every_step_of_a_stream_is_that_of_the_window(config, batch, length, features, seed, decay, dtype):
    model = MambaModel(config, seed=seed, dtype=dtype)
    model.build((None, length, features))
    for block in model.blocks:  # from hardly forgetting to forgetting at once
        block.mixer.A_log.assign(block.mixer.A_log + decay)
    X = np.random.default_rng(seed).standard_normal((batch, length, features)).astype(dtype)
    outputs, _ = stream(model, X)
    tolerance = 1e-10 if dtype == "float64" else 2e-5
    np.testing.assert_allclose(outputs, model.call_steps(X), rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(outputs[:, -1], model.call_last(X), rtol=tolerance, atol=tolerance)


def test_the_state_has_a_fixed_size_and_reaches_beyond_any_window():
    model = MambaModel(MambaConfig(), seed=1)
    model.build((None, 60, 3))
    X = np.random.default_rng(0).standard_normal((2, 90, 3)).astype(np.float32)
    outputs, state = stream(model, X)
    for before, after in zip(model.initial_state(2), state, strict=True):
        assert [v.shape for v in before] == [v.shape for v in after]
    longer = MambaModel(MambaConfig(), seed=1)
    longer.build((None, 90, 3))
    longer.assign_arrays(model.to_arrays())
    np.testing.assert_allclose(outputs, longer.call_steps(X), rtol=1e-4, atol=1e-5)


def test_wrong_use_is_refused():
    model = MambaModel(MambaConfig())
    with pytest.raises(ValueError, match="build the model first"):
        model.initial_state()
    model.build((None, 60, 25))
    for shape in [(1, 24), (1, 60, 25)]:
        with pytest.raises(ValueError, match=r"shape \(batch, 25\), got"):
            model.step(np.zeros(shape, np.float32), model.initial_state())


def test_a_users_stream_gives_the_windows_probability_and_refuses_bad_days():
    data, weights = sequences(), train_mamba(augmented(), TINY, QUICK)
    window = data.X("validation")[5]
    expected = predict_direction(weights, window[None])[0]
    days = DirectionStream(weights)
    for again in range(2):
        for features in window:
            probability = days.update(features)
        assert days.days == 60
        assert probability == pytest.approx(expected, rel=1e-5), again
        days.reset()
    before = days.update(window[0])
    with pytest.raises(ValueError, match="shape"):
        days.update(window)
    with pytest.raises(ValueError, match="NaN"):
        days.update(np.full(window.shape[1], np.nan))
    assert days.days == 1, "a refused day leaves no trace"
    days.reset()
    assert days.update(window[0]) == before
