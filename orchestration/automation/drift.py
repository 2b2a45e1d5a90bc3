"""Champions are watched: a job takes a look, and what it finds leads to one retraining.

A forecast needs TensorFlow, whose import alone takes longer than a tick should. So the tick only counts:
enough new days since the report, or since the last look, request the job ``drift_check``, whose gated result
the next ticks read.
"""

import dagster as dg
import numpy as np

from ml_assets.champions import WatchedModel, champions
from ml_assets.drift import DriftReport
from ml_assets.prices import PriceFileError, PriceSource, PriceSourceError
from ml_assets.storage import ArtifactStore, NotCertified
from orchestration.automation.fleet import REASON, request_update
from orchestration.automation.standing import at_work, count_tries
from orchestration.settings import Settings

__all__ = ["drift_looks", "drift_retrain"]

LOOK = "gated-mamba/look"
"""Tag: which look at which champion a run takes."""
DRIFT = "gated-mamba/drift"
"""Tag: the champion and the reason for which a retraining was requested."""


def drift_looks(status: dg.DefaultSensorStatus) -> dg.SensorDefinition:
    """Request a look at each champion that has another block of new days."""

    @dg.sensor(
        name="drift_looks",
        job_name="drift_check",
        minimum_interval_seconds=60,
        default_status=status,
        description="Requests a look at each champion after a number of new days.",
    )
    def sensor(
        context: dg.SensorEvaluationContext,
        source: dg.ResourceParam[PriceSource],
        settings: dg.ResourceParam[Settings],
        store: dg.ResourceParam[ArtifactStore],
    ) -> dg.SensorResult | dg.SkipReason:
        found = champions(store)
        due, notes = [], []
        for champion in found:
            days = _new_days(source, champion)
            full = days - days % settings.drift_days
            notes.append(f"{champion.symbol} {days} new days")
            if full > _days_looked_at(store, champion):
                due.append((champion, full))
        if not due:
            every = f"a look every {settings.drift_days} days"
            return dg.SkipReason(f"{len(found)} released models, {every}: {', '.join(notes) or 'none'}")
        busy = at_work(context.instance, settings, ["fleet_update"], [c.symbol for c, _ in due])
        if busy is not None:
            return dg.SkipReason(f"looks at {', '.join(c.symbol for c, _ in due)} wait: {busy}")
        requests = [_look(context.instance, champion, days, settings) for champion, days in due]
        if not any(requests):
            tried = f"given up after {settings.attempts_per_content} runs"
            return dg.SkipReason(
                f"{', '.join(c.symbol for c, _ in due)}: {tried}; see why drift_check failed"
            )
        return dg.SensorResult(run_requests=[request for request in requests if request is not None])

    return sensor


def drift_retrain(status: dg.DefaultSensorStatus) -> dg.SensorDefinition:
    """Request one retraining per champion and reason."""

    @dg.sensor(
        name="drift_retrain",
        job_name="fleet_update",
        minimum_interval_seconds=60,
        default_status=status,
        description="Requests a retraining, once per champion and reason, when a look has found drift.",
    )
    def sensor(
        context: dg.SensorEvaluationContext,
        settings: dg.ResourceParam[Settings],
        store: dg.ResourceParam[ArtifactStore],
    ) -> dg.RunRequest | dg.SkipReason:
        requests, known = [], []
        for champion in champions(store):
            for name, text in _found(store, champion).items():
                key = f"{champion.symbol}-{champion.weights[:12]}-{name}"
                known.append(f"{champion.symbol}: {text}")
                if not count_tries(context.instance, "fleet_update", DRIFT, key):
                    requests.append((champion, name, text, key))
        if not requests:
            return dg.SkipReason(
                "; ".join([*known, "a retraining was requested"]) if known else "no drift found"
            )
        busy = at_work(context.instance, settings, ["fleet_update"])
        if busy is not None:
            return dg.SkipReason(f"{'; '.join(known)}; waits: {busy}")
        champion, name, text, key = requests[0]  # the other reasons, if they still hold, at the next tick
        reason = f"drift of {name}: {text}"
        return request_update(
            [champion.symbol], reason, renew_base=True, run_key=f"drift-{key}", tags={DRIFT: key}
        )

    return sensor


def _new_days(source: PriceSource, champion: WatchedModel) -> int:
    """Days with a known outcome since the report, as far as prices tell; 0 if they cannot be read now."""
    try:
        dates = source.load(champion.symbol).dates.to_numpy()
    except (PriceFileError, PriceSourceError, OSError):
        return 0
    new = int(np.count_nonzero(dates > np.datetime64(champion.judged_until)))
    return max(0, new - 2 * champion.horizon + 1) // champion.horizon


def _last_look(store: ArtifactStore, champion: WatchedModel) -> DriftReport | None:
    try:
        report = DriftReport.from_bytes(store.read("drift_report", champion.symbol)[0])
    except NotCertified:
        return None
    return report if report.champion == champion.weights else None


def _days_looked_at(store: ArtifactStore, champion: WatchedModel) -> int:
    last = _last_look(store, champion)
    return 0 if last is None else last.accuracy.days


def _found(store: ArtifactStore, champion: WatchedModel) -> dict[str, str]:
    last = _last_look(store, champion)
    return {} if last is None else last.reasons


def _look(
    instance: dg.DagsterInstance, champion: WatchedModel, days: int, settings: Settings
) -> dg.RunRequest | None:
    """Ask for the look, unless it was tried too often."""
    key = f"{champion.symbol}-{champion.weights[:12]}-{days}"
    before = count_tries(instance, "drift_check", LOOK, key)
    if before >= settings.attempts_per_content:
        return None
    return dg.RunRequest(
        f"{key}-{before + 1}",
        partition_key=champion.symbol,
        tags={LOOK: key, REASON: f"{days} days since the report of the champion {champion.weights[:12]}"},
    )
