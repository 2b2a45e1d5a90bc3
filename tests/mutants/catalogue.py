"""Every planted leak, and the markets on which the clean pipeline has to pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd

from ml_assets.prices.history import PriceHistory
from ml_assets.prices.simulated import price_history, simulate
from tests.mutants.augmentation_leaks import augmentation_mutants
from tests.mutants.feature_leaks import feature_mutants
from tests.mutants.pipeline import Mutant
from tests.mutants.relative_leaks import PIPELINES
from tests.mutants.row_leaks import row_mutants
from tests.mutants.variance_leaks import variance_mutants


def mutants() -> list[Mutant]:
    """The whole catalogue, made anew: some mutants remember what they have seen."""
    relative = [Mutant(name, gate, pipeline) for name, (gate, pipeline) in PIPELINES.items()]
    return [*feature_mutants(), *row_mutants(), *augmentation_mutants(), *variance_mutants(), *relative]


def mutant_market() -> PriceHistory:
    """Every kind of hard spot on 700 days: two crashes, a long gap, a short holiday."""
    frame = simulate("ar1", 730, seed=11).prices.frame.copy()
    prices = [c for c in frame.columns if c != "volume"]
    for day, move in ((300, 0.85), (430, 1.12), (640, 0.9)):
        frame.iloc[day:, [frame.columns.get_loc(c) for c in prices]] *= move
    keep = np.ones(len(frame), dtype=bool)
    keep[350:368] = keep[500:504] = keep[660:662] = False
    return price_history("MUTANT", frame[keep])


def _flat() -> PriceHistory:
    """Trading halts: closes stand still for weeks, and a year in which only cents move."""
    frame = simulate("random_walk", 1500, seed=5).prices.frame[["close"]].copy()
    close = frame["close"].to_numpy().copy()
    close[200:290] = close[200]
    close[700:950] = np.round(close[700]) + 0.01 * (np.arange(250) // 40)
    close[1400:1420] = close[1400]
    return price_history("FLAT", frame.assign(close=close))


def _coarse() -> PriceHistory:
    frame = simulate("random_walk", 900, seed=6).prices.frame
    return price_history("COARSE", (frame[["close"]] / 40).round(1))


def _holes() -> PriceHistory:
    """Open, high, low and volume are missing or zero on some days."""
    frame = simulate("gated", 1200, seed=7).prices.frame.copy()
    rng = np.random.default_rng(7)
    frame.loc[rng.random(len(frame)) < 0.03, ["open", "high", "low"]] = np.nan
    frame.loc[rng.random(len(frame)) < 0.03, "volume"] = np.nan
    frame.loc[rng.random(len(frame)) < 0.03, "volume"] = 0.0
    frame.iloc[:150, frame.columns.get_loc("volume")] = np.nan
    return price_history("HOLES", frame)


CLEAN_MARKETS: dict[str, Callable[[], PriceHistory]] = {
    "the mutants' market": mutant_market,
    "random walk, 600 days, closes": lambda: simulate("random_walk", 600, seed=1, ohlcv=False).prices,
    "random walk, 8000 days": lambda: simulate("random_walk", 8000, seed=2).prices,
    "AR(1) 75 %, 5800 days, closes": lambda: (
        simulate("ar1", 5800, best_accuracy=0.75, seed=3, ohlcv=False).prices
    ),
    "hidden Markov, 2500 days": lambda: simulate("hidden_markov", 2500, seed=4).prices,
    "gated, 1500 days": lambda: simulate("gated", 1500, seed=8).prices,
    "flat stretches": _flat,
    "coarse prices": _coarse,
    "missing values": _holes,
}


def real_stocks() -> Iterator[tuple[str, PriceHistory]]:
    """Two of the stocks that skfolio ships, from 2000 on; none without the package."""
    try:
        from skfolio.datasets import load_sp500_dataset
    except ImportError:
        return
    closes = load_sp500_dataset().loc["2000":]
    for symbol in ("AAPL", "JNJ"):
        frame = closes[[symbol]].dropna().set_axis(["close"], axis=1)
        frame.index = pd.DatetimeIndex(frame.index.to_numpy().astype("datetime64[ns]"), name="date")
        yield f"real: {symbol}", price_history(symbol, frame, "skfolio")
