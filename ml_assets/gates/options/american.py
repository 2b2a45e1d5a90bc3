"""Gates of the American network: what it must show before anyone may price with it.

The network itself is asked, without the fallbacks that serving has, for puts and calls over the whole domain
of the thresholds, whatever domain the network claims. The reference is QuantLib's QdFp engine: another
method, by other people.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from ml_assets.gates._verdict import Tally, require
from ml_assets.gates.core import GateResult
from ml_assets.gates.options.american_reference import (
    american_ladder,
    boundary_ladder,
    dimensionless,
    reference_greeks,
    reference_prices,
)
from ml_assets.gates.options.networks import (
    Arbitrage,
    NetworkEvidence,
    Valuer,
    in_words,
    network_gate,
    rises_and_butterflies,
    worst,
)
from ml_assets.pinn.american.boundary import boundary
from ml_assets.pinn.american.recipe import AmericanDomain
from ml_assets.pinn.american.value import value_boundary
from ml_assets.pinn.american.weights import AmericanWeights
from ml_assets.pinn.european.closed_form import value_closed_form
from ml_assets.pinn.quotes import GREEKS, Quotes

__all__ = ["AMERICAN_GATES", "AmericanThresholds", "american_gates"]

Array = npt.NDArray[np.float64]
Values = dict[str, Array]


@dataclass(frozen=True)
class AmericanThresholds:
    """What each gate demands, and on which options.

    Parameters
    ----------
    domain : AmericanDomain
        Box from which the options are drawn.
    options, per_axis, greek_options, seed : int
        Random options priced; points per axis of the grid priced as well (six depths times its fourth power);
        random options whose Greeks are compared; seed of the draws.
    rungs : int
        Spots per ladder on which arbitrage is looked for.
    price_max, price_mean : float
        Largest and mean price error, per unit of strike.
    delta_p99 : float
        Error of delta that 99 % of the options stay below. (The rest lies at the boundary, where a difference
        of reference prices says little.)
    greeks_p99 : float
        The same for gamma, vega, theta and rho in units in which each is of size 1: see
        :func:`ml_assets.gates.options.american_reference.dimensionless`.
    rounding : float
        Forgiven, per unit of strike, before a bound or a monotonicity counts as violated.
    convexity : float
        Value of a butterfly below 0, per unit of strike, that is forgiven: at the boundary held and exercised
        prices meet within the price error.
    pasting_price, pasting_delta : float
        Largest jump of price (per unit of strike) and delta at the boundary.
    rise : float
        Rise of the boundary's logarithm between two expiries that is forgiven.
    """

    domain: AmericanDomain = field(default_factory=AmericanDomain)
    options: int = 4000
    per_axis: int = 4
    greek_options: int = 500
    seed: int = 0
    rungs: int = 201
    price_max: float = 2e-5
    price_mean: float = 1e-6
    delta_p99: float = 1e-4
    greeks_p99: float = 1e-3
    rounding: float = 1e-12
    convexity: float = 1e-6
    pasting_price: float = 2e-5
    pasting_delta: float = 5e-3
    rise: float = 1e-6


Evidence = NetworkEvidence[AmericanThresholds]


def _price(weights: AmericanWeights, evidence: Evidence, tally: Tally) -> str:
    limits = evidence.limits
    quotes, truth = reference_prices(limits.domain, limits.options, limits.per_axis, limits.seed)
    found = evidence.value(weights, quotes)["price"]
    error = np.abs(found - truth) / quotes.K
    i, mean = worst(error), float(error.mean())
    tally.checked = error.size
    tally.figures |= {
        "price_max": float(error[i]),
        "price_mean": mean,
        "price_p99": float(np.quantile(error, 0.99)),
        "price_max_random": float(error[: limits.options].max()),
        "price_max_grid": float(error[limits.options :].max()),
    }
    summary = (
        f"{error.size:,} prices against QuantLib QdFp, high precision: largest error {error[i]:.1e} K, "
        f"mean {mean:.1e} K"
    )
    require(
        bool(error[i] <= limits.price_max and mean <= limits.price_mean),
        f"{summary}; limits {limits.price_max:.0e} and {limits.price_mean:.0e}; worst at "
        f"{in_words(quotes, i)}: network {found[i]:.10g}, QuantLib {truth[i]:.10g}",
    )
    return summary


def _greeks(weights: AmericanWeights, evidence: Evidence, tally: Tally) -> str:
    limits = evidence.limits
    quotes, reference = reference_greeks(limits.domain, limits.greek_options, limits.seed + 1)
    found, truth = (dimensionless(quotes, greeks) for greeks in (evidence.value(weights, quotes), reference))
    failures, shown = [], []
    for name in GREEKS[1:]:
        error = np.abs(found[name] - truth[name])
        high = float(np.quantile(error, 0.99))
        i = worst(error)
        limit = limits.delta_p99 if name == "delta" else limits.greeks_p99
        tally.checked += error.size
        tally.figures |= {f"{name}_p99": high, f"{name}_max": float(error[i])}
        shown.append(f"{name} {high:.1e}")
        if not high <= limit:
            failures.append(
                f"{name}: {high:.1e}, limit {limit:.0e}; worst at {in_words(quotes, i)}: "
                f"network {found[name][i]:.8g}, QuantLib {truth[name][i]:.8g} (dimensionless)"
            )
    intro = f"{tally.checked:,} Greeks against differences of QuantLib's prices, 99 % of the errors below: "
    require(not failures, intro + "; ".join(failures))
    return intro + ", ".join(shown)


def _slacks(quotes: Quotes, v: Values, rungs: int) -> dict[str, Array]:
    """Quantities that are not negative without arbitrage, along ladders in S with ``K = 1``."""
    price, sign = v["price"], np.where(quotes.is_call, 1.0, -1.0)
    rises, butterflies = rises_and_butterflies(quotes.S, price, rungs)
    return {
        "below the European price": price - value_closed_form(quotes)["price"],
        "below intrinsic": price - np.maximum(sign * (quotes.S - quotes.K), 0.0),
        "above the asset or the strike": np.where(quotes.is_call, quotes.S, quotes.K) - price,
        "not monotone": sign[0] * rises,
        "gamma below 0": v["gamma"],
        "delta out of range": np.minimum(sign * v["delta"], 1.0 - sign * v["delta"]),
        "not convex": butterflies,
    }


def _no_arbitrage(weights: AmericanWeights, evidence: Evidence, tally: Tally) -> str:
    limits = evidence.limits
    arbitrage = Arbitrage()
    for call in (False, True):
        quotes = american_ladder(limits.domain, limits.rungs, call)
        slacks = _slacks(quotes, evidence.value(weights, quotes), limits.rungs)
        forgiven = dict.fromkeys(slacks, limits.rounding) | {"not convex": limits.convexity}
        arbitrage.look(quotes, "S", slacks, forgiven)
    return arbitrage.judged(tally, "S")


def _boundary(weights: AmericanWeights, evidence: Evidence, tally: Tally) -> str:
    limits = evidence.limits
    quotes, expiries = boundary_ladder(limits.domain)
    R, Q = quotes.r / quotes.sigma**2, quotes.q / quotes.sigma**2
    log_b = boundary(weights, quotes.s, R, Q)
    with np.errstate(divide="ignore"):
        limit = np.log(np.minimum(1.0, quotes.r / quotes.q))
    rise = np.diff(log_b.reshape(expiries, -1), axis=0).ravel()
    # Just above the boundary, where the option is still held.
    at = replace(quotes, S=np.exp(log_b + 1e-7 * quotes.s))
    v = evidence.value(weights, at)
    jump, bend = np.abs(v["price"] - (at.K - at.S)), np.abs(v["delta"] + 1.0)
    tally.checked = log_b.size + rise.size + jump.size + bend.size
    tally.figures |= {
        "pasting_price_max": float(np.max(jump)),
        "pasting_delta_max": float(np.max(bend)),
        "boundary_rise_max": float(np.max(rise)),
    }
    for what, error, forgiven in (
        ("boundary above min(K, K r / q), in logarithms", log_b - limit, limits.rounding),
        ("boundary rises with time to expiry, in logarithms", rise, limits.rise),
        ("jump of the price at the boundary", jump, limits.pasting_price),
        ("jump of delta at the boundary", bend, limits.pasting_delta),
    ):
        i = worst(error)
        require(
            bool(error[i] <= forgiven), f"{what}: {error[i]:.3e}, limit {forgiven:.0e}, at {in_words(at, i)}"
        )
    return (
        f"{log_b.size:,} boundary points: below min(K, K r / q), falling with time, price pasted to "
        f"{jump.max():.1e} K, delta to {bend.max():.1e}"
    )


AMERICAN_GATES = (
    network_gate("american_price", "Prices against QuantLib over the domain and its corners.", _price),
    network_gate(
        "american_greeks",
        "Delta, gamma, vega, theta and rho against differences of QuantLib's prices.",
        _greeks,
    ),
    network_gate(
        "american_no_arbitrage", "Bounds, monotonicity and convexity without a violation.", _no_arbitrage
    ),
    network_gate(
        "american_boundary",
        "The boundary is bounded, falls with time, and price and delta are pasted there.",
        _boundary,
    ),
)
"""Gates of ``american_weights``. Without QuantLib the first two fail and say what to install."""


def american_gates(
    weights: AmericanWeights, thresholds: AmericanThresholds | None = None, *, value: Valuer = value_boundary
) -> tuple[GateResult, ...]:
    """Verdicts of :data:`AMERICAN_GATES` on a boundary network.

    Parameters
    ----------
    weights : AmericanWeights
    thresholds : AmericanThresholds, optional
        Default: ``AmericanThresholds()``; with it the reference takes about a minute, once per process.
    value : callable
        How the network is turned into prices.
    """
    evidence = Evidence(thresholds or AmericanThresholds(), value)
    return tuple(gate.check(weights, evidence) for gate in AMERICAN_GATES)
