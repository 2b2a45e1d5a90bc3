"""The reference itself: against integration of the payoff, finite differences and the textbook."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from ml_assets.pinn import black_scholes

GREEK_INPUTS = {"S": 105.0, "K": 100.0, "tau": 0.7, "r": 0.04, "sigma": 0.3, "q": 0.02}


def test_textbook_values() -> None:
    """Hull, Options, Futures and Other Derivatives, example 15.6: 4.76 and 0.81."""
    call = black_scholes(42, 40, 0.5, 0.1, 0.2)["price"]
    put = black_scholes(42, 40, 0.5, 0.1, 0.2, option_type="put")["price"]
    assert round(float(call), 2) == 4.76
    assert round(float(put), 2) == 0.81


@pytest.mark.parametrize("kind", ["call", "put"])
@pytest.mark.parametrize(
    ("S", "K", "tau", "r", "sigma", "q"),
    [(100, 100, 1.0, 0.05, 0.2, 0.0), (80, 120, 0.5, 0.01, 0.6, 0.08), (150, 100, 2.0, 0.1, 0.8, 0.03)],
)
def test_equals_the_integral_of_the_payoff(
    kind: str, S: float, K: float, tau: float, r: float, sigma: float, q: float
) -> None:
    s, sign = sigma * np.sqrt(tau), 1.0 if kind == "call" else -1.0
    kink = (np.log(K / S) - (r - q) * tau + s * s / 2) / s

    def payoff(z: float) -> float:
        terminal = S * np.exp((r - q) * tau - s * s / 2 + s * z)
        return sign * (terminal - K) * np.exp(-z * z / 2) / np.sqrt(2 * np.pi)

    low, high = (kink, kink + 40.0) if kind == "call" else (kink - 40.0, kink)
    expected = np.exp(-r * tau) * quad(payoff, low, high, epsabs=1e-13, epsrel=1e-13, limit=500)[0]
    assert float(black_scholes(S, K, tau, r, sigma, q, kind)["price"]) == pytest.approx(expected, rel=1e-11)


@pytest.mark.parametrize("kind", ["call", "put"])
def test_greeks_are_derivatives_of_the_price(kind: str) -> None:
    def price(**moved: float) -> float:
        return float(black_scholes(**{**GREEK_INPUTS, **moved}, option_type=kind)["price"])

    def slope(name: str, h: float = 1e-4) -> float:
        at = GREEK_INPUTS[name]
        return (price(**{name: at + h}) - price(**{name: at - h})) / (2 * h)

    found = black_scholes(**GREEK_INPUTS, option_type=kind)
    h = 1e-2
    S = GREEK_INPUTS["S"]
    gamma = (price(S=S + h) - 2 * price() + price(S=S - h)) / h**2
    expected = {
        "delta": slope("S"),
        "gamma": gamma,
        "vega": slope("sigma"),
        "theta": -slope("tau"),
        "rho": slope("r"),
    }
    for name, value in expected.items():
        assert float(found[name]) == pytest.approx(value, rel=1e-5), name


def test_tiny_prices_keep_their_digits() -> None:
    """Ten standard deviations out, both terms cancel to nothing in the plain formula; mpmath, 60 digits."""
    price = float(black_scholes(100, 111, 1.0, 0.0, 0.01)["price"])
    assert price == pytest.approx(8.4210112005933172e-27, rel=1e-12)


@pytest.mark.parametrize(("tau", "sigma"), [(0.0, 0.2), (0.5, 0.0), (0.0, 0.0)])
def test_without_time_or_volatility_the_price_is_discounted_intrinsic(tau: float, sigma: float) -> None:
    S = np.array([80.0, 100.0, 125.0])
    call = black_scholes(S, 100.0, tau, 0.05, sigma, 0.02)
    put = black_scholes(S, 100.0, tau, 0.05, sigma, 0.02, "put")
    forward = S * np.exp(-0.02 * tau) - 100.0 * np.exp(-0.05 * tau)
    np.testing.assert_allclose(call["price"], np.maximum(forward, 0.0), atol=1e-13)
    np.testing.assert_allclose(put["price"], np.maximum(-forward, 0.0), atol=1e-13)
    for values in (call, put):
        assert not values["gamma"].any()
        assert not values["vega"].any()
        assert all(np.isfinite(column).all() for column in values.values())


def test_exactly_at_the_forward_without_volatility_delta_is_half() -> None:
    assert float(black_scholes(100, 100, 0.0, 0.05, 0.2)["delta"]) == 0.5


options = st.fixed_dictionaries(
    {
        "S": st.floats(1e-3, 1e6),
        "K": st.floats(1e-3, 1e6),
        "tau": st.floats(0.0, 30.0),
        "r": st.floats(-0.1, 0.3),
        "sigma": st.floats(0.0, 5.0),
        "q": st.floats(-0.1, 0.3),
    }
)


@given(options)
def test_parity_bounds_and_finiteness_everywhere(option: dict[str, float]) -> None:
    call, put = (black_scholes(**option, option_type=kind) for kind in ("call", "put"))
    spot_leg = option["S"] * np.exp(-option["q"] * option["tau"])
    strike_leg = option["K"] * np.exp(-option["r"] * option["tau"])
    slack = 1e-13 * (spot_leg + strike_leg)
    assert all(np.isfinite(column).all() for values in (call, put) for column in values.values())
    assert abs(call["price"] - put["price"] - (spot_leg - strike_leg)) <= slack
    assert max(spot_leg - strike_leg, 0.0) - slack <= call["price"] <= spot_leg + slack
    assert max(strike_leg - spot_leg, 0.0) - slack <= put["price"] <= strike_leg + slack
