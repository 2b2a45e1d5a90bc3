"""Small option chains written by hand or drawn from a known market."""

from __future__ import annotations

import functools

import numpy as np
import pandas as pd

from ml_assets.chains import OptionChains, SimulatedMarket, simulate_chains
from ml_assets.chains.implied import forward_quotes
from ml_assets.chains.parity import EXPIRY_KEY
from ml_assets.pinn.european.closed_form import value_closed_form

__all__ = ["black", "market_chains", "parity_quotes"]


def black(forward, strike, tau, discount, sigma, call) -> np.ndarray:
    """Undecorated closed-form prices of broadcast inputs."""
    arrays = np.broadcast_arrays(
        *(np.asarray(x, dtype=float) for x in (forward, strike, tau, discount, sigma))
    )
    kinds = np.broadcast_to(np.asarray(call, dtype=bool), arrays[0].shape)
    flat = [array.reshape(-1).copy() for array in arrays]
    price = value_closed_form(forward_quotes(*flat, kinds.reshape(-1).copy()))["price"]
    return price.reshape(arrays[0].shape)


@functools.lru_cache(maxsize=4)
def market_chains(days: int = 6, seed: int = 0) -> OptionChains:
    """A simulated market; cached, so do not change it in place."""
    return simulate_chains(SimulatedMarket(days=days, seed=seed))


def parity_quotes(
    forward: float = 3010.0,
    discount: float = 0.99,
    strikes: np.ndarray | None = None,
    half: float = 0.5,
    date: str = "2019-05-06",
    expiry: str = "2019-08-16",
    noise: np.ndarray | float = 0.0,
) -> pd.DataFrame:
    """Clean quotes of one expiry that obey parity exactly, calls moved by ``noise``."""
    strikes = np.arange(2800.0, 3200.0, 10.0) if strikes is None else np.asarray(strikes, dtype=float)
    tau = 0.28
    parts = []
    for call in (True, False):
        mid = black(forward, strikes, tau, discount, 0.18, call) + (noise if call else 0.0)
        parts.append(pd.DataFrame({"strike": strikes, "call": call, "bid": mid - half, "ask": mid + half}))
    quotes = pd.concat(parts, ignore_index=True)
    quotes = quotes.assign(
        date=np.datetime64(date, "ns"), expiry=np.datetime64(expiry, "ns"), at_open=False, underlying="SPX"
    )
    return quotes.assign(spot=np.nan).sort_values([*EXPIRY_KEY, "strike", "call"], ignore_index=True)
