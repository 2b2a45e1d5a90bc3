"""Where the fleet stands, as the store and the event log tell: the one place that reads it for automation."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache

import dagster as dg

from ml_assets.forecasts.controls import DIRECTION_CONTROLS, asked_for
from ml_assets.forecasts.release import Release
from ml_assets.forecasts.targets import DIRECTION, TARGETS
from ml_assets.prices import PriceHistory
from ml_assets.prices.changes import fingerprint
from ml_assets.storage import ArtifactStore, Certificate, FileLock, LockTimeout, NotCertified, input_key
from orchestration.instance import close_dead_runs
from orchestration.partitions import PARTITION, SYMBOLS, tried_elsewhere
from orchestration.settings import Settings

__all__ = [
    "UNFINISHED",
    "Worked",
    "at_work",
    "attempted",
    "count_tries",
    "current",
    "fleet_lock",
    "known_symbols",
    "nobody_else_at_work",
    "stale_verdict",
    "worked_through",
]

UNFINISHED = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def known_symbols(instance: dg.DagsterInstance) -> list[str]:
    """Symbols that have a partition, sorted; without the control that only variance asks for."""
    assert SYMBOLS.name is not None
    return sorted(asked_for(instance.get_dynamic_partitions(SYMBOLS.name), DIRECTION_CONTROLS))


def fleet_lock(settings: Settings) -> FileLock:
    """Lock that whoever works through the fleet holds, the command as well as the job.

    It keeps two of them from training the same models; what they publish would be sound all the same.
    """
    return FileLock(settings.home / "fleet", timeout=0)


@contextmanager
def nobody_else_at_work(settings: Settings, say: Callable[[str], object]) -> Iterator[None]:
    """Hold the lock, which keeps the sensors from asking for the same; say so if another has to end first."""
    lock = fleet_lock(settings)
    try:
        lock.acquire()
    except LockTimeout:
        say(f"waiting: the fleet is being worked through by {lock.holder() or 'another process'}")
        lock.acquire(timeout=-1)
    try:
        yield
    finally:
        lock.release()


def at_work(
    instance: dg.DagsterInstance, settings: Settings, jobs: Collection[str], symbols: Collection[str] = ()
) -> str | None:
    """Say who is at work on these jobs or symbols; None if nobody is.

    Runs whose process was killed are closed first, so that nothing waits for the dead.
    """
    close_dead_runs(instance)
    for run in instance.get_runs(dg.RunsFilter(statuses=UNFINISHED)):
        if run.job_name in jobs or run.tags.get(PARTITION) in symbols:
            return f"run {run.run_id[:8]} of {run.job_name} is {run.status.value.lower()}"
    lock = fleet_lock(settings)
    try:
        with lock:
            return None
    except LockTimeout:
        return f"the fleet is being worked through by {lock.holder() or 'another process'}"


def current(store: ArtifactStore, asset: str, partition: str | None = None) -> Certificate | None:
    """Certificate of the current version; None if there is none that can be trusted."""
    try:
        return store.current(asset, partition)
    except NotCertified:
        return None


@dataclass(frozen=True)
class Worked:
    """The prices that a symbol's current report was made of."""

    prices: PriceHistory
    content: str


def worked_through(store: ArtifactStore, symbol: str) -> Worked | None:
    """Prices behind the symbol's certified report; None if it has none or they were removed."""
    report = current(store, "walk_forward_report", symbol)
    behind = None if report is None else report.inputs.get(input_key("raw_prices", symbol))
    if report is None or behind is None:
        return None
    try:
        return prices_of(store, symbol, behind)
    except NotCertified:  # removed when newer versions came, which led to no report
        return None


@lru_cache(maxsize=256)
def prices_of(store: ArtifactStore, symbol: str, sha256: str) -> Worked:
    """Read a version of prices; versions never change, hence once."""
    prices = PriceHistory.from_bytes(store.read("raw_prices", symbol, sha256)[0])
    return Worked(prices, fingerprint(prices))


def attempted(instance: dg.DagsterInstance, symbols: Iterable[str]) -> set[str]:
    """Symbols of which a run has ended, well or not: those which a verdict on direction must name."""
    ended = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]
    return {
        s
        for s in symbols
        if instance.get_runs(dg.RunsFilter(tags={PARTITION: s}, statuses=ended), limit=1)
        and not tried_elsewhere(instance, DIRECTION, s)
    }


def count_tries(instance: dg.DagsterInstance, job: str, tag: str, value: str) -> int:
    """Count the runs of a job that carry a tag, whatever became of them."""
    return len(instance.get_runs(dg.RunsFilter(job_name=job, tags={tag: value})))


def stale_verdict(instance: dg.DagsterInstance, store: ArtifactStore) -> tuple[str, str] | None:
    """Say why verdict or release is not of the newest certified versions, with a key of those versions.

    Returns
    -------
    tuple of str, or None
        Reason and key; None if both are up to date, or there is nothing to judge yet.
    """
    symbols = known_symbols(instance)
    reports = {s: c.sha256 for s in symbols if (c := current(store, "walk_forward_report", s)) is not None}
    options = [current(store, asset) for asset in ("pinn_weights", "latency_benchmark")]
    if not reports or None in options:
        return None
    others = [*options, *(current(store, target.verdicts) for target in TARGETS[1:])]
    wanted = {*reports, *attempted(instance, symbols)}
    versions = [*(f"{s} {reports.get(s)}" for s in sorted(wanted)), *(c.sha256 for c in others if c)]
    key = hashlib.sha256("|".join(versions).encode()).hexdigest()[:16]
    reason = _stale_promotion(store, reports, wanted) or _stale_release(store)
    return None if reason is None else (reason, key)


def _stale_promotion(store: ArtifactStore, reports: dict[str, str], wanted: set[str]) -> str | None:
    if current(store, "promotion") is None:
        return "the fleet was never judged"
    try:
        data, promotion = store.read("promotion")
    except NotCertified:
        return "the bytes of the last verdict are not those that were certified"
    prefix = input_key("walk_forward_report", "")
    judged = {k.removeprefix(prefix): v for k, v in promotion.inputs.items() if k.startswith(prefix)}
    if newer := sorted(s for s in reports if judged.get(s) != reports[s]):
        return f"newer reports than those judged: {', '.join(newer)}"
    if gone := sorted(set(judged) - set(reports)):
        return f"judged, but no longer there: {', '.join(gone)}"
    verdict = DIRECTION.promotion.from_bytes(data)
    named = {v.symbol for v in verdict.everyone}
    if missing := sorted(wanted - named):
        return f"attempted, but without a verdict: {', '.join(missing)}"
    return None


def _stale_release(store: ArtifactStore) -> str | None:
    """By the versions that the release names, whenever which was published."""
    try:
        data, certificate = store.read("release")
    except NotCertified:
        return "nothing that can be trusted was released"
    passed_over = Release.from_bytes(data).passed_over
    others = (target.verdicts for target in TARGETS[1:])
    for asset in (DIRECTION.verdicts, "latency_benchmark", "pinn_weights", *others):
        newest, key = current(store, asset), input_key(asset, None)
        if newest is not None and newest.sha256 not in (certificate.inputs.get(key), passed_over.get(key)):
            return f"another {asset} than the released one"
    return None
