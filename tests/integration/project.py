"""The real project on a folder of its own: real definitions, a real instance, simulated prices."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.definitions.sensor_definition import SensorExecutionData

from ml_assets.prices import PriceFileError, PriceHistory, PriceSource, PriceSourceError, Problem
from ml_assets.storage import ArtifactStore, Certificate
from orchestration.definitions import build_defs
from orchestration.fleet.run import RunOutcome, register_symbols, run_job
from orchestration.settings import Settings
from tests.integration.backfills import INSTANCE

__all__ = ["Market", "Project", "open_project"]


@dataclass(frozen=True)
class Market(PriceSource):
    """Histories by symbol; a symbol of ``refused`` is on offer, but loading it fails."""

    histories: Mapping[str, PriceHistory]
    refused: Mapping[str, PriceFileError] = field(default_factory=dict)

    def symbols(self) -> list[str]:
        return sorted([*self.histories, *self.refused])

    def load(self, symbol: str) -> PriceHistory:
        if symbol in self.refused:
            raise self.refused[symbol]
        if symbol not in self.histories:
            raise PriceSourceError(f"no prices of {symbol}")
        return self.histories[symbol]

    def problems(self) -> list[Problem]:
        return [Problem.from_error(error) for error in self.refused.values()]


@dataclass(frozen=True)
class Project:
    """Definitions, instance and store, and what tests ask of them."""

    root: Path
    instance: dg.DagsterInstance
    settings: Settings
    overrides: Mapping[str, Any]

    @property
    def defs(self) -> dg.Definitions:
        return build_defs(self.overrides, self.settings)

    @property
    def store(self) -> ArtifactStore:
        return ArtifactStore(self.settings.store_url)

    def with_overrides(self, **overrides: Any) -> Project:
        """The same folder and instance, other code."""
        return Project(self.root, self.instance, self.settings, {**self.overrides, **overrides})

    def run(self, job: str, partition: str | None = None, *assets: str) -> RunOutcome:
        return run_job(self.defs, self.instance, job, partition=partition, assets=assets or None)

    def run_symbol(self, symbol: str, *assets: str) -> RunOutcome:
        return self.run("symbol_pipeline", symbol, *assets)

    def current(self, asset: str, partition: str | None = None) -> Certificate:
        """Certificate of the current version, verified with its bytes."""
        return self.store.read(asset, partition)[1]

    def tick(self, sensor: str, cursor: str | None = None) -> SensorExecutionData:
        """Evaluate a sensor, as the daemon does."""
        defs = self.defs
        repository = defs.get_repository_def()
        definition = repository.get_sensor_def(sensor)
        resources = {name: defs.resources[name] for name in definition.required_resource_keys}  # type: ignore[index]
        with dg.build_sensor_context(
            instance_ref=self.instance.get_ref(),
            repository_def=repository,
            resources=resources,
            cursor=cursor,
        ) as context:
            return definition.evaluate_tick(context)

    def materializations(self, asset: str, partition: str | None = None) -> list[dg.AssetMaterialization]:
        """Newest first."""
        wanted = dg.AssetRecordsFilter(
            asset_key=dg.AssetKey(asset), asset_partitions=None if partition is None else [partition]
        )
        records = self.instance.fetch_materializations(wanted, limit=100).records
        return [record.asset_materialization for record in records if record.asset_materialization]


@contextmanager
def open_project(root: Path, source: PriceSource, **settings: Any) -> Iterator[Project]:
    """Open the project whose store and instance lie in ``root``, making them at the first use."""
    home = root / "dagster"
    home.mkdir(parents=True, exist_ok=True)
    with dg.instance_for_test(overrides=INSTANCE, temp_dir=str(home)) as instance:
        project = Project(
            root, instance, Settings(home=root, prices="simulated", **settings), {"source": source}
        )
        register_symbols(instance, source.symbols())
        yield project
