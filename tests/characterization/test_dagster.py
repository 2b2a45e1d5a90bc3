"""What our gates rest on in Dagster and Dagster does not promise: these fail the day it changes.

``pyproject.toml`` pins ``dagster>=1.13.27,<1.14``. Before the pin moves, each failing test here is a question
to ``orchestration/gating/_dagster_private.py``, ``verification.py`` or ``gating.py``.
"""

import tomllib
import warnings
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.event_api import PartitionKeyFilter
from dagster._core.instance import RUNLESS_RUN_ID
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus as Status

from orchestration.gating import _dagster_private as private

PARTS = dg.StaticPartitionsDefinition(["A", "B"])
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
SOURCE, CHECK = dg.AssetKey("source"), dg.AssetCheckKey(dg.AssetKey("source"), "gate")


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def spec(asset: str = "source", partitions: dg.PartitionsDefinition[str] | None = None) -> dg.AssetCheckSpec:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Specifying a partitions_def on an AssetCheckSpec")
        return dg.AssetCheckSpec("gate", asset=asset, blocking=True, partitions_def=partitions)


def result(passed: bool, **metadata: Any) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(asset_key="source", check_name="gate", passed=passed, metadata=metadata)


def run(instance: dg.DagsterInstance, *assets: Any, partition: str | None = None, **options: Any) -> Any:
    return dg.materialize(
        list(assets),
        instance=instance,
        partition_key=partition,
        raise_on_error=False,
        run_config=QUIET,
        **options,
    )


def gated(verdicts: dict[str, bool], check_partitions: dg.PartitionsDefinition[str] | None = PARTS) -> Any:
    """Make a partitioned asset whose check passes for the partitions of which ``verdicts`` says so."""

    @dg.asset(name="source", partitions_def=PARTS, check_specs=[spec(partitions=check_partitions)])
    def asset(context: dg.AssetExecutionContext) -> Iterator[Any]:
        yield dg.Output(1)
        yield result(verdicts[context.partition_key])

    return asset


def history(instance: dg.DagsterInstance, **options: Any) -> Any:
    return instance.event_log_storage.get_asset_check_execution_history(CHECK, **options)


# ------------------------------------------------------------------ the pin


def test_the_installed_version_lies_within_the_pin_and_the_pin_ends_before_the_next_minor() -> None:
    pyproject = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    assert "dagster>=1.13.27,<1.14" in pyproject["project"]["dependencies"]
    major, minor, patch = (int(part) for part in version("dagster").split("."))
    assert (major, minor) == (1, 13)
    assert patch >= 27


def test_checks_by_partition_are_still_a_preview_that_warns() -> None:
    with pytest.warns(Warning, match="Specifying a partitions_def on an AssetCheckSpec"):
        dg.AssetCheckSpec("gate", asset="source", partitions_def=PARTS)


# ------------------------------------------------------------------ the history of a check


def test_history_is_newest_first_and_pages_by_the_id_of_the_last(instance: dg.DagsterInstance) -> None:
    for i in range(5):
        evaluation = dg.AssetCheckEvaluation(SOURCE, "gate", passed=True, metadata={"i": i})
        instance.report_runless_asset_event(evaluation)
    first = history(instance, limit=2)
    second = history(instance, limit=2, cursor=first[-1].id)
    last = history(instance, limit=2, cursor=second[-1].id)
    found = [record.evaluation.metadata["i"].value for page in (first, second, last) for record in page]
    assert found == [4, 3, 2, 1, 0]
    assert len(last) == 1


