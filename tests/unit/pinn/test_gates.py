"""Each gate of the network passes on a trained one and turns red on the fault it is there for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from ml_assets.gates.core import GateResult
from ml_assets.gates.options.european import PINN_GATES, PinnThresholds, pinn_gates, wide_grid
from ml_assets.gates.options.networks import NetworkEvidence
from ml_assets.pinn import PinnWeights
from ml_assets.pinn.european.greeks import value_network
from ml_assets.pinn.quotes import Quotes
from tests.pinn_fixtures import random_weights

NAMES = ("pinn_parity", "pinn_residual", "pinn_price", "pinn_greeks", "pinn_no_arbitrage")
Values = dict[str, np.ndarray]


def failures(weights: PinnWeights, value: Callable[..., Values] = value_network) -> dict[str, GateResult]:
    results = pinn_gates(weights, value=value)
    assert tuple(result.gate for result in results) == NAMES
    return {result.gate: result for result in results if not result.passed}


def test_grid_is_the_one_of_the_brief() -> None:
    m, tau, sigma, r, q = wide_grid()
    assert m.size == 39_360
    assert (m.min(), m.max()) == pytest.approx((0.5, 2.0))
    assert (tau.min(), tau.max()) == pytest.approx((1 / 365, 2.0))
    assert (sigma.min(), sigma.max(), r.max(), q.max()) == (0.05, 0.8, 0.1, 0.08)


def test_trained_network_passes_with_margin(quick_weights: PinnWeights) -> None:
    results = {result.gate: result for result in pinn_gates(quick_weights)}
    assert all(result.passed for result in results.values()), [r.message for r in results.values()]
    assert results["pinn_price"].checked == 2 * 39_360
    assert results["pinn_greeks"].checked == 5 * 2 * 39_360
    assert results["pinn_no_arbitrage"].checked > 3_000_000
    assert results["pinn_parity"].figures["parity_max"] < PinnThresholds().parity / 10
    assert results["pinn_residual"].figures["residual_rms"] < PinnThresholds().residual_rms / 3


def test_untrained_network_fails_all_but_parity() -> None:
    failed = failures(random_weights(0))
    assert {"pinn_residual", "pinn_price", "pinn_greeks"} <= set(failed)
    assert "pinn_parity" not in failed  # parity is built in
    message = failed["pinn_price"].message
    assert "S=" in message
    assert "network" in message
    assert "closed form" in message


@pytest.mark.parametrize("at", [0, 50, 200, -1])
def test_one_perturbed_weight_fails(quick_weights: PinnWeights, at: int) -> None:
    parameters = quick_weights.parameters
    parameters[at] += 1e-4
    spoilt = PinnWeights.from_parameters(
        parameters, quick_weights.width, quick_weights.depth, domain=quick_weights.domain
    )
    assert {"pinn_residual", "pinn_price", "pinn_greeks"} <= set(failures(spoilt))


def planted(change: Callable[[Quotes, Values], None]) -> Callable[[PinnWeights, Quotes], Values]:
    def value(weights: PinnWeights, quotes: Quotes) -> Values:
        values = value_network(weights, quotes)
        change(quotes, values)
        return values

    return value


def _put_from_another_model(quotes: Quotes, v: Values) -> None:
    v["price"] += np.where(quotes.is_call, 0.0, 1e-12)


def _wrong_theta_sign(quotes: Quotes, v: Values) -> None:
    v["theta"] *= -1.0


def _vega_per_point(quotes: Quotes, v: Values) -> None:
    v["vega"] /= 100.0


def _ripple(quotes: Quotes, v: Values) -> None:
    """Too small for the price gate, large enough to buy and sell butterflies against."""
    v["price"] += 5e-9 * quotes.K * np.sin(300.0 * quotes.S / quotes.K)


def _below_intrinsic(quotes: Quotes, v: Values) -> None:
    v["price"] -= 1e-11 * quotes.K


def _nan_once(quotes: Quotes, v: Values) -> None:
    for column in v.values():
        column[1234] = np.nan


@pytest.mark.parametrize(
    ("fault", "caught"),
    [
        (_put_from_another_model, {"pinn_parity"}),
        (_wrong_theta_sign, {"pinn_residual", "pinn_greeks"}),
        (_vega_per_point, {"pinn_greeks"}),
        (_ripple, {"pinn_no_arbitrage"}),
        (_below_intrinsic, {"pinn_no_arbitrage"}),
        (_nan_once, set(NAMES)),
    ],
)
def test_planted_fault_is_caught(
    quick_weights: PinnWeights, fault: Callable[[Quotes, Values], None], caught: set[str]
) -> None:
    assert caught <= set(failures(quick_weights, planted(fault)))


def test_arbitrage_is_named(quick_weights: PinnWeights) -> None:
    result = failures(quick_weights, planted(_below_intrinsic))["pinn_no_arbitrage"]
    assert "below intrinsic" in result.message
    assert "S=" in result.message
    assert int(result.figures["violations"]) > 0


def test_thresholds_are_in_one_place(quick_weights: PinnWeights) -> None:
    strict = replace(PinnThresholds(), price=1e-15)
    results = {result.gate: result for result in pinn_gates(quick_weights, strict)}
    assert not results["pinn_price"].passed
    assert "limit 1e-15" in results["pinn_price"].message


def test_a_verdict_is_kept_for_the_same_bytes_alone() -> None:
    asked = []

    def value(network: PinnWeights, quotes: Quotes) -> Values:
        asked.append(network.seed)
        return value_network(network, quotes)

    evidence, first = NetworkEvidence(PinnThresholds(), value), random_weights(1)
    arbitrage = PINN_GATES[-1]
    verdict = arbitrage.check(first, evidence)
    count = len(asked)
    assert arbitrage.check(PinnWeights.from_bytes(first.to_bytes()), evidence) is verdict
    assert len(asked) == count
    arbitrage.check(replace(first, seed=first.seed + 1), evidence)
    assert len(asked) == 2 * count
