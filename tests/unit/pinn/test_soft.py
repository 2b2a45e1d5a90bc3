"""The soft variant, kept for comparison: the same equation, but constraints that it cannot hold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ml_assets.gates.options.european import pinn_gates
from ml_assets.pinn import black_scholes
from ml_assets.pinn.quotes import make_quotes
from tests.pinn_fixtures import random_weights

soft = pytest.importorskip("ml_assets.pinn.european.soft")
tf = pytest.importorskip("tensorflow")

SMALL = soft.SoftRecipe(adam_steps=300, lbfgs_iterations=150, points=128, width=16, depth=2)
AT = {"S": 110.0, "K": 100.0, "tau": 0.9, "r": 0.03, "sigma": 0.4, "q": 0.02}


@pytest.fixture(scope="module")
def network() -> soft.SoftNetwork:
    return soft.train_soft(SMALL)


def test_learns_prices_without_seeing_one(network: soft.SoftNetwork) -> None:
    rng = np.random.default_rng(1)
    options = [
        rng.uniform(*b, 500) for b in ((0.6, 1.6), (1, 1), (0.2, 2), (0.01, 0.09), (0.1, 0.7), (0, 0.08))
    ]
    quotes = make_quotes(*options)
    exact = black_scholes(*options)["price"]
    assert np.linalg.norm(network.value(quotes)["price"] - exact) < 0.5 * np.linalg.norm(exact)


def test_soft_constraints_are_broken_where_hard_ones_hold(network: soft.SoftNetwork) -> None:
    """Parity and the absence of arbitrage: our network keeps the first before any training."""
    results = {g.gate: g for g in pinn_gates(network, value=soft.SoftNetwork.value)}
    assert not any(result.passed for result in results.values())
    assert float(results["pinn_parity"].figures["parity_max"]) > 1e-4
    assert int(results["pinn_no_arbitrage"].figures["violations"]) > 0
    hard = {g.gate: g for g in pinn_gates(random_weights(0))}
    assert hard["pinn_parity"].passed


@pytest.mark.parametrize("kind", ["call", "put"])
def test_greeks_are_derivatives_of_its_price(network: soft.SoftNetwork, kind: str) -> None:
    def price(**moved: float) -> float:
        return float(network.value(make_quotes(**{**AT, **moved}, option_type=kind))["price"][0])

    def slope(name: str, h: float) -> float:
        return (price(**{name: AT[name] + h}) - price(**{name: AT[name] - h})) / (2 * h)

    found = {name: float(v[0]) for name, v in network.value(make_quotes(**AT, option_type=kind)).items()}
    assert found["delta"] == pytest.approx(slope("S", 1e-3), rel=1e-5)
    gamma = (price(S=AT["S"] + 0.1) - 2 * price() + price(S=AT["S"] - 0.1)) / 0.01
    assert found["gamma"] == pytest.approx(gamma, rel=1e-4, abs=1e-8)
    assert found["vega"] == pytest.approx(slope("sigma", 1e-4), rel=1e-5)
    assert found["theta"] == pytest.approx(-slope("tau", 1e-4), rel=1e-5)
    assert found["rho"] == pytest.approx(slope("r", 1e-4), rel=1e-4)


def test_loss_is_zero_for_the_closed_form(monkeypatch: pytest.MonkeyPatch) -> None:
    """Residual, terminal condition and parity are those of Black-Scholes: its own prices meet them."""
    problem = soft._problem(replace(SMALL, points=64))

    def exact(_: object, inputs):  # type: ignore[no-untyped-def]
        x, tau, sigma, r, q = (inputs.numpy()[:, i] for i in range(5))
        columns = []
        for kind in ("call", "put"):
            v = black_scholes(np.exp(x), 1.0, tau, r, sigma, q, kind)
            by_x = v["delta"] * np.exp(x)
            columns.append((v["price"], by_x, v["gamma"] * np.exp(2 * x) + by_x, -v["theta"]))
        return soft._Jet(*(tf.constant(np.stack(pair, axis=1)) for pair in zip(*columns, strict=True)))

    monkeypatch.setattr(soft, "_jet", exact)
    ((inputs, expiry, low, high),) = problem._points()
    far_away = [tf.concat([side[:, :1] * 10.0, side[:, 1:]], 1) for side in (low, high)]
    loss = soft._loss([], (inputs, expiry, *far_away), 10.0)
    assert float(loss) < 1e-24


def test_equal_seeds_give_equal_networks() -> None:
    quotes, tiny = make_quotes(**AT), replace(SMALL, adam_steps=5, lbfgs_iterations=5)
    first, second, other = (
        soft.train_soft(replace(tiny, seed=seed)).value(quotes)["price"][0] for seed in (0, 0, 1)
    )
    assert first == second != other