def test_our_reader_pages_through_all_of_it(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(private, "_PAGE", 2)
    for count in range(6):
        assert len(list(private.check_history(instance, CHECK, None))) == count
        instance.report_runless_asset_event(dg.AssetCheckEvaluation(SOURCE, "gate", passed=True))


def test_partition_filter_separates_partitions_and_none_means_unpartitioned(
    instance: dg.DagsterInstance,
) -> None:
    asset = gated({"A": True, "B": False})
    run(instance, asset, partition="A")
    run(instance, asset, partition="B")
    instance.report_runless_asset_event(dg.AssetCheckEvaluation(SOURCE, "gate", passed=True))

    def partitions(**options: Any) -> list[str | None]:
        return [record.partition for record in history(instance, limit=10, **options)]

    assert partitions() == [None, "B", "A"]
    assert partitions(partition_filter=PartitionKeyFilter(key="A")) == ["A"]
    assert partitions(partition_filter=PartitionKeyFilter(key="B")) == ["B"]
    assert partitions(partition_filter=PartitionKeyFilter(key=None)) == [None]
    assert partitions(partition_filter=PartitionKeyFilter(key="Z")) == []


def test_fields_of_an_evaluated_record(instance: dg.DagsterInstance) -> None:
    found = run(instance, gated({"A": False}), partition="A")
    (record,) = history(instance, limit=10)
    assert (record.key, record.run_id, record.partition) == (CHECK, found.run_id, "A")
    assert isinstance(record.id, int)
    assert record.status == Status.FAILED
    assert not private.is_planned(record)
    assert not private.is_runless(record)
    assert record.evaluation.passed is False
    assert record.evaluation.partition == "A"


def test_announced_check_that_never_ran_stays_planned_without_an_evaluation(
    instance: dg.DagsterInstance,
) -> None:
    @dg.asset(name="source", check_specs=[spec()])
    def breaks() -> Iterator[Any]:
        raise RuntimeError
        yield

    found = run(instance, breaks)
    (record,) = history(instance, limit=10)
    assert (record.status, record.run_id) == (Status.PLANNED, found.run_id)
    assert private.is_planned(record)
    finished = instance.get_run_by_id(found.run_id)
    assert finished is not None
    assert finished.is_finished


def test_report_by_hand_carries_the_runless_id(instance: dg.DagsterInstance) -> None:
    instance.report_runless_asset_event(dg.AssetCheckEvaluation(SOURCE, "gate", passed=True))
    (record,) = history(instance, limit=10)
    assert record.run_id == RUNLESS_RUN_ID == ""
    assert private.is_runless(record)


# ------------------------------------------------------------------ which materialization a verdict is on


def versions(instance: dg.DagsterInstance) -> list[int]:
    """Storage ids of the materializations, newest first."""
    records = instance.fetch_materializations(dg.AssetRecordsFilter(SOURCE), limit=10).records
    return [record.storage_id for record in records]


def targets(instance: dg.DagsterInstance) -> list[int | None]:
    found = [record.evaluation.target_materialization_data for record in history(instance, limit=10)]
    return [None if target is None else target.storage_id for target in found]


@pytest.mark.parametrize("output_first", [True, False])
def test_evaluation_targets_the_materialization_before_it(
    instance: dg.DagsterInstance, output_first: bool
) -> None:
    """Yielded before its own output, a verdict is recorded on the previous version: hence Output first."""

    @dg.asset(name="source", check_specs=[spec()])
    def asset() -> Iterator[Any]:
        events = [dg.Output(1), result(True)]
        yield from events if output_first else reversed(events)

    run(instance, asset)
    run(instance, asset)
    newest, previous = versions(instance)
    assert targets(instance) == ([newest, previous] if output_first else [previous, None])


def test_verdict_without_an_output_is_recorded_on_the_previous_version(instance: dg.DagsterInstance) -> None:
    """A refused candidate: hence verdicts carry the sha256 of what they are on."""

    @dg.asset(name="source", check_specs=[spec()])
    def good() -> Iterator[Any]:
        yield dg.Output(1)
        yield result(True, sha256="one")

    @dg.asset(name="source", check_specs=[spec()])
    def refused() -> Iterator[Any]:
        yield result(False, sha256="two")
        raise dg.Failure(allow_retries=False)

    run(instance, good)
    run(instance, refused)
    (only,) = versions(instance)
    assert targets(instance) == [only, only]
    newest = history(instance, limit=1)[0].evaluation
    assert (newest.passed, newest.metadata["sha256"].value) == (False, "two")


# ------------------------------------------------------------------ asking again


class Waits(dg.InMemoryIOManager):
    """Is ready at the third read."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def load_input(self, context: dg.InputContext) -> Any:
        self.asked += 1
        if self.asked < 3:
            raise dg.RetryRequested(max_retries=5, seconds_to_wait=0.01)
        return super().load_input(context)


def test_retry_requested_by_an_io_manager_is_honored(instance: dg.DagsterInstance) -> None:
    @dg.asset
    def up() -> int:
        return 7

    @dg.asset
    def down(up: int) -> int:
        return up

    manager = Waits()
    found = run(instance, up, down, resources={"io_manager": manager})
    assert found.success
    assert manager.asked == 3
    assert found.output_for_node("down") == 7


def test_failure_that_allows_no_retries_overrides_the_retry_policy(instance: dg.DagsterInstance) -> None:
    asked = []

    class Refuses(dg.InMemoryIOManager):
        def load_input(self, context: dg.InputContext) -> Any:
            asked.append(context.name)
            raise dg.Failure("refused", allow_retries=False)

    @dg.asset
    def up() -> int:
        return 7

    @dg.asset(retry_policy=dg.RetryPolicy(max_retries=3))
    def down(up: int) -> int:
        return up

    assert not run(instance, up, down, resources={"io_manager": Refuses()}).success
    assert asked == ["up"]


# ------------------------------------------------------------------ what Dagster's own gates let through


@pytest.mark.parametrize("order", ["AB", "BA"])
def test_fan_in_condition_is_true_if_any_partition_passed(instance: dg.DagsterInstance, order: str) -> None:
    source = gated({"A": True, "B": False})

    @dg.asset(automation_condition=dg.AutomationCondition.all_deps_blocking_checks_passed(), deps=[source])
    def fan_in() -> None: ...

    def requested() -> int:
        evaluated = dg.evaluate_automation_conditions(defs=[source, fan_in], instance=instance)
        return evaluated.get_num_requested(dg.AssetKey("fan_in"))

    for partition in order:
        run(instance, source, partition=partition)
        passed = "A" in order[: order.index(partition) + 1]
        assert requested() == int(passed), "Dagster changed here: see whether gates.md still holds"


def test_unpartitioned_check_lets_one_pass_hide_anothers_failure(instance: dg.DagsterInstance) -> None:
    asset = gated({"A": True, "B": False}, check_partitions=None)
    run(instance, asset, partition="B")
    run(instance, asset, partition="A")
    latest = instance.event_log_storage.get_latest_asset_check_execution_by_key([CHECK])[CHECK]
    assert latest.status == Status.SUCCEEDED
    assert [record.partition for record in history(instance, limit=10)] == [None, None]
    # With the asset's partitions on the check, B's failure stays B's.
    with dg.DagsterInstance.ephemeral() as other:
        for key in ("B", "A"):
            run(other, gated({"A": True, "B": False}), partition=key)
        (b,) = private.check_history(other, CHECK, "B")
        assert b.status == Status.FAILED


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("0 2 * * 6", True),
        ("*/5 1-3 1,15 * MON", True),
        ("61 * * * *", False),
        ("* * * *", False),
        ("", False),
    ],
)
def test_private_check_of_cron_expressions(text: str, valid: bool) -> None:
    assert private.is_valid_cron(text) == valid
