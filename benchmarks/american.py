"""Accuracy and speed of American options: ours beside QuantLib's engines, in one run.

``OMP_NUM_THREADS=1 python -m benchmarks.american [--store ROOT | --weights FILE] [--options 4000]``; without
either, the test recipe is trained and judged on its own narrower domain. With ``--anchor`` the options are
those of the project's anchors (S/K 0.6-1.6, 2 d-2 y, volatility 8-80 %, rate 0.2-10 %, yield 0-8 %)
instead of the gate's. Times are processor time, since machines are shared, but for the single quote.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.machine import described
from ml_assets.gates.options.american_reference import random_americans
from ml_assets.pinn import PINNCache
from ml_assets.pinn.american import AmericanDomain, AmericanRecipe, AmericanWeights, value_american
from ml_assets.pinn.american.binomial import value_binomial
from ml_assets.pinn.american.premium import reduced_put
from ml_assets.pinn.american.quantlib import QuantLibReference
from ml_assets.pinn.quotes import Quotes, make_quotes
from ml_assets.pinn.serving.certified import certified_american_weights

Array = npt.NDArray[np.float64]
Engine = Callable[[Any, Any], Any]

HEADER = (
    f"{'method':38s} {'options':>7s} {'largest':>9s} {'mean':>9s} {'us price *':>12s} {'us Greeks **':>12s}"
)
SCHEMES = ("accurateScheme", "fastScheme")
PEERS: dict[str, tuple[Engine, int, bool]] = {  # engine, options asked, whether it gives Greeks
    **{
        f"QuantLib QdFp {scheme.removesuffix('Scheme')}": (
            lambda ql, p, scheme=scheme: ql.QdFpAmericanEngine(p, getattr(ql.QdFpAmericanEngine, scheme)()),
            4000,
            False,
        )
        for scheme in SCHEMES
    },
    "QuantLib FD 100x200": (lambda ql, p: ql.FdBlackScholesVanillaEngine(p, 100, 200), 1000, True),
    "QuantLib CRR tree, 801": (lambda ql, p: ql.BinomialVanillaEngine(p, "crr", 801), 1000, True),
    "QuantLib Leisen-Reimer, 801": (lambda ql, p: ql.BinomialVanillaEngine(p, "lr", 801), 1000, True),
    "QuantLib Barone-Adesi-Whaley": (
        lambda ql, p: ql.BaroneAdesiWhaleyApproximationEngine(p),
        4000,
        False,
    ),
    "QuantLib Bjerksund-Stensland": (
        lambda ql, p: ql.BjerksundStenslandApproximationEngine(p),
        4000,
        False,
    ),
}


def anchor_puts(count: int) -> Quotes:
    rng = np.random.default_rng(1)
    m = np.exp(rng.uniform(np.log(0.6), np.log(1.6), count))
    days, sigma = rng.integers(2, 730, count), rng.uniform(0.08, 0.8, count)
    return make_quotes(
        m, 1.0, days / 365, rng.uniform(0.002, 0.1, count), sigma, rng.uniform(0.0, 0.08, count), "put"
    )


def first(quotes: Quotes, count: int) -> Quotes:
    return quotes.take(np.arange(len(quotes)) < count)


def fastest(run: Callable[[], object], times: int = 5) -> float:
    """Processor seconds of the fastest of several runs: the machine is shared."""
    best = np.inf
    for _ in range(times):
        start = time.process_time()
        run()
        best = min(best, time.process_time() - start)
    return float(best)


def row(name: str, error: Array, price_us: float | None, greeks_us: float | None) -> str:
    cells = [f"{value:12,.1f}" if value is not None else f"{'-':>12s}" for value in (price_us, greeks_us)]
    return f"{name:38s} {error.size:7,d} {error.max():9.1e} {error.mean():9.1e} {' '.join(cells)}"


def ours(weights: AmericanWeights, quotes: Quotes, truth: Array) -> None:
    values, _ = value_american(weights, quotes)
    n, variance = len(quotes), quotes.sigma**2
    call = quotes.is_call
    m = np.where(call, quotes.K / quotes.S, quotes.S / quotes.K)
    rate, dividend = (
        np.where(call, quotes.q, quotes.r) / variance,
        np.where(call, quotes.r, quotes.q) / variance,
    )
    delta = fastest(lambda: reduced_put(weights, m, quotes.s, rate, dividend, rate_derivatives=False)) / n
    full = fastest(lambda: value_american(weights, quotes)) / n
    error = np.abs(values["price"] - truth) / quotes.K
    print(row("boundary network, batch", error, delta * 1e6, full * 1e6))
    print(f"{'':38s} with delta, gamma {1 / delta:,.0f}/s; with all Greeks {1 / full:,.0f}/s")
    few = first(quotes, 200)
    tree = np.abs(value_binomial(few)["price"] - truth[:200]) / few.K
    seconds = fastest(lambda: value_binomial(few), 1) / 200
    print(row("our fallback: extrapolated tree, 300", tree, None, seconds * 1e6))


def peers(quotes: Quotes, truth: Array) -> None:
    for name, (engine, most, has_greeks) in PEERS.items():
        some, reference = first(quotes, most), QuantLibReference(engine)
        start = time.process_time()
        price = reference.price(some)
        price_us = (time.process_time() - start) / len(some) * 1e6
        greeks_us = None
        if has_greeks:
            start = time.process_time()
            reference.ask(some, lambda option: option.NPV() + option.delta() + option.gamma())
            greeks_us = (time.process_time() - start) / len(some) * 1e6
        print(row(name, np.abs(price - truth[: len(some)]) / some.K, price_us, greeks_us), flush=True)


def single(weights: AmericanWeights) -> None:
    cache = PINNCache(weights=None, american_weights=weights)
    spots = iter(np.linspace(90.0, 110.0, 3000).tolist())

    def ask() -> object:
        return cache.predict_with_cache(
            S=next(spots),
            K=100.0,
            tau=0.5,
            r=0.05,
            sigma=0.25,
            q=0.02,
            option_type="put",
            exercise="american",
        )

    times = np.empty(2000)
    for i in range(times.size):
        start = time.perf_counter()
        ask()
        times[i] = (time.perf_counter() - start) * 1e3
    p50, p95 = np.percentile(times, [50, 95])
    print(f"one quote with all Greeks, wall time: p50 {p50:.3f} ms, p95 {p95:.3f} ms")


def load(store: str | None, path: str | None) -> AmericanWeights:
    if path is not None:
        return AmericanWeights.from_bytes(Path(path).read_bytes())
    if store is not None:
        return certified_american_weights(store)[0]
    from ml_assets.pinn.american import train_american

    start = time.perf_counter()
    weights = train_american(AmericanRecipe.quick())
    print(f"test recipe, trained in {time.perf_counter() - start:.0f} s")
    return weights


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store")
    parser.add_argument("--weights")
    parser.add_argument("--anchor", action="store_true")
    parser.add_argument("--options", type=int, default=4000)
    arguments = parser.parse_args()
    weights = load(arguments.store, arguments.weights)
    domain: AmericanDomain = weights.domain
    quotes = (
        anchor_puts(arguments.options) if arguments.anchor else random_americans(domain, arguments.options, 0)
    )
    print(described())
    start = time.process_time()
    truth = QuantLibReference().price(quotes)
    seconds = (time.process_time() - start) / len(quotes)
    print(f"reference: QuantLib QdFp, high precision, {seconds * 1e6:,.0f} us per option")
    print("errors per unit of strike")
    print(HEADER)
    ours(weights, quotes, truth)
    peers(quotes, truth)
    single(weights)
    print("*  ours: with delta and gamma. QuantLib is called from Python, option by option.")
    print("** all five of ours; delta and gamma of QuantLib's engines that give them.")


if __name__ == "__main__":
    main()
