"""The options that American gates look at, and what QuantLib says about them."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from ml_assets.pinn.american.quantlib import DAYS_PER_YEAR, QuantLibReference
from ml_assets.pinn.american.recipe import AmericanDomain
from ml_assets.pinn.quotes import Quotes, make_quotes

__all__ = [
    "american_grid",
    "american_ladder",
    "boundary_ladder",
    "dimensionless",
    "random_americans",
    "reference_greeks",
    "reference_prices",
]

Array = npt.NDArray[np.float64]

_DEEPEST = 0.7  # largest |ln(S / K)|
_FARTHEST = 4.0  # largest |ln(S / K)| in total volatilities
_NUMBERS = ("S", "K", "tau", "r", "sigma", "q")


def _days(domain: AmericanDomain) -> tuple[int, int]:
    """First and last expiry of the domain in whole days, as QuantLib counts."""
    slack = 1e-9
    first, last = domain.tau_min * DAYS_PER_YEAR - slack, domain.tau_max * DAYS_PER_YEAR + slack
    return int(np.ceil(first)), int(np.floor(last))


def _options(m: Array, days: Array, sigma: Array, rate: Array, dividend: Array, call: Any) -> Quotes:
    """Options whose *put* has this moneyness, rate and yield; calls are their mirror images."""
    return make_quotes(
        np.where(call, 1.0, m),
        np.where(call, m, 1.0),
        days / DAYS_PER_YEAR,
        np.where(call, dividend, rate),
        sigma,
        np.where(call, rate, dividend),
        np.where(call, "call", "put"),
    )


def random_americans(domain: AmericanDomain, count: int, seed: int) -> Quotes:
    """Puts and calls, one half each, over the box; a fifth without dividends (calls: without interest)."""
    rng = np.random.default_rng(seed)

    def log_uniform(low: float, high: float) -> Array:
        drawn: Array = np.exp(rng.uniform(np.log(low), np.log(high), count))
        return drawn

    first, last = _days(domain)
    days = np.clip(np.rint(log_uniform(first, last)), first, last)
    sigma = log_uniform(domain.sigma_min, domain.sigma_max)
    rate = log_uniform(domain.r_min, domain.r_max)
    dividend = np.where(rng.random(count) < 0.2, 0.0, rng.uniform(0.0, domain.q_max, count))
    far = rng.uniform(-_FARTHEST, _FARTHEST, count) * sigma * np.sqrt(days / DAYS_PER_YEAR)
    m = np.exp(np.clip(far, -_DEEPEST, _DEEPEST))
    return _options(m, days, sigma, rate, dividend, np.arange(count) % 2 == 1)


def _axes(domain: AmericanDomain, per_axis: int) -> tuple[Array, ...]:
    """Corners and inside of the box: days, volatilities, rates, yields."""
    first, last = _days(domain)
    return (
        np.unique(np.rint(np.geomspace(first, last, per_axis))),
        np.geomspace(domain.sigma_min, domain.sigma_max, per_axis),
        np.geomspace(domain.r_min, domain.r_max, per_axis),
        np.linspace(0.0, domain.q_max, per_axis),
    )


def american_grid(domain: AmericanDomain, per_axis: int) -> Quotes:
    """Puts and calls on a regular grid of the box, its corners included."""
    depth = np.array([-2.5, -1.0, -0.3, 0.0, 0.5, 2.0])
    axes = np.meshgrid(depth, *_axes(domain, per_axis), indexing="ij")
    z, days, sigma, rate, dividend = (axis.ravel() for axis in axes)
    m = np.exp(np.clip(z * sigma * np.sqrt(days / DAYS_PER_YEAR), -_DEEPEST, _DEEPEST))
    return _options(m, days, sigma, rate, dividend, np.arange(z.size) % 2 == 1)


def american_ladder(domain: AmericanDomain, rungs: int, call: bool) -> Quotes:
    """Options of one type along ``S``, ``K = 1``; the spot varies slowest: one ladder stands in a column."""
    m = np.exp(np.linspace(-_DEEPEST, _DEEPEST, rungs))
    axes = np.meshgrid(m, *_axes(domain, 3), indexing="ij")
    m, days, sigma, rate, dividend = (axis.ravel() for axis in axes)
    r, q = (dividend, rate) if call else (rate, dividend)
    return make_quotes(m, 1.0, days / DAYS_PER_YEAR, r, sigma, q, "call" if call else "put")


def boundary_ladder(domain: AmericanDomain) -> tuple[Quotes, int]:
    """Puts with ``S = K = 1`` over the box, expiries varying slowest, and the number of expiries."""
    expiries = 40
    _, sigma, rate, dividend = _axes(domain, 5)
    tau = np.geomspace(domain.tau_min, domain.tau_max, expiries)
    axes = np.meshgrid(tau, sigma, rate, dividend, indexing="ij")
    tau, sigma, rate, dividend = (axis.ravel() for axis in axes)
    return make_quotes(1.0, 1.0, tau, rate, sigma, dividend, "put"), expiries


def dimensionless(quotes: Quotes, greeks: dict[str, Array]) -> dict[str, Array]:
    """Greeks in units in which each is of size 1 near the money, whatever the expiry and the volatility.

    Delta as it is, gamma per ``1 / (S s)``, vega per ``K sqrt(tau)``, theta per ``K sigma / sqrt(tau)``, rho
    per ``K tau``.
    """
    root, strike = np.sqrt(quotes.tau), quotes.K
    return {
        "delta": greeks["delta"],
        "gamma": greeks["gamma"] * quotes.S * quotes.s,
        "vega": greeks["vega"] / (strike * root),
        "theta": greeks["theta"] * root / (strike * quotes.sigma),
        "rho": greeks["rho"] / (strike * quotes.tau),
    }


@lru_cache(maxsize=4)
def reference_prices(domain: AmericanDomain, count: int, per_axis: int, seed: int) -> tuple[Quotes, Array]:
    """Random options, then the grid, with QuantLib's high-precision prices; computed once per process."""
    drawn, grid = random_americans(domain, count, seed), american_grid(domain, per_axis)
    columns = {name: np.concatenate([getattr(part, name) for part in (drawn, grid)]) for name in _NUMBERS}
    is_call = np.concatenate([drawn.is_call, grid.is_call])
    quotes = Quotes(**columns, is_call=is_call, shape=is_call.shape)
    return quotes, QuantLibReference().price(quotes)


