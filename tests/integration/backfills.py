"""Backfills, as the daemon runs them: its own iterations, every run launched and executed."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path

import dagster as dg
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill
from dagster._core.launcher import LaunchRunContext
from dagster._core.launcher.sync_in_memory_run_launcher import SyncInMemoryRunLauncher
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.test_utils import create_test_daemon_workspace_context
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.load_target import WorkspaceLoadTarget
from dagster._daemon.backfill import execute_backfill_iteration

__all__ = ["INSTANCE", "ThisProcess", "ThreadRunLauncher", "run_backfill"]


class ThreadRunLauncher(SyncInMemoryRunLauncher):
    """Executes each run to its end, outside the event loop in which the daemon iterates."""

    def launch_run(self, context: LaunchRunContext) -> None:
        thread = threading.Thread(target=super().launch_run, args=(context,))
        thread.start()
        thread.join()


INSTANCE = {
    "run_launcher": {"module": __name__, "class": ThreadRunLauncher.__name__},
    "run_coordinator": {"module": "dagster._core.run_coordinator", "class": "DefaultRunCoordinator"},
}
"""Overrides for an instance on which backfills can run."""


class ThisProcess(WorkspaceLoadTarget):
    """Definitions loaded here: a code server of its own would cost each test five seconds."""

    def __init__(self, load: Callable[[], dg.Definitions], folder: Path) -> None:
        # Dagster caches what it loads by origin: naming the test's folder makes it load anew.
        self._target = LoadableTargetOrigin(
            module_name=load.__module__, attribute=load.__name__, working_directory=str(folder)
        )

    def create_origins(self) -> list[InProcessCodeLocationOrigin]:
        return [InProcessCodeLocationOrigin(self._target, location_name="here")]


def run_backfill(
    instance: dg.DagsterInstance, load: Callable[[], dg.Definitions], folder: Path, *assets: str
) -> BulkActionStatus:
    """Run a backfill of the assets over all partitions to its end.

    Parameters
    ----------
    instance
        With the overrides :data:`INSTANCE`.
    load
        Function of a module, without parameters, that gives the definitions.
    folder
        The test's own.
    assets
        Names.
    """
    request = PartitionBackfill.from_asset_partitions(
        backfill_id="b",
        asset_graph=load().resolve_asset_graph(),
        partition_names=None,
        asset_selection=[dg.AssetKey(name) for name in assets],
        backfill_timestamp=time.time(),
        tags={},
        dynamic_partitions_store=instance,
        all_partitions=True,
        title=None,
        description=None,
        run_config=None,
    )
    instance.add_backfill(request)
    with create_test_daemon_workspace_context(ThisProcess(load, folder), instance) as workspace:
        for _ in range(30):
            errors = [e for e in execute_backfill_iteration(workspace, logging.getLogger("dagster")) if e]
            assert not errors, errors
            found = instance.get_backfill("b")
            assert found is not None
            if found.status not in (BulkActionStatus.REQUESTED, BulkActionStatus.FAILING):
                return found.status
    raise AssertionError("the backfill did not end")
