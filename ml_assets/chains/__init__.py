"""Option chains: quotes, forwards, implied volatilities, and what yesterday's smile says about today.

Start with :func:`open_chains`; ``docs/OPTION_QUOTES.md`` holds the rules.
"""

from ml_assets.chains.chains import OptionChains
from ml_assets.chains.implied import forward_quotes, implied_volatility
from ml_assets.chains.parity import ParityRules, fit_forwards
from ml_assets.chains.simulated import SimulatedMarket, simulate_chains
from ml_assets.chains.sources import SIMULATED, load_chains, open_chains

__all__ = [
    "SIMULATED",
    "OptionChains",
    "ParityRules",
    "SimulatedMarket",
    "fit_forwards",
    "forward_quotes",
    "implied_volatility",
    "load_chains",
    "open_chains",
    "simulate_chains",
]
