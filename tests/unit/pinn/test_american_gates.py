"""Each gate of the American network passes on a trained one and turns red on the fault it is there for."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from ml_assets.gates.core import GateResult
from ml_assets.gates.options.american import AmericanThresholds, american_gates
from ml_assets.gates.options.american_reference import reference_greeks, reference_prices
from ml_assets.pinn.american import AmericanDomain, AmericanWeights
from ml_assets.pinn.american.value import value_boundary
from ml_assets.pinn.european.closed_form import value_closed_form
from ml_assets.pinn.quotes import Quotes
from tests.american_fixtures import LIMITS, random_american

pytestmark = pytest.mark.xdist_group("american")  # QuantLib's reference is computed once per process

NAMES = ("american_price", "american_greeks", "american_no_arbitrage", "american_boundary")
Values = dict[str, np.ndarray]


def failures(
    weights: AmericanWeights, value: Callable[..., Values] = value_boundary
) -> dict[str, GateResult]:
    results = american_gates(weights, LIMITS, value=value)
    assert tuple(result.gate for result in results) == NAMES
    return {result.gate: result for result in results if not result.passed}


def test_thresholds_are_those_of_the_brief() -> None:
    limits = AmericanThresholds()
    assert limits.price_max <= 2e-5
    assert limits.price_mean <= 1e-6
    assert limits.delta_p99 <= 1e-4
    assert limits.options >= 2000
    assert limits.domain == AmericanDomain()


def test_trained_network_passes(american_quick: AmericanWeights) -> None:
    results = {result.gate: result for result in american_gates(american_quick, LIMITS)}
    assert all(result.passed for result in results.values()), [r.message for r in results.values()]
    assert results["american_price"].checked == 120 + 6 * 2**4
    assert results["american_greeks"].checked == 5 * 40
    assert results["american_no_arbitrage"].checked > 50_000
    assert results["american_boundary"].checked > 15_000


def test_untrained_network_fails() -> None:
    failed = failures(random_american(0))
    assert {"american_price", "american_greeks", "american_boundary"} <= set(failed)
    message = failed["american_price"].message
    for part in ("S=", "network", "QuantLib", "limits 2e-05"):
        assert part in message


def test_network_of_another_domain_fails_on_the_domain_of_the_thresholds(
    american_quick: AmericanWeights,
) -> None:
    limits = replace(LIMITS, domain=AmericanDomain(), options=8, greek_options=2)
    price = american_gates(american_quick, limits)[0]
    assert not price.passed


def test_shifted_boundary_fails(american_quick: AmericanWeights) -> None:
    biases = (*american_quick.biases[:-1], american_quick.biases[-1] + 5e-2)
    shifted = replace(american_quick, biases=biases)
    assert {"american_price", "american_boundary"} <= set(failures(shifted))


def _european(weights: AmericanWeights, quotes: Quotes) -> Values:
    return value_closed_form(quotes)


def planted(change: Callable[[Quotes, Values], None]) -> Callable[[AmericanWeights, Quotes], Values]:
    def value(weights: AmericanWeights, quotes: Quotes) -> Values:
        values = value_boundary(weights, quotes)
        change(quotes, values)
        return values

    return value


def _flip(name: str) -> Callable[[Quotes, Values], None]:
    def change(quotes: Quotes, v: Values) -> None:
        v[name] *= -1.0

    return change


def _rates_not_exchanged(quotes: Quotes, v: Values) -> None:
    """Rho of a call as if the yield were the rate."""
    v["rho"] = np.where(quotes.is_call, -v["rho"], v["rho"])


def _ripple(quotes: Quotes, v: Values) -> None:
    """Too small for the price gate, large enough to buy and sell butterflies against."""
    v["price"] += 5e-6 * quotes.K * (1.0 + np.sin(300.0 * quotes.S / quotes.K))


def _below_intrinsic(quotes: Quotes, v: Values) -> None:
    v["price"] -= 1e-9 * quotes.K


def _nan_once(quotes: Quotes, v: Values) -> None:
    for column in v.values():
        column[7] = np.nan


@pytest.mark.parametrize(
    ("value", "caught"),
    [
        (_european, {"american_price", "american_greeks", "american_no_arbitrage", "american_boundary"}),
        (planted(_flip("delta")), {"american_greeks", "american_no_arbitrage", "american_boundary"}),
        (planted(_flip("gamma")), {"american_greeks", "american_no_arbitrage"}),
        (planted(_flip("vega")), {"american_greeks"}),
        (planted(_flip("theta")), {"american_greeks"}),
        (planted(_flip("rho")), {"american_greeks"}),
        (planted(_rates_not_exchanged), {"american_greeks"}),
        (planted(_ripple), {"american_no_arbitrage"}),
        (planted(_below_intrinsic), {"american_no_arbitrage"}),
        (planted(_nan_once), set(NAMES)),
    ],
)
def test_planted_fault_is_caught(
    american_quick: AmericanWeights, value: Callable[..., Values], caught: set[str]
) -> None:
    assert caught <= set(failures(american_quick, value))


def test_arbitrage_is_named(american_quick: AmericanWeights) -> None:
    result = failures(american_quick, planted(_below_intrinsic))["american_no_arbitrage"]
    assert "below intrinsic" in result.message
    assert "S=" in result.message
    assert int(result.figures["violations"]) > 0


def test_without_quantlib_the_gates_stay_closed_and_say_what_to_do(
    american_quick: AmericanWeights, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference_prices.cache_clear()
    reference_greeks.cache_clear()
    monkeypatch.setitem(sys.modules, "QuantLib", None)
    failed = failures(american_quick)
    assert set(failed) == {"american_price", "american_greeks"}
    assert all("pip install QuantLib" in result.message for result in failed.values())