@lru_cache(maxsize=4)
def reference_greeks(domain: AmericanDomain, count: int, seed: int) -> tuple[Quotes, dict[str, Array]]:
    """Random options with Greeks by central differences of QuantLib's prices; computed once per process.

    QdFp gives prices only. The steps are 1 per mille of a total volatility in S for delta, ten times that for
    gamma, 1 per mille of sigma, and 1e-5 in r; theta comes from the Black-Scholes equation where the option
    is held, and is 0 where it is exercised.
    """
    quotes = random_americans(domain, count, seed)
    ask = QuantLibReference().price

    def difference(name: str, step: Array) -> tuple[Array, Array]:
        at = getattr(quotes, name)
        down, up = (ask(replace(quotes, **{name: at + sign * step})) for sign in (-1.0, 1.0))
        return down, up

    price = ask(quotes)
    near, wide, bump = 1e-3 * quotes.s * quotes.S, 1e-2 * quotes.s * quotes.S, 1e-3 * quotes.sigma
    slopes = {}
    for greek, name, step in (
        ("delta", "S", near),
        ("vega", "sigma", bump),
        ("rho", "r", np.full(count, 1e-5)),
    ):
        down, up = difference(name, step)
        slopes[greek] = (up - down) / (2.0 * step)
    down, up = difference("S", wide)
    gamma = (up - 2.0 * price + down) / wide**2
    drift = (quotes.r - quotes.q) * quotes.S * slopes["delta"]
    theta = quotes.r * price - drift - 0.5 * (quotes.sigma * quotes.S) ** 2 * gamma
    exercised = price <= np.where(quotes.is_call, quotes.S - quotes.K, quotes.K - quotes.S) + 1e-8 * quotes.K
    return quotes, {**slopes, "gamma": gamma, "theta": np.where(exercised, 0.0, theta)}
