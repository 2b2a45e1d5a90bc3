"""The only place that touches names which Dagster does not promise to keep.

``pyproject.toml`` pins ``dagster<1.14``; ``tests/characterization`` fails the day one of these changes.
"""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg
from dagster._core.event_api import PartitionKeyFilter
from dagster._core.instance import RUNLESS_RUN_ID
from dagster._core.storage.asset_check_execution_record import (
    AssetCheckExecutionRecord,
    AssetCheckExecutionRecordStatus,
)
from dagster._utils.schedules import is_valid_cron_string as is_valid_cron

__all__ = ["AssetCheckExecutionRecord", "check_history", "is_planned", "is_runless", "is_valid_cron"]

_PAGE = 25


def check_history(
    instance: dg.DagsterInstance, check: dg.AssetCheckKey, partition: str | None
) -> Iterator[AssetCheckExecutionRecord]:
    """Yield the executions of one check for one partition, newest first."""
    cursor: int | None = None
    while True:
        page = instance.event_log_storage.get_asset_check_execution_history(
            check, limit=_PAGE, cursor=cursor, partition_filter=PartitionKeyFilter(key=partition)
        )
        yield from page
        if len(page) < _PAGE:
            return
        cursor = page[-1].id


def is_planned(record: AssetCheckExecutionRecord) -> bool:
    """Tell whether the check was announced by a run but has no evaluation (yet)."""
    return record.status == AssetCheckExecutionRecordStatus.PLANNED


def is_runless(record: AssetCheckExecutionRecord) -> bool:
    """Tell whether the evaluation was reported by hand rather than made by a run."""
    return record.run_id == RUNLESS_RUN_ID
