"""Option chains: quotes, forwards, implied volatilities, and what yesterday's smile says about today.

Start with :func:`open_chains`; ``docs/OPTION_QUOTES.md`` holds the rules.
"""

from ml_assets.chains.chains import OptionChains
from ml_assets.chains.implied import implied_volatility
from ml_assets.chains.parity import fit_forwards
from ml_assets.chains.simulated import SimulatedMarket, simulate_chains
from ml_assets.chains.sources import load_chains, open_chains

__all__ = [
    "OptionChains",
    "SimulatedMarket",
    "fit_forwards",
    "implied_volatility",
    "load_chains",
    "open_chains",
    "simulate_chains",
]
