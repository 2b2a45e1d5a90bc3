"""The training: one ansatz in two languages, exact constraints, true gradients, determinism."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ml_assets.gates.options.european import pinn_gates
from ml_assets.pinn import Domain, OptionPricingPINN, PinnRecipe, PinnWeights
from ml_assets.pinn.european.ansatz import network_jet, small_leg
from tests.pinn_fixtures import random_weights, tensors

tf = pytest.importorskip("tensorflow")
physics = pytest.importorskip("ml_assets.pinn.european.physics")
training = pytest.importorskip("ml_assets.pinn.european.training")

TINY = PinnRecipe(adam_steps=20, bfgs_iterations=40, points=128, width=6, resample_every=15)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_tensorflow_and_numpy_are_one_ansatz(depth: int) -> None:
    weights = random_weights(4, width=12, depth=depth)
    z, s = training.collocation(512, weights.domain, seed=3)
    points = physics.points_from(z, s, weights.domain)
    feature_s = 2.0 / weights.domain.s_max
    found = physics.network_jet_tf(tensors(weights), points, feature_s)
    for tensor, array in zip(found, network_jet(weights, z, s), strict=True):
        np.testing.assert_allclose(tensor.numpy(), array, rtol=1e-12, atol=1e-12)
    leg = small_leg(weights, z * s, s)
    expected = s * np.exp(0.25 * z * z) * (leg.s / (2 * s) - 0.5 * leg.aa + 0.125 * leg.y)
    residual = physics.residual(tensors(weights), points, feature_s)[1].numpy()
    np.testing.assert_allclose(residual, expected, rtol=1e-9, atol=1e-12 * np.abs(expected).max())


@pytest.fixture(scope="module")
def loss():  # type: ignore[no-untyped-def]
    # Shapes of TINY, so that one compilation serves the module.
    domain = Domain()
    edge = physics.edge_points(*training.collocation(32, domain, 0), domain)
    points = physics.points_from(*training.collocation(TINY.points, domain, 1), domain)
    compiled = physics.compile_loss(TINY.width, TINY.depth, domain)

    def at(x: np.ndarray, weight: float = 10.0):  # type: ignore[no-untyped-def]
        return compiled(tf.constant(x), points, edge, tf.constant(weight, tf.float64))

    return at


@pytest.mark.parametrize("seed", range(3))
def test_boundary_and_parity_hold_before_training_and_physics_weight_counts(loss, seed: int) -> None:  # type: ignore[no-untyped-def]
    x = random_weights(seed, width=TINY.width).parameters
    (total, _, terms), (light, _, _) = loss(x), loss(x, 1.0)
    assert float(terms.boundary) == 0.0
    assert float(terms.parity) < 1e-28  # rounding of sinh at |x| = 5
    assert float(terms.residual) > 1e-8
    assert float(total) == pytest.approx(10.0 * float(terms.residual), rel=1e-12)
    assert float(total) == pytest.approx(10.0 * float(light), rel=1e-12)


def test_gradient_is_that_of_the_loss(loss) -> None:  # type: ignore[no-untyped-def]
    x = random_weights(1, width=TINY.width).parameters
    gradient = loss(x)[1].numpy()
    rng = np.random.default_rng(0)
    for _ in range(3):
        d = rng.normal(size=x.size)
        d /= np.linalg.norm(d)
        slope = (float(loss(x + 1e-5 * d)[0]) - float(loss(x - 1e-5 * d)[0])) / 2e-5
        assert gradient @ d == pytest.approx(slope, rel=1e-5, abs=1e-9)


def test_collocation_fills_the_domain_and_nothing_else() -> None:
    domain = Domain(s_min=0.01, s_max=2.0, z_max=7.0, x_max=3.0)
    z, s = training.collocation(4096, domain, seed=1)
    assert s.min() >= domain.s_min
    assert s.max() <= domain.s_max
    assert z.min() >= 0
    assert z.max() <= domain.z_max
    assert (z * s).max() <= domain.x_max * (1 + 1e-12)
    assert np.mean(s < 0.1) > 0.15  # the log-uniform half
    assert np.mean(z > 6.0) > 0.05
    again = training.collocation(4096, domain, seed=1)
    np.testing.assert_array_equal(z, again[0])
    assert not np.array_equal(z, training.collocation(4096, domain, seed=2)[0])


def test_equal_recipes_give_equal_bytes_and_seeds_matter() -> None:
    reports = []
    first = training.train_pinn(TINY, reports.append)
    assert first.to_bytes() == training.train_pinn(TINY).to_bytes()
    assert first.to_bytes() != training.train_pinn(replace(TINY, seed=1)).to_bytes()
    assert first.figures["bfgs_iterations"] == 40
    assert float(first.figures["loss"]) < float(first.figures["loss_after_adam"])
    assert first.history[-1, 0] == 60
    assert reports[-1].step == reports[-1].total == 60
    assert reports[-1].phase == "bfgs"


def test_time_budget_stops_with_usable_weights() -> None:
    weights = training.train_pinn(replace(TINY, bfgs_iterations=10**6, time_budget=1e-3))
    assert int(weights.figures["bfgs_iterations"]) < 10
    assert np.isfinite(weights.parameters).all()


def test_adam_alone_does_not_pass_the_gates() -> None:
    """What the brief's recipe gives: a loss that looks small, prices that are not."""
    weights = training.train_pinn(replace(PinnRecipe.quick(), adam_steps=600, bfgs_iterations=0))
    assert float(weights.figures["loss"]) < 1e-3
    failed = {result.gate for result in pinn_gates(weights) if not result.passed}
    assert {"pinn_residual", "pinn_price", "pinn_greeks"} <= failed


