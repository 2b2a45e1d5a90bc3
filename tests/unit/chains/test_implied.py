"""Implied volatilities against the volatilities that made the prices."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq

from ml_assets.chains import implied_volatility
from tests.unit.chains.makers import black


def invert(price, forward, strike, tau, discount, call) -> float:
    arrays = (np.array([x], dtype=float) for x in (price, forward, strike, tau, discount))
    return float(implied_volatility(*arrays, np.array([call]))[0])


@settings(max_examples=300, deadline=None)
@given(
    sigma=st.floats(0.03, 2.0),
    tau=st.floats(1 / 365, 3.0),
    z=st.floats(-7.0, 7.0),
    rate=st.floats(-0.02, 0.1),
    call=st.booleans(),
)
def test_round_trip_out_of_the_money(sigma: float, tau: float, z: float, rate: float, call: bool) -> None:
    """To 1e-10 wherever the price has digits of its own, seven deviations out and more."""
    strike = 100.0 * math.exp((1 if call else -1) * abs(z) * sigma * math.sqrt(tau))
    discount = math.exp(-rate * tau)
    price = float(black(100.0, strike, tau, discount, sigma, call))
    assert invert(price, 100.0, strike, tau, discount, call) == pytest.approx(sigma, abs=1e-10)


@settings(max_examples=100, deadline=None)
@given(sigma=st.floats(0.05, 1.0), tau=st.floats(0.02, 2.0), z=st.floats(0.0, 2.0), call=st.booleans())
def test_round_trip_in_the_money(sigma: float, tau: float, z: float, call: bool) -> None:
    """There the price is mostly intrinsic value, whose last digit bounds what can be known."""
    strike = 100.0 * math.exp((-1 if call else 1) * z * sigma * math.sqrt(tau))
    price = float(black(100.0, strike, tau, 0.98, sigma, call))
    assert invert(price, 100.0, strike, tau, 0.98, call) == pytest.approx(sigma, abs=1e-10)


def test_against_a_bracketing_solver_on_the_textbook_formula() -> None:
    """Independent code: normal distribution by ``math.erf``, root by Brent."""

    def textbook(sigma: float, strike: float, tau: float) -> float:
        s = sigma * math.sqrt(tau)
        d1 = math.log(100.0 / strike) / s + s / 2
        n = [0.5 * (1 + math.erf(d / math.sqrt(2))) for d in (d1, d1 - s)]
        return 0.97 * (100.0 * n[0] - strike * n[1])

    for strike in (90.0, 100.0, 115.0):
        for tau in (0.05, 0.5, 2.0):
            price = textbook(0.23, strike, tau)
            root = brentq(lambda v, k=strike, t=tau, p=price: textbook(v, k, t) - p, 0.01, 2.0, xtol=1e-14)
            assert invert(price, 100.0, strike, tau, 0.97, True) == pytest.approx(root, abs=1e-10)


@pytest.mark.parametrize("price", [0.0, -1.0, np.nan, np.inf, 97.0, 120.0])
def test_no_volatility_where_none_exists(price: float) -> None:
    assert math.isnan(invert(price, 100.0, 105.0, 0.5, 0.97, True))


def test_at_intrinsic_value_there_is_none_and_above_it_there_is_one() -> None:
    intrinsic = 0.97 * 10.0
    assert math.isnan(invert(intrinsic, 100.0, 90.0, 0.5, 0.97, True))
    assert invert(intrinsic + 0.5, 100.0, 90.0, 0.5, 0.97, True) > 0.0


def test_one_hopeless_option_does_not_touch_the_others() -> None:
    strikes = np.array([90.0, 100.0, 110.0])
    price = black(100.0, strikes, 0.5, 0.97, 0.2, True)
    price[1] = np.nan
    same = np.ones(3)
    found = implied_volatility(price, 100.0 * same, strikes, 0.5 * same, 0.97 * same, same > 0)
    np.testing.assert_allclose(found, [0.2, np.nan, 0.2], atol=1e-10)
