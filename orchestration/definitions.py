"""Where everything meets: assets, gates, resources, automation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg

from ml_assets.forecasts.controls import ControlledSource
from ml_assets.storage import ArtifactStore
from ml_assets.windows.steps import Steps
from orchestration.assets.base import mamba_base_weights
from orchestration.assets.drift import drift_report, relative_drift_report, volatility_drift_report
from orchestration.assets.forecasts import relative_report, volatility_report, walk_forward_report
from orchestration.assets.latency import latency_benchmark
from orchestration.assets.networks import american_weights, pinn_weights
from orchestration.assets.prices import raw_prices
from orchestration.assets.quotes import option_quotes, option_walk_forward
from orchestration.assets.relative import median_asset, relative_sequences_asset, relative_weights
from orchestration.assets.release import release
from orchestration.assets.training import (
    augmented_training_set,
    mamba_weights,
    split_sequences,
)
from orchestration.assets.verdicts import promotion, relative_promotion, volatility_promotion
from orchestration.assets.volatility import volatility_weights
from orchestration.automation import build_schedules, build_sensors, fleet_update, with_freshness
from orchestration.fleet.run import Graph
from orchestration.gating import collect_gates
from orchestration.gating.io_manager import GatedIOManager
from orchestration.pipelines import JOBS
from orchestration.resources import LazySource, open_store
from orchestration.settings import Settings

__all__ = ["ASSETS", "build_defs", "defs"]

ASSETS = [
    raw_prices,
    split_sequences,
    augmented_training_set,
    mamba_base_weights,
    mamba_weights,
    walk_forward_report,
    pinn_weights,
    latency_benchmark,
    american_weights,
    option_quotes,
    option_walk_forward,
    volatility_weights,
    volatility_report,
    volatility_promotion,
    median_asset,
    relative_sequences_asset,
    relative_weights,
    relative_report,
    relative_promotion,
    promotion,
    release,
    drift_report,
    volatility_drift_report,
    relative_drift_report,
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
    assets = with_freshness(ASSETS, settings)
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
    # Other processes can build the same definitions, unless somebody has put something else in here.
    resources["graph"] = Graph(lambda: definitions, None if overrides else build_defs)
    definitions = dg.Definitions(
        assets=assets,
        resources=resources,
        jobs=[
            *(dg.define_asset_job(job, list(names)) for job, names in JOBS.items()),
            fleet_update,
        ],
        schedules=build_schedules(settings),
        sensors=build_sensors(settings),
        # One TensorFlow import serves a whole run: steps share the process.
        executor=dg.in_process_executor,
    )
    return definitions


defs = build_defs()