def test_model_trains_with_its_own_physics_weight() -> None:
    model = OptionPricingPINN(physics_weight=3.0)
    weights = model.fit(TINY)
    assert weights.figures["physics_weight"] == 3.0
    assert model.weights is weights
    assert float(weights.figures["loss"]) == pytest.approx(3.0 * float(weights.figures["loss_residual"]))


def test_divergence_is_an_error_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    start = random_weights(0, width=TINY.width).parameters
    start[:] = 1e200
    monkeypatch.setattr(training, "initial_parameters", lambda *_: start)
    with pytest.raises(FloatingPointError, match="use another seed"):
        training.train_pinn(
            replace(TINY, adam_steps=2, bfgs_iterations=3), checkpoint_dir=tmp_path, checkpoint_seconds=0.0
        )
    assert not [path for path in tmp_path.rglob("*") if path.is_file()], "the next run would go on from NaN"


def test_served_results_are_those_of_the_training_side(quick_weights: PinnWeights) -> None:
    """Price, delta, gamma and vega by NumPy and by TensorFlow, call and put, to 1e-12."""
    n = 2000
    rng = np.random.default_rng(3)
    m, s = rng.uniform(0.7, 1.4, n), rng.uniform(0.05, 1.1, n)
    x = tf.constant(np.log(m))
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            h, z = tf.sinh(tf.abs(x) / 2.0), tf.abs(x) / s
            product = _legs_product(quick_weights, z, tf.constant(s))
            small = product / (tf.sqrt(h * h + product) + h)
            scaled = tf.exp(x / 2.0)
            put = scaled * (small + tf.maximum(-2.0 * tf.sinh(x / 2.0), 0.0))
        slope = inner.gradient(put, x)
    second = outer.gradient(slope, x)
    model = OptionPricingPINN("put", r=0.0)
    model.weights = quick_weights
    found = model.predict(S=m, K=1.0, tau=1.0, sigma=s)
    assert (found["source"] == "network").all()
    call = model.predict(S=m, K=1.0, tau=1.0, sigma=s, option_type="call")
    np.testing.assert_allclose(found["price"], put.numpy(), rtol=0, atol=1e-12)
    np.testing.assert_allclose(call["price"], put.numpy() + m - 1.0, rtol=0, atol=1e-12)
    np.testing.assert_allclose(found["delta"], slope.numpy() / m, rtol=0, atol=1e-12)
    np.testing.assert_allclose(found["gamma"], (second - slope).numpy() / m**2, rtol=1e-10, atol=1e-10)


def _legs_product(weights: PinnWeights, z, s):  # type: ignore[no-untyped-def]
    """``G`` in plain TensorFlow, value only; its derivatives are left to the tapes."""
    z2 = z * z
    f = tf.stack(
        [0.25 * tf.math.log1p(z2) - 0.5, 1.0 - 8.0 / (4.0 + z2), 2.0 * s / weights.domain.s_max - 1.0], 1
    )
    for i, (kernel, bias) in enumerate(tensors(weights)):
        f = f @ kernel + bias
        f = tf.tanh(f) if i < weights.depth else f
    return s * s * tf.exp(f[:, 0] - 0.5 * z2)
