"""The Dagster instance of the project: one folder, shared by the command line and the UI."""

from __future__ import annotations

import os

import dagster as dg

from orchestration.settings import Settings

__all__ = ["open_instance", "prepare_home"]

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
    """Open the instance, creating it at the first use."""
    prepare_home(settings)
    return dg.DagsterInstance.get()
