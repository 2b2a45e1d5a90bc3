"""Backfills, as the daemon runs them: its own iterations, every run launched and executed.

Plain Dagster launches the downstream runs although the gate failed, and calls the backfill a success.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill
from dagster._core.launcher import LaunchRunContext
from dagster._core.launcher.sync_in_memory_run_launcher import SyncInMemoryRunLauncher
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.test_utils import create_test_daemon_workspace_context
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.load_target import WorkspaceLoadTarget
from dagster._daemon.backfill import execute_backfill_iteration

from tests.integration import toys

PARTITIONS = ["A", "B"]


class ThreadRunLauncher(SyncInMemoryRunLauncher):
    """Executes each run to its end, outside the event loop in which the daemon iterates."""

    def launch_run(self, context: LaunchRunContext) -> None:
        thread = threading.Thread(target=super().launch_run, args=(context,))
        thread.start()
        thread.join()


class ThisProcess(WorkspaceLoadTarget):
    """The toys, loaded here: a code server of its own would cost each test five seconds."""

    def create_origins(self) -> list[InProcessCodeLocationOrigin]:
        # Dagster caches what it loads by origin: naming the test's folder makes it load anew.
        target = LoadableTargetOrigin(
            module_name=toys.__name__,
            attribute=toys.definitions.__name__,
            working_directory=os.environ["TOYS"],
        )
        return [InProcessCodeLocationOrigin(target, location_name="toys")]


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    monkeypatch.setenv("TOYS", str(tmp_path))
    overrides = {
        "run_launcher": {"module": __name__, "class": ThreadRunLauncher.__name__},
        "run_coordinator": {"module": "dagster._core.run_coordinator", "class": "DefaultRunCoordinator"},
    }  # fmt: skip
    with dg.instance_for_test(overrides=overrides) as instance:
        yield instance


def backfill(instance: dg.DagsterInstance, *names: str) -> None:
    """Run a backfill of the assets over all partitions to its end."""
    graph = toys.build().resolve_asset_graph()
    request = PartitionBackfill.from_asset_partitions(
        backfill_id="b", asset_graph=graph, partition_names=None, asset_selection=[dg.AssetKey(n) for n in names],
        backfill_timestamp=time.time(), tags={}, dynamic_partitions_store=instance, all_partitions=True,
        title=None, description=None, run_config=None,
    )  # fmt: skip
    instance.add_backfill(request)
    with create_test_daemon_workspace_context(ThisProcess(), instance) as workspace:
        for _ in range(30):
            errors = [e for e in execute_backfill_iteration(workspace, logging.getLogger("dagster")) if e]
            assert not errors, errors
            found = instance.get_backfill("b")
            assert found is not None
            if found.status not in (BulkActionStatus.REQUESTED, BulkActionStatus.FAILING):
                return
    raise AssertionError("the backfill did not end")


def partitions_of(instance: dg.DagsterInstance, name: str) -> set[str]:
    return set(instance.get_materialized_partitions(dg.AssetKey(name)))


def materialized(instance: dg.DagsterInstance, name: str) -> bool:
    return instance.get_latest_materialization_event(dg.AssetKey(name)) is not None


@pytest.mark.parametrize("family", ["plain", "gated", "rogue"])
def test_unpartitioned_to_partitioned(instance: dg.DagsterInstance, tmp_path: Path, family: str) -> None:
    (tmp_path / "bad_source").touch()
    backfill(instance, f"{family}_source", f"{family}_each")
    assert partitions_of(instance, f"{family}_each") == (set(PARTITIONS) if family == "plain" else set())


@pytest.mark.parametrize("family", ["plain", "gated", "rogue"])
def test_partitioned_to_fan_in(instance: dg.DagsterInstance, tmp_path: Path, family: str) -> None:
    (tmp_path / "bad_parts_B").touch()
    backfill(instance, f"{family}_parts", f"{family}_all")
    assert materialized(instance, f"{family}_all") == (family == "plain")


def test_good_backfill_ends_with_every_partition(instance: dg.DagsterInstance) -> None:
    backfill(instance, "gated_source", "gated_each")
    assert partitions_of(instance, "gated_each") == set(PARTITIONS)
