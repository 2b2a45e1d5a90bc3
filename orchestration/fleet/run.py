"""Run jobs in this process on the shared instance, one run per symbol.

A partition is a run; starting a process for each would cost an import of TensorFlow per symbol. Here a
process serves many, and since the runs are recorded on the instance, the UI shows them all the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import dagster as dg

from ml_assets.forecasts.controls import CONTROLS
from ml_assets.storage import ProcessId
from orchestration.instance import PROCESS
from orchestration.partitions import SYMBOLS
from orchestration.settings import Settings

__all__ = [
    "Graph",
    "RunOutcome",
    "failure_text",
    "forecast_succeeded",
    "register_symbols",
    "run_job",
]

SETTINGS = "gated-mamba/settings"
"""Tag: the settings in force that differ from the default."""
_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass(frozen=True)
class Graph:
    """The definitions that runs belong to, for whoever runs jobs of them.

    Parameters
    ----------
    defs
        Returns them; they do not exist yet when this is made.
    build
        Builds the same ones in another process, given ``settings``; None if they cannot be built there, since
        they hold something that stands in this process alone.
    """

    defs: Callable[[], dg.Definitions]
    build: Callable[..., dg.Definitions] | None = None

    def resource(self, name: str) -> Any:
        """One of the resources of the definitions."""
        return (self.defs().resources or {})[name]


@dataclass(frozen=True)
class RunOutcome:
    """What one run came to; `kept` if nothing had to be run, since a stopped run had certified it all."""

    job: str
    partition: str | None
    success: bool
    gates_passed: int
    gates_failed: int
    reason: str | None
    quarantine: str | None
    seconds: float
    run_id: str
    kept: bool = False

    @property
    def text(self) -> str:
        """In a line: gates, seconds, how it ended."""
        if self.kept:
            return f"{self.gates_passed} gates passed, kept from the stopped run"
        state = "passed" if self.success else f"stopped: {self.reason}"
        return f"{self.gates_passed} gates passed, {self.seconds:.0f} s, {state}"

    def then(self, later: RunOutcome) -> RunOutcome:
        """Join with the run that went on from this successful one: the sum of both."""
        return replace(
            later,
            gates_passed=self.gates_passed + later.gates_passed,
            gates_failed=self.gates_failed + later.gates_failed,
            seconds=self.seconds + later.seconds,
            kept=self.kept and later.kept,
        )


def forecast_succeeded(outcomes: Sequence[RunOutcome]) -> bool:
    """Whether a symbol, controls aside, has passed, and everything that is about the whole fleet."""
    passed = any(o.success for o in outcomes if o.partition is not None and o.partition not in CONTROLS)
    return passed and all(o.success for o in outcomes if o.partition is None)


def register_symbols(instance: dg.DagsterInstance, symbols: Sequence[str]) -> None:
    """Make sure that every symbol has a partition."""
    assert SYMBOLS.name is not None
    known = set(instance.get_dynamic_partitions(SYMBOLS.name))
    new = [s for s in symbols if s not in known]
    if new:
        instance.add_dynamic_partitions(SYMBOLS.name, new)


def run_job(
    defs: dg.Definitions,
    instance: dg.DagsterInstance,
    job: str,
    *,
    partition: str | None = None,
    assets: Sequence[str] | None = None,
    config: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
) -> RunOutcome:
    """Execute a job in this process; a failure is an outcome, not an exception.

    `config` is the run configuration of ops, by name.

    Raises
    ------
    KeyboardInterrupt
        If Ctrl-C or SIGTERM ended the run: Dagster makes that a failed step, but it is meant for us all.
    """
    start = time.monotonic()
    settings: Settings = (defs.resources or {})["settings"]
    changed = ", ".join(f"{name}={value}" for name, value in settings.changed().items())
    result = defs.resolve_job_def(job).execute_in_process(
        instance=instance,
        partition_key=partition,
        asset_selection=None if assets is None else [dg.AssetKey(a) for a in assets],
        run_config={**_QUIET, "ops": {op: {"config": values} for op, values in (config or {}).items()}},
        raise_on_error=False,
        tags={**(tags or {}), PROCESS: ProcessId.of_self().tag, SETTINGS: changed or "default"},
    )
    if not result.success and _was_interrupted(result):
        raise KeyboardInterrupt
    evaluations = result.get_asset_check_evaluations()
    return RunOutcome(
        job=job,
        partition=partition,
        success=result.success,
        gates_passed=sum(e.passed for e in evaluations),
        gates_failed=sum(not e.passed for e in evaluations),
        reason=None if result.success else _reason(result),
        quarantine=_quarantine(evaluations),
        seconds=time.monotonic() - start,
        run_id=result.run_id,
    )


def _quarantine(evaluations: Sequence[dg.AssetCheckEvaluation]) -> str | None:
    """Where the refused candidate lies, if there is one."""
    places = [e.metadata["quarantine"].value for e in evaluations if "quarantine" in e.metadata]
    return str(places[0]) if places else None


def _was_interrupted(result: dg.ExecuteInProcessResult) -> bool:
    failures = (event.step_failure_data.error for event in result.all_events if event.is_step_failure)
    return any(e is not None and e.cls_name == "DagsterExecutionInterruptedError" for e in failures)


def _reason(result: dg.ExecuteInProcessResult) -> str:
    """Name the gates that refused, or else the innermost error of the first failed step."""
    refused = [e for e in result.get_asset_check_evaluations() if not e.passed]
    if refused:
        return "; ".join(
            f"{e.asset_key.to_user_string()}, gate {e.check_name}: {e.description}" for e in refused
        )
    for event in result.all_events:
        if event.is_step_failure:
            return f"{event.step_key}: {failure_text(event)}"
    return "the run failed before its first step; see the run in the UI"


def failure_text(step_failure: dg.DagsterEvent) -> str:
    """Give the reason of a failed step: what it said itself, or its innermost error."""
    data = step_failure.step_failure_data
    if data.user_failure_data is not None and data.user_failure_data.description:
        return data.user_failure_data.description
    error = data.error
    while error is not None and error.cause is not None:
        error = error.cause
    return "unknown error" if error is None else error.message.strip()
