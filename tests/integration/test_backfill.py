"""Backfills: no partition is materialized from what a gate has refused.

Plain Dagster launches the downstream runs although the gate failed, and calls the backfill a success.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.execution.backfill import BulkActionStatus

from tests.integration import toys
from tests.integration.backfills import INSTANCE, run_backfill

PARTITIONS = ["A", "B"]
SUCCESS = BulkActionStatus.COMPLETED_SUCCESS


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    monkeypatch.setenv("TOYS", str(tmp_path))
    with dg.instance_for_test(overrides=INSTANCE) as instance:
        yield instance


def partitions_of(instance: dg.DagsterInstance, name: str) -> set[str]:
    return set(instance.get_materialized_partitions(dg.AssetKey(name)))


def materialized(instance: dg.DagsterInstance, name: str) -> bool:
    return instance.get_latest_materialization_event(dg.AssetKey(name)) is not None


@pytest.mark.parametrize("family", ["plain", "gated", "rogue"])
def test_unpartitioned_to_partitioned(instance: dg.DagsterInstance, tmp_path: Path, family: str) -> None:
    (tmp_path / "bad_source").touch()
    status = run_backfill(instance, toys.definitions, tmp_path, f"{family}_source", f"{family}_each")
    assert (status == SUCCESS) == (family == "plain")
    assert partitions_of(instance, f"{family}_each") == (set(PARTITIONS) if family == "plain" else set())


@pytest.mark.parametrize("family", ["plain", "gated", "rogue"])
def test_partitioned_to_fan_in(instance: dg.DagsterInstance, tmp_path: Path, family: str) -> None:
    (tmp_path / "bad_parts_B").touch()
    status = run_backfill(instance, toys.definitions, tmp_path, f"{family}_parts", f"{family}_all")
    assert (status == SUCCESS) == (family == "plain")
    assert materialized(instance, f"{family}_all") == (family == "plain")


def test_good_backfill_ends_with_every_partition(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    assert run_backfill(instance, toys.definitions, tmp_path, "gated_source", "gated_each") == SUCCESS
    assert partitions_of(instance, "gated_each") == set(PARTITIONS)
