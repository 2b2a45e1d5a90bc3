"""American prices and Greeks: references, bounds, symmetry, edges, and who answers for what."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_assets.gates.options.american_reference import random_americans
from ml_assets.pinn.american import AmericanDomain, AmericanWeights, value_american
from ml_assets.pinn.american.binomial import value_binomial
from ml_assets.pinn.american.boundary import boundary
from ml_assets.pinn.american.certain import value_certain
from ml_assets.pinn.american.premium import NEAR
from ml_assets.pinn.american.quantlib import QuantLibReference
from ml_assets.pinn.american.value import as_puts, value_boundary
from ml_assets.pinn.european.closed_form import value_closed_form
from ml_assets.pinn.quotes import GREEKS, SOURCES, Quotes, make_quotes
from tests.american_fixtures import LIMITS, random_american

Values = dict[str, np.ndarray]


def one(**option: object) -> Quotes:
    at = {"S": 100.0, "K": 100.0, "tau": 0.5, "r": 0.05, "sigma": 0.3, "q": 0.02, "option_type": "put"}
    return make_quotes(**{**at, **option})  # type: ignore[arg-type]


def source(weights: AmericanWeights, quotes: Quotes) -> str:
    return SOURCES[int(value_american(weights, quotes)[1][0])]


def distance(weights: AmericanWeights, quotes: Quotes) -> np.ndarray:
    """From the exercise boundary, in total volatilities; negative where the option is exercised."""
    spot, strike, rate, dividend = as_puts(quotes)
    variance = quotes.sigma**2
    log_b = boundary(weights, quotes.s, rate / variance, dividend / variance)
    found: np.ndarray = (np.log(spot / strike) - log_b) / quotes.s
    return found


def test_greeks_are_derivatives_of_the_price(american_quick: AmericanWeights) -> None:
    quotes = random_americans(LIMITS.domain, 200, seed=3)
    found = value_boundary(american_quick, quotes)
    columns = {name: getattr(quotes, name) for name in ("S", "K", "tau", "r", "sigma", "q")}
    kinds = np.where(quotes.is_call, "call", "put")

    for greek, name, sign in (("delta", "S", 1), ("vega", "sigma", 1), ("rho", "r", 1), ("theta", "tau", -1)):
        step = 1e-5 * columns[name]
        moved = [
            make_quotes(**{**columns, name: columns[name] + move}, option_type=kinds)
            for move in (step, -step)
        ]
        up, down = (value_boundary(american_quick, side)["price"] for side in moved)
        # Two places where a step measures no derivative: the price has a kink at the exercise boundary, and
        # jumps by some 1e-9 where another rule begins to integrate. Which options stand there is chance, and
        # differs between machines, since the trained network does.
        pieces = [np.digitize(distance(american_quick, side), [0.0, NEAR]) for side in (quotes, *moved)]
        usable = (pieces[0] > 0) & (pieces[0] == pieces[1]) & (pieces[0] == pieces[2]) & (step > 0.0)
        assert usable.sum() > 100
        slope = sign * (up - down) / (2.0 * np.where(step > 0, step, 1.0))
        np.testing.assert_allclose(found[greek][usable], slope[usable], atol=2e-5, err_msg=greek)


def test_price_hardly_jumps_where_another_rule_integrates(american_quick: AmericanWeights) -> None:
    drawn = random_americans(LIMITS.domain, 200, seed=3)
    spot, strike, rate, dividend = as_puts(drawn)
    seam = spot * np.exp((NEAR - distance(american_quick, drawn)) * drawn.s)
    near, far = (
        make_quotes(seam * (1.0 + move), strike, drawn.tau, rate, drawn.sigma, dividend, "put")
        for move in (-1e-12, 1e-12)
    )
    np.testing.assert_array_less(distance(american_quick, near), distance(american_quick, far))
    jump = value_boundary(american_quick, far)["price"] - value_boundary(american_quick, near)["price"]
    assert 0.0 < np.abs(jump / strike).max() < 1e-7


def test_network_agrees_with_the_tree(american_quick: AmericanWeights) -> None:
    """Two methods that share nothing."""
    quotes = random_americans(LIMITS.domain, 40, seed=5)
    network, tree = value_boundary(american_quick, quotes), value_binomial(quotes)
    assert np.abs(network["price"] - tree["price"]).max() < 1e-4
    for name, typical in (("delta", 1e-3), ("vega", 5e-3), ("theta", 5e-3), ("rho", 5e-3)):
        assert np.quantile(np.abs(network[name] - tree[name]), 0.9) < typical, name


OPTION = st.fixed_dictionaries(
    {
        "S": st.floats(60.0, 160.0),
        "K": st.floats(80.0, 120.0),
        "tau": st.floats(0.1, 0.8),
        "sigma": st.floats(0.2, 0.5),
        "r": st.floats(0.02, 0.08),
        "q": st.floats(0.02, 0.08),
        "option_type": st.sampled_from(["call", "put"]),
    }
)


@settings(deadline=None)
@given(OPTION)
def test_bounds_and_symmetry_hold(american_quick: AmericanWeights, option: dict[str, object]) -> None:
    quotes = make_quotes(**option)  # type: ignore[arg-type]
    v = value_boundary(american_quick, quotes)
    price, sign = float(v["price"][0]), 1.0 if quotes.is_call[0] else -1.0
    assert price >= float(value_closed_form(quotes)["price"][0]) - 1e-9
    assert price >= max(sign * float(quotes.S[0] - quotes.K[0]), 0.0)
    assert price <= float(quotes.S[0] if quotes.is_call[0] else quotes.K[0])
    assert -1e-6 <= sign * float(v["delta"][0]) <= 1.0 + 1e-6
    mirror = make_quotes(
        quotes.K,
        quotes.S,
        quotes.tau,
        quotes.q,
        quotes.sigma,
        quotes.r,
        "put" if quotes.is_call[0] else "call",
    )
    w = value_boundary(american_quick, mirror)
    for name in ("price", "vega", "theta"):
        assert float(w[name][0]) == pytest.approx(float(v[name][0]), rel=1e-11, abs=1e-11)
    # Euler: price = S delta + K dP/dK, and dP/dK is the delta of the mirror image.
    assert price == pytest.approx(
        float(quotes.S[0] * v["delta"][0] + quotes.K[0] * w["delta"][0]), rel=1e-10, abs=1e-9
    )


@settings(deadline=None)
@given(OPTION, st.floats(1e-3, 0.2))
def test_monotone_in_spot_and_time(
    american_quick: AmericanWeights, option: dict[str, object], step: float
) -> None:
    quotes = make_quotes(**option)  # type: ignore[arg-type]
    price = float(value_boundary(american_quick, quotes)["price"][0])
    sign = 1.0 if quotes.is_call[0] else -1.0
    moved = make_quotes(**{**option, "S": quotes.S * (1.0 + step)})  # type: ignore[arg-type]
    assert sign * (float(value_boundary(american_quick, moved)["price"][0]) - price) >= -1e-9
    later = make_quotes(**{**option, "tau": quotes.tau + step})  # type: ignore[arg-type]
    assert float(value_boundary(american_quick, later)["price"][0]) >= price - 2e-3  # K = 100: 2e-5 K


def test_call_without_dividends_is_european(american_quick: AmericanWeights) -> None:
    quotes = one(S=[80.0, 100.0, 130.0], q=0.0, option_type="call")
    values, methods = value_american(american_quick, quotes)
    assert [SOURCES[code] for code in methods] == ["closed_form"] * 3
    exact = value_closed_form(quotes)
    for name in GREEKS:
        np.testing.assert_array_equal(values[name], exact[name])
    # The limit from above is the same: what little dividend there is decides little.
    nearly = value_boundary(american_quick, one(S=[80.0, 100.0, 130.0], q=1e-4, option_type="call"))
    np.testing.assert_allclose(nearly["price"], exact["price"], atol=0.02)


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ({}, "network"),
        ({"r": 0.0, "q": 0.02}, "closed_form"),
        ({"r": -0.01, "q": 0.0}, "closed_form"),
        ({"r": -0.02, "q": -0.01}, "closed_form"),
        ({"r": -0.01, "q": -0.02}, "binomial"),
        ({"r": 0.05, "q": -0.01}, "binomial"),
        ({"r": 0.05, "q": -0.01, "option_type": "call"}, "closed_form"),
        ({"r": 0.0, "q": 0.05, "option_type": "call"}, "network"),
        ({"tau": 40.0}, "binomial"),
        ({"r": 0.9}, "binomial"),
        ({"tau": 0.0}, "closed_form"),
        ({"sigma": 0.0}, "closed_form"),
        ({"sigma": 3.0, "tau": 0.01, "r": 0.5, "q": 0.3}, "network"),  # another unit of time
    ],
)
def test_who_answers(american_quick: AmericanWeights, option: dict[str, object], expected: str) -> None:
    assert source(american_quick, one(**option)) == expected


@settings(deadline=None)
@given(st.floats(0.01, 100.0), st.floats(0.06, 0.8), st.floats(0.01, 2.9), st.floats(0.002, 0.11))
def test_domain_does_not_depend_on_the_unit_of_time(unit: float, sigma: float, tau: float, r: float) -> None:
    domain = AmericanDomain()
    q = np.array([0.05])
    sigma_unit, tau_unit, r_unit, q_unit = sigma / np.sqrt(unit), tau * unit, r / unit, q / unit
    s = np.array([sigma_unit * np.sqrt(tau_unit)])
    assert domain.contains(s, np.array([r_unit]) / sigma_unit**2, q_unit / sigma_unit**2).all()


def test_outside_even_a_bad_network_is_right() -> None:
    bad = random_american(0)
    quotes = make_quotes(
        100.0, [90.0, 110.0, 110.0], [20.0, 20.0, 1.0], [0.05, 0.05, 0.5], 0.25, [0.02, 0.02, 0.0], "put"
    )
    values, methods = value_american(bad, quotes)
    assert {SOURCES[code] for code in methods} == {"binomial"}
    exact = QuantLibReference().price(quotes)
    np.testing.assert_allclose(values["price"], exact, atol=3e-3)  # K = 100


def test_double_boundary_is_valued_above_the_european_price() -> None:
    """r and q negative, q below r: the put is exercised between two boundaries."""
    quotes = one(r=-0.01, q=-0.05, tau=3.0, sigma=0.2)
    american, european = value_binomial(quotes), value_closed_form(quotes)
    assert float(american["price"][0]) > float(european["price"][0]) + 1e-3


def test_tree_converges_to_quantlib() -> None:
    quotes = random_americans(AmericanDomain(sigma_min=0.1, tau_min=0.05, r_min=0.01), 12, seed=2)
    exact = QuantLibReference().price(quotes)
    error = np.abs(value_binomial(quotes)["price"] - exact)
    assert error.max() < 5e-5
    assert np.abs(value_binomial(quotes, steps=40)["price"] - exact).max() < 1e-3


@pytest.mark.parametrize("kind", ["call", "put"])
@pytest.mark.parametrize("sigma", [1e-4, 1.0, 3.0, 30.0])
def test_tree_keeps_the_bounds_at_any_volatility(sigma: float, kind: str) -> None:
    quotes = make_quotes([60.0, 100.0, 150.0], 100.0, 9.0, 0.05, sigma, 0.03, kind)
    v, most = value_binomial(quotes), quotes.S if kind == "call" else quotes.K
    sign = 1.0 if kind == "call" else -1.0
    assert all(np.isfinite(column).all() for column in v.values())
    assert (v["price"] <= most + 1e-9).all()
    assert (v["price"] >= np.maximum(sign * (quotes.S - quotes.K), 0.0)).all()
    assert (v["price"] >= value_closed_form(quotes)["price"] - 2e-3 * most).all()


def test_exercise_region_is_intrinsic(american_quick: AmericanWeights) -> None:
    for quotes, sign in ((one(S=40.0), -1.0), (one(S=300.0, q=0.08, option_type="call"), 1.0)):
        v = value_boundary(american_quick, quotes)
        assert float(v["price"][0]) == pytest.approx(sign * float(quotes.S[0] - 100.0), abs=1e-12)
        assert float(v["delta"][0]) == sign
        for name in ("gamma", "vega", "theta", "rho"):
            assert float(v[name][0]) == 0.0


def test_smooth_across_the_boundary(american_quick: AmericanWeights) -> None:
    """From far above to the very edge no Greek jumps but gamma, whose limit the equation gives."""
    quotes = one()
    variance = quotes.sigma**2
    edge = np.exp(boundary(american_quick, quotes.s, quotes.r / variance, quotes.q / variance))[0] * 100.0
    v = value_boundary(american_quick, one(S=edge * np.exp(0.212 * np.geomspace(1e-9, 0.1, 60))))
    limit = 2.0 * (0.05 * 100.0 - 0.02 * edge) / (0.3 * edge) ** 2
    assert v["gamma"][0] == pytest.approx(limit, rel=1e-2)
    assert v["theta"][0] == pytest.approx(0.0, abs=1e-6)
    for name, jump in (("delta", 0.02), ("gamma", 0.02 * limit), ("vega", 0.8), ("theta", 0.3)):
        assert np.abs(np.diff(v[name])).max() < jump, name


@pytest.mark.parametrize("kind", ["call", "put"])
@pytest.mark.parametrize(("r", "q"), [(0.05, 0.0), (0.0, 0.05), (0.03, 0.06), (-0.02, 0.01), (0.04, 0.04)])
def test_without_volatility_the_best_moment_is_found(kind: str, r: float, q: float) -> None:
    S = np.array([60.0, 95.0, 100.0, 105.0, 170.0])
    quotes = make_quotes(S, 100.0, 2.0, r, 0.0, q, kind)
    v = value_certain(quotes)
    t = np.linspace(0.0, 2.0, 20_001)[:, None]
    sign = 1.0 if kind == "call" else -1.0
    gains = sign * (S * np.exp(-q * t) - 100.0 * np.exp(-r * t))
    np.testing.assert_allclose(v["price"], np.maximum(gains.max(0), 0.0), atol=1e-6)
    step = 1e-4
    up, down = (value_certain(make_quotes(S * (1 + e), 100.0, 2.0, r, 0.0, q, kind)) for e in (step, -step))
    slope = (up["price"] - down["price"]) / (2 * step * S)
    kinked = np.abs(gains.max(0)) < 1e-9
    np.testing.assert_allclose(v["delta"][~kinked], slope[~kinked], atol=1e-4)
    # The tree at a small volatility agrees.
    quiet = value_binomial(make_quotes(S, 100.0, 2.0, r, 1e-4, q, kind))
    np.testing.assert_allclose(quiet["price"], v["price"], atol=0.02)


def test_at_expiry_it_is_intrinsic() -> None:
    v = value_certain(make_quotes([90.0, 100.0, 110.0], 100.0, 0.0, 0.05, 0.2, 0.0, "put"))
    np.testing.assert_array_equal(v["price"], [10.0, 0.0, 0.0])
    np.testing.assert_array_equal(v["delta"], [-1.0, -0.5, 0.0])
