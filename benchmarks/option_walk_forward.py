"""How well yesterday's smile prices today's options, by model, in one run.

``python -m benchmarks.option_walk_forward [FOLDER] [--store STORE]``; without a folder on simulated quotes.
With a store its certified network prices, else the closed form: the figures are the same.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from benchmarks.machine import described
from ml_assets.chains import implied_volatility, open_chains
from ml_assets.chains.figures import Pricer
from ml_assets.chains.panel import WalkRules, build_panel, contract_terms
from ml_assets.chains.walk_forward import Versions, walk_chains
from ml_assets.pinn import certified_weights
from ml_assets.pinn.european.closed_form import value_closed_form
from ml_assets.pinn.quotes import Quotes
from ml_assets.pinn.serving.pricer import NetworkPricer
from ml_assets.reports.option_walk import walk_table

PEER_OPTIONS = 2_000


def closed_form(quotes: Quotes) -> np.ndarray:
    return value_closed_form(quotes)["price"]


def inversion_row(panel) -> str:
    """Speed of the inversion beside py_vollib (Jaeckel's *Let's be rational*), and how far both lie apart."""
    terms, mid = contract_terms(panel), panel["mid"].to_numpy()
    started = time.perf_counter()
    ours = implied_volatility(mid, *terms)
    rate = len(mid) / (time.perf_counter() - started)
    text = f"implied volatility: {rate:,.0f}/s"
    try:
        from vollib.black.implied_volatility import implied_volatility as peer
    except ImportError:
        return f"{text} (pip install py_vollib for its peer)"
    chosen = np.unique(np.linspace(0, len(mid) - 1, PEER_OPTIONS).astype(int))
    started = time.perf_counter()
    theirs = [
        peer(price, forward, strike, -np.log(discount) / tau, tau, "c" if call else "p")
        for price, forward, strike, tau, discount, call in zip(
            *(column[chosen] for column in (mid, *terms)), strict=True
        )
    ]
    peer_rate = chosen.size / (time.perf_counter() - started)
    apart = np.abs(np.array(theirs) - ours[chosen]).max()
    return f"{text}, py_vollib {peer_rate:,.0f}/s, largest difference {apart:.1e} on {chosen.size:,} quotes"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", default="simulated", help="folder or file of option quotes")
    parser.add_argument("--store", help="store whose certified network prices")
    options = parser.parse_args()
    price: Pricer = NetworkPricer(certified_weights(options.store)[0]) if options.store else closed_form
    started = time.perf_counter()
    chains = open_chains(options.folder)
    loaded = time.perf_counter()
    walk = walk_chains(chains, price, Versions("", ""))
    print(f"{'SIMULATED: ' if chains.simulated else ''}{chains.report.source}: {chains.report.summary()}")
    print(f"{len(chains.forwards):,} forwards, expiries refused: {chains.refusals or 'none'}")
    rules = "out of the money, 6 d to 1.05 y, K/F 0.8-1.15"
    print(f"{len(walk.forecasts):,} forecasts of {walk.days} days, {rules}\n")
    print(walk_table(walk))
    mean, error, won = walk.gain()
    print(
        f"\nsmile model against sticky strike: ${mean:.4f} a day (standard error {error:.4f}), {won} days won"
    )
    if isinstance(price, NetworkPricer):
        print(f"network: {price.network_share:.2%} of the prices, at most ${price.largest_error:.1e} off")
    print(inversion_row(build_panel(chains, WalkRules())))
    print(f"load {loaded - started:.1f} s, walk {time.perf_counter() - loaded:.1f} s; {described()}")


if __name__ == "__main__":
    main()
