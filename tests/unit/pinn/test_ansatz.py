"""What holds for any weights, and that the derivatives are those of the value."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_assets.pinn.european.ansatz import feature_jet, network_jet, small_leg
from ml_assets.pinn.european.greeks import in_domain, value_network, value_quotes
from ml_assets.pinn.european.recipe import Domain
from ml_assets.pinn.quotes import make_quotes
from tests.pinn_fixtures import random_weights

weights_seeds = st.integers(0, 10_000)


@st.composite
def inside_options(draw: st.DrawFn) -> dict[str, float]:
    return {
        "S": draw(st.floats(40.0, 250.0)),
        "K": 100.0,
        "tau": draw(st.floats(1 / 365, 3.0)),
        "r": draw(st.floats(-0.05, 0.2)),
        "sigma": draw(st.floats(0.05, 1.2)),
        "q": draw(st.floats(-0.05, 0.2)),
    }


@settings(deadline=None)
@given(weights_seeds, st.floats(0.1, 3.0), inside_options())
def test_constraints_hold_for_any_weights(seed: int, scale: float, option: dict[str, float]) -> None:
    """Parity to rounding, positivity and the lower bound, before any training."""
    weights = random_weights(seed, scale)
    call, put = (
        value_network(weights, make_quotes(**option, option_type=kind))["price"][0]
        for kind in ("call", "put")
    )
    spot_leg = option["S"] * np.exp(-option["q"] * option["tau"])
    strike_leg = option["K"] * np.exp(-option["r"] * option["tau"])
    slack = 4e-16 * (spot_leg + strike_leg)
    assert abs(call - put - (spot_leg - strike_leg)) <= slack
    assert call >= max(spot_leg - strike_leg, 0.0) - slack
    assert put >= max(strike_leg - spot_leg, 0.0) - slack


@settings(deadline=None)
@given(weights_seeds, st.floats(0.3, 3.0), st.floats(0.05, 1.5))
def test_put_call_symmetry_for_any_weights(seed: int, moneyness: float, s: float) -> None:
    """C(S, K) = P(K, S) when rate and dividend change places: the network is even in x."""
    weights = random_weights(seed)
    call = value_network(weights, make_quotes(moneyness, 1.0, 1.0, 0.03, s, 0.01, "call"))["price"][0]
    put = value_network(weights, make_quotes(1.0, moneyness, 1.0, 0.01, s, 0.03, "put"))["price"][0]
    assert call == pytest.approx(put, rel=1e-12, abs=1e-15)


@given(weights_seeds)
def test_payoff_at_expiry_and_nothing_far_away_for_any_weights(seed: int) -> None:
    leg = small_leg(random_weights(seed), np.array([0.01, 0.5, 4.0]), np.array([1e-4, 1e-3, 0.05]))
    assert (leg.y < 1e-200).all()
    assert (leg.y >= 0).all()


def _derivative(f, x: np.ndarray, h: float) -> np.ndarray:  # type: ignore[type-arg, no-untyped-def]
    """Fourth-order central difference."""
    return (8 * (f(x + h) - f(x - h)) - (f(x + 2 * h) - f(x - 2 * h))) / (12 * h)


POINTS_Z = np.linspace(0.05, 6.0, 40)
POINTS_S = np.linspace(0.1, 2.0, 40)


def test_feature_derivatives() -> None:
    jet = feature_jet(POINTS_Z, POINTS_S, 3.0)

    def value(z):  # type: ignore[no-untyped-def]
        return feature_jet(z, POINTS_S, 3.0).value[:, :2]

    def slope(z):  # type: ignore[no-untyped-def]
        return feature_jet(z, POINTS_S, 3.0).z

    np.testing.assert_allclose(jet.z, _derivative(value, POINTS_Z, 1e-3), atol=1e-10)
    np.testing.assert_allclose(jet.zz, _derivative(slope, POINTS_Z, 1e-3), atol=1e-10)
    third = _derivative(lambda s: feature_jet(POINTS_Z, s, 3.0).value[:, 2], POINTS_S, 1e-3)
    np.testing.assert_allclose(third, jet.s)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_network_derivatives(depth: int) -> None:
    weights = random_weights(3, depth=depth)
    n_z, n_zz, n_s = network_jet(weights, POINTS_Z, POINTS_S)[1:]
    by_z = _derivative(lambda z: network_jet(weights, z, POINTS_S)[0], POINTS_Z, 1e-3)
    by_zz = _derivative(lambda z: network_jet(weights, z, POINTS_S)[1], POINTS_Z, 1e-3)
    by_s = _derivative(lambda s: network_jet(weights, POINTS_Z, s)[0], POINTS_S, 1e-3)
    np.testing.assert_allclose(n_z, by_z, atol=1e-10)
    np.testing.assert_allclose(n_zz, by_zz, atol=1e-10)
    np.testing.assert_allclose(n_s, by_s, atol=1e-10)


def test_leg_derivatives_also_across_chunks() -> None:
    weights = random_weights(5)
    a, s = np.tile(np.linspace(0.02, 1.5, 50), 40), np.repeat(np.linspace(0.15, 2.0, 40), 50)
    assert a.size > 2 * 512
    leg = small_leg(weights, a, s)
    np.testing.assert_allclose(leg.a, _derivative(lambda v: small_leg(weights, v, s).y, a, 1e-3), atol=1e-8)
    np.testing.assert_allclose(leg.aa, _derivative(lambda v: small_leg(weights, v, s).a, a, 1e-3), atol=1e-7)
    np.testing.assert_allclose(leg.s, _derivative(lambda v: small_leg(weights, a, v).y, s, 1e-3), atol=1e-8)


@pytest.mark.parametrize("kind", ["call", "put"])
@pytest.mark.parametrize("S", [80.0, 100.0, 130.0])
def test_greeks_are_derivatives_of_the_network_price(kind: str, S: float) -> None:
    """For an untrained network too: Greeks belong to their own price, right or wrong."""
    weights = random_weights(7)
    at = {"S": S, "K": 100.0, "tau": 0.8, "r": 0.04, "sigma": 0.35, "q": 0.015}

    def price(**moved: float) -> float:
        quotes = make_quotes(**{**at, **moved}, option_type=kind)
        return float(value_network(weights, quotes)["price"][0])

    def slope(name: str, h: float) -> float:
        return float(_derivative(lambda v: price(**{name: float(v)}), np.float64(at[name]), h))

    h = 0.05
    found = value_network(weights, make_quotes(**at, option_type=kind))
    assert found["delta"][0] == pytest.approx(slope("S", h), rel=1e-7)
    second = (price(S=S + h) - 2 * price() + price(S=S - h)) / h**2
    assert found["gamma"][0] == pytest.approx(second, rel=1e-5)
    assert found["vega"][0] == pytest.approx(slope("sigma", 1e-3), rel=1e-7)
    assert found["theta"][0] == pytest.approx(-slope("tau", 1e-3), rel=1e-7)
    assert found["rho"][0] == pytest.approx(slope("r", 1e-3), rel=1e-7)


def test_outside_the_domain_the_closed_form_answers() -> None:
    from ml_assets.pinn import black_scholes

    weights = random_weights(1)
    quotes = make_quotes(
        [100, 100, 100, 100, 100, 1000], 100, [0.5, 1e-9, 0.0, 400.0, 1 / 365, 20.0], 0.0, 0.2, 0.0, "put"
    )
    quotes = make_quotes(
        quotes.S, 100, quotes.tau, 0.0, [0.2, 0.2, 0.2, 0.2, 0.0, 0.9], 0.0, ["call", "put"] * 3
    )
    values, inside = value_quotes(weights, quotes)
    assert inside.tolist() == [True, False, False, False, False, False]
    exact = black_scholes(quotes.S, 100, quotes.tau, 0.0, quotes.sigma, 0.0, ["call", "put"] * 3)
    for name, column in values.items():
        np.testing.assert_array_equal(column[1:], exact[name][1:])
        assert column[0] == value_network(weights, quotes.take(inside))[name][0]


def test_domain_edges_belong_to_it() -> None:
    domain = Domain(s_min=0.25, s_max=0.5, z_max=2.0, x_max=0.75)
    quotes = make_quotes(1.0, 1.0, 1.0, 0.0, [0.25, 0.5, 0.249, 0.501])
    assert in_domain(quotes, domain).tolist() == [True, True, False, False]
    tail = make_quotes(np.exp([0.5, 0.51, 0.76]), 1.0, 1.0, 0.0, [0.26, 0.25, 0.5])
    assert in_domain(tail, domain).tolist() == [True, False, False]


@pytest.mark.parametrize("bad", [{"s_min": 0.0}, {"s_max": float("nan")}, {"s_min": 4.0}])
def test_domain_refuses_nonsense(bad: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="domain needs"):
        Domain(**bad)


@settings(deadline=None)
@given(weights_seeds, st.lists(inside_options(), min_size=1, max_size=5), st.sampled_from(["call", "put"]))
def test_price_alone_is_the_price(seed: int, options: list[dict[str, float]], kind: str) -> None:
    weights = random_weights(seed)
    quotes = make_quotes(**{name: [o[name] for o in options] for name in options[0]}, option_type=kind)
    with_greeks, by_network = value_quotes(weights, quotes)
    alone, alone_by_network = value_quotes(weights, quotes, greeks=False)
    assert list(alone) == ["price"]
    np.testing.assert_array_equal(alone_by_network, by_network)
    np.testing.assert_allclose(alone["price"], with_greeks["price"], rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("greeks", [True, False])
def test_blocks_and_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch, greeks: bool) -> None:
    """A large batch, partly outside the domain, is the sum of its options."""
    weights, n = random_weights(6), 3000
    rng = np.random.default_rng(0)
    sigma = np.where(rng.random(n) < 0.1, 0.0, 0.3)  # one in ten belongs to the closed form
    quotes = make_quotes(rng.uniform(60, 150, n), 100.0, rng.uniform(0.1, 2, n), 0.03, sigma, 0.01)
    whole, whole_inside = value_quotes(weights, quotes, greeks=greeks)
    assert 0.8 < whole_inside.mean() < 0.95
    monkeypatch.setattr("ml_assets.pinn.european.greeks._BLOCK", 700)
    monkeypatch.setattr("ml_assets.pinn.european.ansatz._CHUNK", 64)
    monkeypatch.setattr("ml_assets.pinn.european.ansatz._VALUE_CHUNK", 96)
    cut, cut_inside = value_quotes(weights, quotes, greeks=greeks)
    np.testing.assert_array_equal(cut_inside, whole_inside)
    for name, column in whole.items():
        np.testing.assert_allclose(cut[name], column, rtol=1e-11, atol=1e-11)
