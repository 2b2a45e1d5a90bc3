"""The boundary network: one ansatz in two languages, exact constraints, true derivatives, determinism."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_assets.pinn.american import AmericanDomain, AmericanRecipe
from ml_assets.pinn.american.boundary import boundary, boundary_jet, perpetual_log
from ml_assets.pinn.american.premium import quadrature, reduced_put
from tests.american_fixtures import random_american
from tests.pinn_fixtures import tensors

tf = pytest.importorskip("tensorflow")
physics = pytest.importorskip("ml_assets.pinn.american.physics")
training = pytest.importorskip("ml_assets.pinn.american.training")

TINY = AmericanRecipe(adam_steps=20, bfgs_iterations=30, points=128, nodes=8, width=6, resample_every=15)
DOMAIN = AmericanDomain()


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_tensorflow_and_numpy_are_one_boundary(depth: int) -> None:
    weights = random_american(4, width=12, depth=depth)
    at = training.boundary_points(512, DOMAIN, seed=3)
    found = physics.boundary_tf(tensors(weights), physics.points_of(*at)).numpy()
    np.testing.assert_allclose(found, boundary(weights, *at), rtol=1e-12, atol=1e-12)


def test_residuals_are_those_of_the_price() -> None:
    """Value matching in TensorFlow is what the NumPy price misses at the boundary."""
    weights = random_american(2, width=12)
    at = training.boundary_points(64, DOMAIN, seed=1)
    matching = physics.residuals(tensors(weights), physics.points_of(*at), 48)[1].numpy()
    above = np.exp(boundary(weights, *at)) * (1.0 + 1e-12)
    price = reduced_put(weights, above, *at, rate_derivatives=False).price
    np.testing.assert_allclose(matching, 1.0 - above - price, atol=2e-8)


def test_exact_boundary_solves_both_equations() -> None:
    """A rate of 10 % with the yield far above it: nobody exercises before the last moment, B = X = r / q."""
    s, rate = np.array([0.003]), np.array([0.4])
    weights = random_american(0)
    log_b = boundary(weights, s, rate, 10.0 * rate)
    assert float(log_b[0]) == pytest.approx(np.log(0.1), abs=0.02)


@settings(deadline=None)
@given(st.integers(0, 50), st.floats(0.003, 1.5), st.floats(1e-3, 48.0), st.floats(0.0, 48.0))
def test_constraints_hold_for_any_weights(seed: int, s: float, rate: float, dividend: float) -> None:
    weights = random_american(seed)
    times = s * np.array([1e-3, 0.5, 1.0])
    log_b = boundary(weights, times, np.full(3, rate), np.full(3, dividend))
    limit = min(0.0, float(np.log(rate / dividend))) if dividend > 0 else 0.0
    assert (log_b <= limit + 1e-12).all()
    assert np.isfinite(log_b).all()


@pytest.mark.parametrize("dividend", [0.0, 0.3, 2.0, 30.0])
def test_perpetual_boundary_solves_its_quadratic(dividend: float) -> None:
    rate = np.geomspace(1e-3, 48.0, 40)
    b = np.exp(perpetual_log(rate, np.full(40, dividend)))
    exponent = b / (b - 1.0)  # B = t / (t - 1)
    left = 0.5 * exponent**2 + (rate - dividend - 0.5) * exponent
    np.testing.assert_allclose(left, rate, rtol=1e-9)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_jet_is_the_derivative(depth: int) -> None:
    weights = random_american(3, width=10, depth=depth)
    s, rate, dividend = training.boundary_points(300, DOMAIN, seed=5)
    dividend = np.maximum(dividend, 1e-3)
    jet = boundary_jet(weights, s, rate, dividend)
    np.testing.assert_array_equal(jet.value, boundary(weights, s, rate, dividend))
    for found, step in ((jet.by_rate, (1e-5 * rate, 0.0)), (jet.by_dividend, (0.0, 1e-5 * dividend))):
        up = boundary(weights, s, rate + step[0], dividend + step[1])
        down = boundary(weights, s, rate - step[0], dividend - step[1])
        size = 2.0 * (step[0] + step[1])
        np.testing.assert_allclose(found * size, up - down, rtol=2e-4, atol=1e-11)


@pytest.mark.parametrize(("nodes", "crowding"), [(16, 1), (48, 3)])
def test_quadrature_integrates_over_the_time(nodes: int, crowding: int) -> None:
    sine, cosine, weight = quadrature(nodes, crowding)
    np.testing.assert_allclose(sine**2 + cosine**2, 1.0, rtol=1e-14)
    v = sine**2
    for power, exact in ((0, 1.0), (1, 0.5), (3, 0.25)):
        assert np.sum(sine * weight * v**power) == pytest.approx(exact, rel=1e-11)
    assert np.sum(sine * weight * np.sqrt(1.0 - v)) == pytest.approx(2.0 / 3.0, rel=1e-11)


@pytest.fixture(scope="module")
def loss():  # type: ignore[no-untyped-def]
    points = physics.collocation(*training.boundary_points(TINY.points, TINY.domain, 1))
    compiled = physics.compile_boundary_loss(TINY.width, TINY.depth, TINY.nodes)
    weights = tf.constant([TINY.matching_weight, 0.5], tf.float64)
    return lambda x: compiled(tf.constant(x), points, weights)


def test_slope_on_the_face_is_that_of_the_residual() -> None:
    s, rate, dividend = training.boundary_points(64, DOMAIN, seed=3)
    layers = tensors(random_american(2, width=14))
    face = physics.collocation(s, rate, dividend).face
    assert face.s.shape == (16,)
    found = physics.slope_residual(layers, face, 12).numpy()
    h = 1e-5
    s, rate = s[:8], rate[:8]
    there, inside = (
        physics.residuals(layers, physics.points_of(s, rate, share * rate), 12)[0].numpy() * s
        for share in (0.0, h)
    )
    np.testing.assert_allclose(found, (inside - there) / h, rtol=0.05, atol=1e-5)


def test_gradient_is_that_of_the_loss(loss) -> None:  # type: ignore[no-untyped-def]
    x = random_american(1, width=TINY.width).parameters
    value, gradient, terms = loss(x)
    expected = float(terms.fixed_point) + 1e4 * float(terms.matching) + 0.5 * float(terms.slope)
    assert float(value) == pytest.approx(expected, rel=1e-12)
    rng = np.random.default_rng(0)
    for _ in range(3):
        d = rng.normal(size=x.size)
        d /= np.linalg.norm(d)
        slope = (float(loss(x + 1e-5 * d)[0]) - float(loss(x - 1e-5 * d)[0])) / 2e-5
        assert gradient.numpy() @ d == pytest.approx(slope, rel=1e-5, abs=1e-9)


def test_points_fill_the_box_and_nothing_else() -> None:
    s, rate, dividend = training.boundary_points(4096, DOMAIN, seed=1)
    assert DOMAIN.contains(s, rate, dividend).all()
    assert np.mean(dividend == 0.0) > 0.05
    assert np.mean(np.abs(np.log(np.maximum(dividend, 1e-9) / rate)) < s) > 0.1  # the kink at r = q
    np.testing.assert_array_equal(s, training.boundary_points(4096, DOMAIN, seed=1)[0])
    assert not np.array_equal(s, training.boundary_points(4096, DOMAIN, seed=2)[0])


def test_equal_recipes_give_equal_bytes_and_seeds_matter() -> None:
    reports = []
    first = training.train_american(TINY, reports.append)
    assert first.to_bytes() == training.train_american(TINY).to_bytes()
    assert first.to_bytes() != training.train_american(replace(TINY, seed=1)).to_bytes()
    assert float(first.figures["loss"]) < float(first.figures["loss_after_adam"])
    assert first.figures["bfgs_iterations"] == 30
    assert reports[-1].step == reports[-1].total == first.history[-1, 0] == 50


def test_time_budget_stops_with_usable_weights() -> None:
    weights = training.train_american(replace(TINY, bfgs_iterations=10**6, time_budget=1e-3))
    assert int(weights.figures["bfgs_iterations"]) < 10
    assert np.isfinite(weights.parameters).all()


def test_divergence_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    start = np.full(random_american(0, width=TINY.width).parameters.size, np.nan)
    monkeypatch.setattr(training, "glorot_parameters", lambda *_: start)
    with pytest.raises(FloatingPointError, match="another seed"):
        training.train_american(replace(TINY, adam_steps=0, bfgs_iterations=3))


@pytest.mark.parametrize(
    "bad",
    [
        {"points": 0},
        {"nodes": 0},
        {"adam_steps": -1},
        {"matching_weight": 0.0},
        {"slope_weight": 0.0},
        {"time_budget": 0.0},
    ],
)
def test_recipe_refuses_nonsense(bad: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(bad))):
        AmericanRecipe(**bad)  # type: ignore[arg-type]


@pytest.mark.parametrize("bad", [{"r_min": 0.0}, {"sigma_min": 1.0}, {"q_max": float("nan")}])
def test_domain_refuses_nonsense(bad: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="correct the bounds"):
        AmericanDomain(**bad)
