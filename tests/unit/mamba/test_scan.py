"""The scans equal the step-by-step recurrence, in value and in gradient, also at extreme decays."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_assets.mamba import scan
from ml_assets.training.backend import tf
from tests.unit.mamba import reference

SHAPES = st.tuples(
    st.integers(1, 3), st.integers(1, 24), st.integers(1, 3), st.integers(1, 4), st.integers(1, 5)
)
# Step sizes from "remembers everything" to "forgets within a step".
STEP = st.sampled_from([1e-4, 1e-2, 1.0, 30.0, 1e3])
SEED = st.integers(0, 2**32 - 1)
some = settings(max_examples=15, deadline=None)


def draw(shape, step, seed):
    """Inputs of an SSD: x, dt, a, b, c in float64; half of the steps at `step`, half near 0.05."""
    batch, length, heads, channels, states = shape
    rng = np.random.default_rng(seed)
    dt = np.where(rng.random((batch, length, heads)) < 0.5, step, 0.05) * rng.uniform(
        0.5, 2.0, (batch, length, heads)
    )
    return (
        rng.standard_normal((batch, length, heads, channels)),
        dt,
        -np.exp(rng.uniform(0.0, np.log(16.0), heads)),
        rng.standard_normal((batch, length, states)),
        rng.standard_normal((batch, length, states)),
    )


def per_channel(inputs):
    """The same problem for the selective scan: one decay per channel and state."""
    x, dt, a, b, c = inputs
    channels, states = x.shape[3], b.shape[2]
    u = x.reshape(*x.shape[:2], -1)
    rates = np.repeat(a, channels)[:, None] * np.linspace(0.5, 1.5, states)
    return u, np.repeat(dt, channels, axis=2), rates, b, c


def absolute(function, inputs):
    """Sum of the absolute terms of each output: what rounding errors are measured against."""
    x, dt, a, b, c = inputs
    return function(np.abs(x), dt, a, np.abs(b), np.abs(c))


CASES = {
    "ssd": (scan.ssd, reference.ssd, lambda inputs: inputs),
    "mamba1": (scan.selective_scan, reference.selective_scan, per_channel),
    "mamba1 in Keras operations": (scan._selective_scan_ops, reference.selective_scan, per_channel),
}


@pytest.mark.parametrize("case", CASES)
@given(shape=SHAPES, step=STEP, seed=SEED)
@some
def test_float64_equals_the_recurrence(case, shape, step, seed):
    fast, slow, view = CASES[case]
    inputs = view(draw(shape, step, seed))
    error = np.abs(fast(*map(tf.constant, inputs)).numpy() - slow(*inputs))
    assert np.all(error <= 1e-12 * absolute(slow, inputs) + 1e-300)


@pytest.mark.parametrize("case", ["ssd", "mamba1"])
@given(step=STEP, seed=SEED)
@some
def test_float32_is_within_1e5_at_every_decay(case, step, seed):
    fast, slow, view = CASES[case]
    inputs = view(draw((2, 60, 2, 4, 8), step, seed))
    found = fast(*(tf.constant(v, tf.float32) for v in inputs)).numpy()
    assert np.isfinite(found).all()
    assert np.all(np.abs(found - slow(*inputs)) <= 1e-5 * absolute(slow, inputs) + 1e-30)


@pytest.mark.parametrize("case", ["ssd", "mamba1"])
@given(shape=SHAPES, step=STEP, seed=SEED)
@some
def test_gradients_equal_central_differences_of_the_recurrence(case, shape, step, seed):
    fast, slow, view = CASES[case]
    inputs = view(draw(shape, step, seed))
    rng = np.random.default_rng(seed)
    weights = rng.standard_normal(slow(*inputs).shape)
    variables = [tf.constant(v) for v in inputs]
    with tf.GradientTape() as tape:
        tape.watch(variables)
        loss = tf.reduce_sum(fast(*variables) * weights)
    gradients = tape.gradient(loss, variables)
    for i, gradient in enumerate(gradients):
        direction = rng.standard_normal(inputs[i].shape)
        # Relative steps: a decay of 1e3 and one of 1e-4 are both moved within their own size.
        direction *= np.abs(inputs[i]) if i in (1, 2) else 1.0
        moved = [[v + h * direction if j == i else v for j, v in enumerate(inputs)] for h in (1e-6, -1e-6)]
        numeric = np.sum((slow(*moved[0]) - slow(*moved[1])) * weights) / 2e-6
        exact = float(np.sum(gradient.numpy() * direction))
        scale = np.sum(np.abs(gradient.numpy() * direction)) + np.sum(absolute(slow, inputs)) * 1e-3
        assert abs(exact - numeric) <= 1e-6 * scale + 1e-9


@given(shape=SHAPES, step=STEP, seed=SEED)
@some
def test_last_step_alone_equals_the_last_of_all(shape, step, seed):
    inputs = draw(shape, step, seed)
    x, dt, a, b, c = map(tf.constant, inputs)
    scale = absolute(reference.ssd, inputs)[:, -1]
    error = np.abs(scan.ssd_last(x, dt, a, b, c[:, -1]).numpy() - reference.ssd(*inputs)[:, -1])
    assert np.all(error <= 1e-12 * scale + 1e-300)
    inputs = per_channel(inputs)
    u, dt, a, b, c = map(tf.constant, inputs)
    scale = absolute(reference.selective_scan, inputs)[:, -1]
    error = np.abs(
        scan.selective_scan_last(u, dt, a, b, c[:, -1]).numpy() - reference.selective_scan(*inputs)[:, -1]
    )
    assert np.all(error <= 1e-12 * scale + 1e-300)


def test_plain_differences_of_cumulative_sums_would_be_too_coarse():
    """Why log decays are split: the plain float32 form misses the tolerance that ours keeps."""
    _, dt, a, _, _ = draw((2, 60, 2, 4, 8), 1e3, 0)
    log_decay = (dt * a).astype(np.float32).transpose(0, 2, 1)
    exact = np.cumsum(log_decay.astype(np.float64), -1)
    exact = exact[..., :, None] - exact[..., None, :]
    sums = np.cumsum(log_decay, -1)
    plain = np.abs(sums[..., :, None] - sums[..., None, :] - exact)
    ours = np.abs(scan._pairwise_log_decay(tf.constant(log_decay.transpose(0, 2, 1)), 60).numpy() - exact)
    recent = np.abs(exact) < 20  # pairs whose weight is not zero anyway
    assert plain[recent].max() > 1e-4
    assert ours[recent].max() < 1e-5
