"""The Mamba forecaster: configuration, model, training on many symbols and on one, predictions.

Importing this package imports no TensorFlow; names that need it are loaded at first use (PEP 562).
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ml_assets.mamba.base_weights import MambaBaseWeights
from ml_assets.mamba.config import MambaConfig, TrainingRecipe
from ml_assets.mamba.pooled import PooledSet, pool_sequences
from ml_assets.mamba.weights import MambaWeights

if TYPE_CHECKING:
    from ml_assets.mamba.base import BASE_RECIPE, train_base
    from ml_assets.mamba.model import LayerLoadReport, MambaModel
    from ml_assets.mamba.predict import (
        DirectionStream,
        model_from_weights,
        predict_direction,
        predict_outputs,
        predict_returns,
    )
    from ml_assets.mamba.recipe import train_mamba

__all__ = [
    "BASE_RECIPE",
    "DirectionStream",
    "LayerLoadReport",
    "MambaBaseWeights",
    "MambaConfig",
    "MambaModel",
    "MambaWeights",
    "PooledSet",
    "TrainingRecipe",
    "model_from_weights",
    "pool_sequences",
    "predict_direction",
    "predict_outputs",
    "predict_returns",
    "train_base",
    "train_mamba",
]

_NEEDS_TENSORFLOW = {
    "BASE_RECIPE": "base",
    "train_base": "base",
    "DirectionStream": "predict",
    "LayerLoadReport": "model",
    "MambaModel": "model",
    "model_from_weights": "predict",
    "predict_direction": "predict",
    "predict_outputs": "predict",
    "predict_returns": "predict",
    "train_mamba": "recipe",
}


def __getattr__(name: str) -> Any:
    if name not in _NEEDS_TENSORFLOW:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_NEEDS_TENSORFLOW[name]}"), name)
