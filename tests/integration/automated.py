"""A finished fleet on a folder of files, and the daemon's own iterations over it."""

from __future__ import annotations

import datetime as dt
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import dagster as dg
import pandas as pd
import pytest
from dagster._core.scheduler.instigation import InstigatorTick
from dagster._core.test_utils import create_test_daemon_workspace_context
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._daemon.sensor import execute_sensor_iteration
from dagster._scheduler.scheduler import launch_scheduled_runs

from ml_assets.prices import PriceHistory
from ml_assets.storage import ArtifactStore
from orchestration.definitions import build_defs
from orchestration.fleet.run import run_job
from orchestration.settings import Settings
from tests.integration.backfills import INSTANCE, ThisProcess
from tests.integration.conftest import FolderRun

__all__ = ["Automated", "automated", "definitions"]


def definitions() -> dg.Definitions:
    """For Dagster's loader: the real project with the settings of the environment."""
    return build_defs(settings=Settings())


@dataclass(frozen=True)
class Automated:
    """The project with its daemon, switched on sensor by sensor."""

    root: Path
    instance: dg.DagsterInstance
    workspace: WorkspaceProcessContext

    @property
    def store(self) -> ArtifactStore:
        return ArtifactStore(self.root / "var" / "store")

    def write(self, symbol: str, prices: PriceHistory) -> None:
        """Put a file into the price folder, as a user or a download would."""
        frame = prices.frame.rename_axis("Date").rename(columns=str.capitalize)
        frame.to_csv(self.root / "prices" / f"{symbol}.csv")

    def read(self, symbol: str) -> pd.DataFrame:
        frame = pd.read_csv(self.root / "prices" / f"{symbol}.csv", index_col="Date", parse_dates=True)
        frame.index = frame.index.astype("datetime64[ns]")
        return frame.rename(columns=str.lower).rename_axis("date")

    def tick(self, sensor: str) -> InstigatorTick:
        """One iteration of the sensor daemon with this sensor on; the runs that it requests are executed."""
        remote = self._location().get_sensor(sensor)
        self.instance.start_sensor(remote)
        try:
            with patch("dagster._daemon.sensor.is_under_min_interval", return_value=False):
                list(execute_sensor_iteration(self.workspace, logging.getLogger("dagster"), None, None))
        finally:
            self.instance.stop_sensor(remote.get_remote_origin_id(), remote.selector_id, remote)
        (last,) = self.instance.get_ticks(remote.get_remote_origin_id(), remote.selector_id, limit=1)
        assert last.error is None, last.error.to_string()
        return last

    def run(self, job: str, partition: str) -> None:
        """Run a job by hand; it may fail."""
        run_job(definitions(), self.instance, job, partition=partition)

    def schedule(self, name: str, now: dt.datetime) -> None:
        """One iteration of the scheduler, as at the given time."""
        remote = self._location().get_schedule(name)
        self.instance.start_schedule(remote)
        errors = list(launch_scheduled_runs(self.workspace, logging.getLogger("dagster"), now, {}))
        assert not [error for error in errors if error], errors

    def runs(self, job: str, **tags: str) -> list[dg.RunRecord]:
        """Runs of a job, oldest first."""
        filters = dg.RunsFilter(job_name=job, tags=tags)
        return list(reversed(self.instance.get_run_records(filters)))

    def partitions(self) -> set[str]:
        return set(self.instance.get_dynamic_partitions("symbols"))

    def _location(self):
        (location,) = self.workspace.create_request_context().code_locations
        (repository,) = location.get_repositories().values()
        return repository


@contextmanager
def automated(
    run: FolderRun, root: Path, monkeypatch: pytest.MonkeyPatch, **settings: object
) -> Iterator[Automated]:
    """Copy the finished fleet and open it with other settings, which stand in the environment."""
    for folder in ("var", "prices"):
        shutil.copytree(run.project.root / folder, root / folder)
    kept = run.project.settings.model_dump(include={"test_days", "folds", "quarantine_accuracy", "epochs"})
    chosen = {
        **kept, "home": root / "var", "prices": root / "prices", "workers": 1, "sensors": False,
        "quiet_seconds": 0, **settings,
    }  # fmt: skip
    for name in [n for n in os.environ if n.startswith("ML_ASSETS_")]:
        monkeypatch.delenv(name)
    for name, value in chosen.items():
        monkeypatch.setenv(f"ML_ASSETS_{name.upper()}", str(value))
    home = root / "var" / "dagster"
    with (
        dg.instance_for_test(overrides=INSTANCE, temp_dir=str(home)) as instance,
        create_test_daemon_workspace_context(ThisProcess(definitions, root), instance) as workspace,
    ):
        yield Automated(root, instance, workspace)
