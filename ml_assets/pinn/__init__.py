"""European options by a physics-informed network: training, serving, closed form and latency.

``train_pinn`` and ``Progress`` need TensorFlow and are imported when first asked for; everything else
runs on NumPy and SciPy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ml_assets.pinn.european.closed_form import black_scholes
from ml_assets.pinn.european.recipe import Domain, PinnRecipe
from ml_assets.pinn.european.weights import PinnWeights
from ml_assets.pinn.model import OptionPricingPINN
from ml_assets.pinn.quotes import QuoteError
from ml_assets.pinn.serving.cache import PINNCache
from ml_assets.pinn.serving.certified import certified_weights
from ml_assets.pinn.weights import WeightsError

if TYPE_CHECKING:
    from ml_assets.pinn.european.training import train_pinn
    from ml_assets.pinn.progress import Progress
    from ml_assets.pinn.serving.latency import LatencyError, LatencyReport, measure_latency

__all__ = [
    "Domain",
    "LatencyError",
    "LatencyReport",
    "OptionPricingPINN",
    "PINNCache",
    "PinnRecipe",
    "PinnWeights",
    "Progress",
    "QuoteError",
    "WeightsError",
    "black_scholes",
    "certified_weights",
    "measure_latency",
    "train_pinn",
]

_LAZY = {
    "LatencyError": "serving.latency",
    "LatencyReport": "serving.latency",
    "Progress": "progress",
    "measure_latency": "serving.latency",
    "train_pinn": "european.training",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        from importlib import import_module

        return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
