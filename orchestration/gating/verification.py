"""Verify on read: nothing is handed to an op unless its exact version has passed every gate.

Dagster's own blocking checks hold only inside one run. Here each input is checked against the event log
and the store at the moment of reading, so no selection, re-execution, backfill, sensor or hand-made event
leads around a gate.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace

import dagster as dg

from orchestration.gating import _dagster_private as private
from orchestration.gating.asset import SHA256

__all__ = ["State", "Verdict", "verdict", "version_of"]


class State(enum.Enum):
    """Where one gate of one version stands."""

    PASSED = "passed"
    RUNNING = "running"
    CLOSED = "closed"


@dataclass(frozen=True)
class Verdict:
    """The state of one gate for one version, and why; and who was refused since, if anybody was."""

    gate: str
    state: State
    reason: str
    newer_refusal: str | None = None


@dataclass(frozen=True)
class Version:
    """One materialization: the bytes that it promised, and its place in the event log."""

    sha256: str
    storage_id: int
    run_id: str


def version_of(instance: dg.DagsterInstance, asset: dg.AssetKey, partition: str | None) -> Version | str:
    """Find the newest materialization, or say why there is none to read."""
    records = instance.fetch_materializations(
        dg.AssetRecordsFilter(asset_key=asset, asset_partitions=None if partition is None else [partition]),
        limit=1,
    ).records
    if not records:
        return "it has never been materialized"
    materialization = records[0].asset_materialization
    assert materialization is not None  # fetch_materializations returns nothing else
    sha256 = materialization.metadata.get(SHA256)
    if sha256 is None:
        return "its newest materialization names no sha256 (was it reported by hand?)"
    return Version(str(sha256.value), records[0].storage_id, records[0].run_id)


def verdict(
    instance: dg.DagsterInstance, asset: dg.AssetKey, gate: str, partition: str | None, version: Version
) -> Verdict:
    """Decide one gate for one version of one partition; whatever is not proven is closed.

    The newest evaluation that names the version's sha256 decides. An evaluation of a refused candidate is
    recorded by Dagster against the previous materialization, but names another sha256, so it is passed over.
    A failure that names no version (a report by hand) closes them all. A gate that a live run has announced
    is waited for only where nothing has proven the version yet.
    """
    planned_by = running = newest_other = None
    for record in private.check_history(instance, dg.AssetCheckKey(asset, gate), partition):
        if private.is_planned(record):
            planned_by = planned_by or record.run_id
            if running is None and _is_live(instance, record.run_id):
                running = Verdict(gate, State.RUNNING, f"is still running in run {record.run_id[:8]}")
            continue
        evaluation = record.evaluation
        if evaluation is None:
            continue
        if not _concerns(evaluation, version):
            newest_other = newest_other or evaluation
            continue
        if private.is_runless(record) and evaluation.passed:
            continue  # a person may close a gate by hand, but not open one
        judged = replace(
            _judge(gate, record, evaluation, version), newer_refusal=_refusal(gate, newest_other)
        )
        return judged if running is None or judged.state is State.PASSED else running
    if running is not None:
        return running
    if planned_by is not None:
        return Verdict(gate, State.CLOSED, f"was announced by run {planned_by[:8]} but never finished")
    return Verdict(gate, State.CLOSED, "never ran on this version")


def _judge(
    gate: str,
    record: private.AssetCheckExecutionRecord,
    evaluation: dg.AssetCheckEvaluation,
    version: Version,
) -> Verdict:
    run = "a report by hand" if private.is_runless(record) else f"run {record.run_id[:8]}"
    if not evaluation.passed:
        return Verdict(gate, State.CLOSED, f"FAILED in {run}: {evaluation.description or 'no reason given'}")
    target = evaluation.target_materialization_data
    if target is None or target.storage_id != version.storage_id:
        return Verdict(
            gate, State.CLOSED, f"passed another materialization of these bytes in {run}, not the newest"
        )
    return Verdict(gate, State.PASSED, f"passed in {run}")


def _refusal(gate: str, evaluation: dg.AssetCheckEvaluation | None) -> str | None:
    if evaluation is None or evaluation.passed:
        return None
    candidate = _sha256_of(evaluation)[:12]
    return f"candidate {candidate} was refused by gate {gate}: {evaluation.description}"


def _concerns(evaluation: dg.AssetCheckEvaluation, version: Version) -> bool:
    named = _sha256_of(evaluation)
    return named == version.sha256 or (not named and not evaluation.passed)


def _sha256_of(evaluation: dg.AssetCheckEvaluation) -> str:
    value = evaluation.metadata.get(SHA256)
    return "" if value is None else str(value.value)


def _is_live(instance: dg.DagsterInstance, run_id: str) -> bool:
    run = instance.get_run_by_id(run_id)
    return run is not None and not run.is_finished
