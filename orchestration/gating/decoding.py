"""Which class decodes which kind of artifact; classes are imported only when one is read."""

from __future__ import annotations

from importlib import import_module
from typing import cast

from ml_assets.storage.artifact import Artifact

__all__ = ["decode"]

_KINDS = {
    "prices": "ml_assets.prices:PriceHistory",
    "sequences": "ml_assets.windows.sequences:SequenceSet",
    "american_weights": "ml_assets.pinn.american:AmericanWeights",
    "augmented": "ml_assets.windows.augmentation:AugmentedSet",
    "mamba_base_weights": "ml_assets.mamba:MambaBaseWeights",
    "mamba_weights": "ml_assets.mamba:MambaWeights",
    "pinn_weights": "ml_assets.pinn:PinnWeights",
    "latency": "ml_assets.pinn:LatencyReport",
    "option_chains": "ml_assets.chains:OptionChains",
    "option_walk_forward": "ml_assets.chains.walk_forward:OptionWalkForward",
    "walk_forward_report": "ml_assets.forecasts.direction:WalkForwardReport",
    "volatility_weights": "ml_assets.forecasts.variance:VolatilityWeights",
    "volatility_report": "ml_assets.forecasts.variance:VolatilityReport",
    "volatility_promotion": "ml_assets.forecasts.variance.target:VariancePromotion",
    "fleet_median": "ml_assets.forecasts.relative:FleetMedian",
    "relative_report": "ml_assets.forecasts.relative:RelativeReport",
    "relative_promotion": "ml_assets.forecasts.relative.target:RelativePromotion",
    "relative_drift_report": "ml_assets.forecasts.relative.drift:RelativeDrift",
    "promotion": "ml_assets.forecasts.direction.target:DirectionPromotion",
    "drift_report": "ml_assets.forecasts.direction.drift:DirectionDrift",
    "volatility_drift_report": "ml_assets.forecasts.variance.drift:VarianceDrift",
    "release": "ml_assets.forecasts.release:Release",
}


def decode(kind: str, data: bytes) -> Artifact:
    """Decode verified bytes.

    Raises
    ------
    ValueError
        If the kind is unknown to this version of the code.
    """
    try:
        module, name = _KINDS[kind].split(":")
    except KeyError:
        raise ValueError(f"unknown kind of artifact {kind!r}; was it written by a newer version?") from None
    return cast(Artifact, getattr(import_module(module), name)).from_bytes(data)
