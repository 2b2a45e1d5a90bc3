"""The Dagster instance of the project: one folder, shared by the command line and the UI."""

from __future__ import annotations

import os

import dagster as dg

from ml_assets.storage import ProcessId
from orchestration.settings import Settings

__all__ = ["PROCESS", "close_dead_runs", "open_instance", "prepare_home"]

PROCESS = "gated-mamba/process"
"""Tag of a run that lives in a process of ours, by which its death is noticed."""

_CONFIG = """\
# Written once by gated-mamba; yours to edit.
telemetry:
  enabled: false
nux:
  enabled: false
concurrency:
  runs:
    max_concurrent_runs: 2
"""


def prepare_home(settings: Settings) -> None:
    """Create the instance's folder and point ``DAGSTER_HOME`` at it, for this process and its children."""
    home = settings.dagster_home
    home.mkdir(parents=True, exist_ok=True)
    config = home / "dagster.yaml"
    if not config.exists():
        config.write_text(_CONFIG, encoding="utf-8")
    os.environ["DAGSTER_HOME"] = str(home)


def open_instance(settings: Settings) -> dg.DagsterInstance:
    """Open the instance, creating it at the first use; runs whose process was killed are closed."""
    prepare_home(settings)
    instance = dg.DagsterInstance.get()
    close_dead_runs(instance)
    return instance


def close_dead_runs(instance: dg.DagsterInstance) -> None:
    """Record the end of runs that could not do so: else they hold a place in the queue for ever.

    Readers, too, would wait for the verdicts that such a run has announced.
    """
    for run in instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])):
        process = ProcessId.from_tag(run.tags.get(PROCESS, ""))
        if process is not None and process.is_dead():
            instance.report_run_failed(run, "its process was killed, or the machine went down; run it again")
