"""American options by a network for the exercise boundary: training, serving, fallbacks.

``train_american`` needs TensorFlow and is imported when first asked for; everything else runs on NumPy and
SciPy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ml_assets.pinn.american.recipe import AmericanDomain, AmericanRecipe
from ml_assets.pinn.american.value import value_american
from ml_assets.pinn.american.weights import AmericanWeights

if TYPE_CHECKING:
    from ml_assets.pinn.american.training import train_american

__all__ = ["AmericanDomain", "AmericanRecipe", "AmericanWeights", "train_american", "value_american"]


def __getattr__(name: str) -> Any:
    if name == "train_american":
        from ml_assets.pinn.american.training import train_american

        return train_american
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
