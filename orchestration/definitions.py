"""Where everything meets: assets, gates, resources, automation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg

from ml_assets.forecasts.controls import ControlledSource
from ml_assets.storage import ArtifactStore
from ml_assets.windows.steps import Steps
from orchestration.assets.american import american_weights
from orchestration.assets.base import mamba_base_weights
from orchestration.assets.drift import drift_report, volatility_drift_report
from orchestration.assets.forecasts import volatility_report, walk_forward_report
from orchestration.assets.options import latency_benchmark, pinn_weights
from orchestration.assets.prices import raw_prices
from orchestration.assets.quotes import option_quotes, option_walk_forward
from orchestration.assets.release import release
from orchestration.assets.training import (
    augmented_training_set,
    mamba_weights,
    split_sequences,
)
from orchestration.assets.verdicts import promotion, volatility_promotion
from orchestration.assets.volatility import volatility_weights
from orchestration.automation import Graph, build_schedules, build_sensors, fleet_update, with_freshness
from orchestration.gating import collect_gates
from orchestration.gating.io_manager import GatedIOManager
from orchestration.resources import LazySource, open_store
from orchestration.settings import Settings

__all__ = [
    "AMERICAN_ASSETS",
    "BASE_ASSETS",
    "DATA_ASSETS",
    "FLEET_ASSETS",
    "MODEL_ASSETS",
    "OPTION_ASSETS",
    "QUOTE_ASSETS",
    "SYMBOL_ASSETS",
    "VARIANCE_PIPELINE",
    "VOLATILITY_ASSETS",
    "WATCH_ASSETS",
    "build_defs",
    "defs",
]

_DATA = [raw_prices, split_sequences, augmented_training_set]
_MODEL = [mamba_weights, walk_forward_report]
SYMBOL_ASSETS = [*_DATA, *_MODEL]
BASE_ASSETS = [mamba_base_weights]
OPTION_ASSETS = [pinn_weights, latency_benchmark]
QUOTE_ASSETS = [option_quotes, option_walk_forward]
AMERICAN_ASSETS = [american_weights]
VOLATILITY_ASSETS = [volatility_weights, volatility_report]
FLEET_ASSETS = [promotion, release]
WATCH_ASSETS = [drift_report, volatility_drift_report]
# The two halves of a symbol's way, between which the base model is trained.
DATA_ASSETS = [asset.key.to_user_string() for asset in _DATA]
MODEL_ASSETS = [asset.key.to_user_string() for asset in _MODEL]
# All that a symbol's variance needs, which is not all of its data.
VARIANCE_PIPELINE = [
    asset.key.to_user_string() for asset in (raw_prices, split_sequences, *VOLATILITY_ASSETS)
]


def build_defs(
    overrides: Mapping[str, Any] | None = None, settings: Settings | None = None
) -> dg.Definitions:
    """Assemble the project.

    Parameters
    ----------
    overrides
        Resources to use instead of the default ones: ``store``, ``source``, ``steps``, ``settings``.
    settings
        Settings instead of those of environment and file.
    """
    settings = settings or Settings()
    everything = [
        *SYMBOL_ASSETS,
        *BASE_ASSETS,
        *OPTION_ASSETS,
        *AMERICAN_ASSETS,
        *QUOTE_ASSETS,
        *VOLATILITY_ASSETS,
        volatility_promotion,
        *FLEET_ASSETS,
        *WATCH_ASSETS,
    ]
    assets = with_freshness(everything, settings)
    resources: dict[str, Any] = {
        "settings": settings,
        "store": open_store(settings),
        "source": ControlledSource(LazySource(settings)),
        "steps": Steps(),
        **(overrides or {}),
    }
    store: ArtifactStore = resources["store"]
    resources["io_manager"] = GatedIOManager(
        store,
        collect_gates(assets),
        wait_seconds=settings.verdict_wait_seconds,
        wait_tries=settings.verdict_wait_tries,
    )
    resources["graph"] = Graph(lambda: definitions, own_process_only=bool(overrides))
    definitions = dg.Definitions(
        assets=assets,
        resources=resources,
        jobs=[
            dg.define_asset_job("symbol_pipeline", dg.AssetSelection.assets(*SYMBOL_ASSETS)),
            dg.define_asset_job("base_pipeline", dg.AssetSelection.assets(*BASE_ASSETS)),
            dg.define_asset_job("option_pipeline", dg.AssetSelection.assets(*OPTION_ASSETS)),
            dg.define_asset_job("quotes_pipeline", dg.AssetSelection.assets(*QUOTE_ASSETS)),
            dg.define_asset_job("american_pipeline", dg.AssetSelection.assets(*AMERICAN_ASSETS)),
            dg.define_asset_job("volatility_pipeline", dg.AssetSelection.assets(*VARIANCE_PIPELINE)),
            dg.define_asset_job("volatility_verdict", dg.AssetSelection.assets(volatility_promotion)),
            dg.define_asset_job("fleet_verdict", dg.AssetSelection.assets(*FLEET_ASSETS)),
            dg.define_asset_job("drift_check", dg.AssetSelection.assets(raw_prices, drift_report)),
            dg.define_asset_job(
                "volatility_drift_check", dg.AssetSelection.assets(raw_prices, volatility_drift_report)
            ),
            fleet_update,
        ],
        schedules=build_schedules(settings),
        sensors=build_sensors(settings),
        # One TensorFlow import serves a whole run: steps share the process.
        executor=dg.in_process_executor,
    )
    return definitions


defs = build_defs()
