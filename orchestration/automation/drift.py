"""Released models are watched: a job takes a look, and what it finds leads to one retraining.

A forecast needs TensorFlow, whose import alone takes longer than a tick should. So the tick only counts:
enough new days since the report, or since the last look, request the job of the look, whose gated result the
next ticks read. Targets differ in what is counted and in the job.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import dagster as dg
import numpy as np

from ml_assets.forecasts.champions import released_models
from ml_assets.forecasts.drift import Seen, WatchedModel
from ml_assets.forecasts.target import Target
from ml_assets.forecasts.targets import DIRECTION, RELATIVE, VARIANCE
from ml_assets.prices import PriceFileError, PriceSource, PriceSourceError
from ml_assets.storage import ArtifactStore, NotCertified
from orchestration.automation.fleet import REASON, request_update
from orchestration.fleet.state import at_work, count_tries
from orchestration.fleet.steps import PLANS
from orchestration.settings import Settings

__all__ = ["WATCHES", "Watch", "drift_looks", "drift_retrain"]

LOOK = "gated-mamba/look"
"""Tag: which look at which models a run takes."""
DRIFT = "gated-mamba/drift"
"""Beginning of a tag, followed by the name of a reason: the model for which a retraining was requested."""


@dataclass(frozen=True)
class Watch:
    """What is watched of one target: the sensor and the job of its looks."""

    target: Target
    sensor: str
    job: str

    def released(self, store: ArtifactStore) -> Sequence[WatchedModel]:
        """Models of the target in the current release."""
        return released_models(store, self.target)

    def last_look(self, store: ArtifactStore, symbol: str) -> Mapping[str, Seen]:
        """What the last certified look saw, by the place of the model."""
        drift = self.target.drift
        try:
            return drift.from_bytes(store.read(drift.kind, symbol)[0]).seen()
        except NotCertified:
            return {}


WATCHES = (
    Watch(DIRECTION, "drift_looks", "drift_check"),
    Watch(VARIANCE, "volatility_drift_looks", "volatility_drift_check"),
    Watch(RELATIVE, "relative_drift_looks", "relative_drift_check"),
)


def drift_looks(watch: Watch, status: dg.DefaultSensorStatus) -> dg.SensorDefinition:
    """Request a look at each symbol with a released model that has another block of new days."""

    @dg.sensor(
        name=watch.sensor,
        job_name=watch.job,
        minimum_interval_seconds=60,
        default_status=status,
        description="Requests a look at released models after a number of new days.",
    )
    def sensor(
        context: dg.SensorEvaluationContext,
        source: dg.ResourceParam[PriceSource],
        settings: dg.ResourceParam[Settings],
        store: dg.ResourceParam[ArtifactStore],
    ) -> dg.SensorResult | dg.SkipReason:
        released = watch.released(store)
        blocks: dict[str, dict[str, int]] = {}
        notes = []
        for model in released:
            days = model.outcomes(_new_days(source, model), overlapping=watch.target.overlapping)
            full = days - days % settings.drift_days
            notes.append(f"{model.symbol} {days} new days")
            seen = watch.last_look(store, model.symbol).get(model.place)
            if full > (0 if seen is None else seen.days):
                blocks.setdefault(model.symbol, {})[model.place] = full
        if not blocks:
            every = f"a look every {settings.drift_days} days"
            return dg.SkipReason(f"{len(released)} released models, {every}: {', '.join(notes) or 'none'}")
        busy = at_work(context.instance, settings, ["fleet_update"], list(blocks))
        if busy is not None:
            return dg.SkipReason(f"looks at {', '.join(blocks)} wait: {busy}")
        requests = [_look(context.instance, watch, symbol, at, settings) for symbol, at in blocks.items()]
        if not any(requests):
            tried = f"given up after {settings.attempts_per_content} runs"
            return dg.SkipReason(f"{', '.join(blocks)}: {tried}; see why {watch.job} failed")
        return dg.SensorResult(run_requests=[request for request in requests if request is not None])

    return sensor


def drift_retrain(status: dg.DefaultSensorStatus) -> dg.SensorDefinition:
    """Request one retraining per released model and reason; reasons of one symbol share it."""

    @dg.sensor(
        name="drift_retrain",
        job_name="fleet_update",
        minimum_interval_seconds=60,
        default_status=status,
        description="Requests a retraining, once per released model and reason, when a look has found drift.",
    )
    def sensor(
        context: dg.SensorEvaluationContext,
        settings: dg.ResourceParam[Settings],
        store: dg.ResourceParam[ArtifactStore],
    ) -> dg.RunRequest | dg.SkipReason:
        reasons = [reason for watch in WATCHES for reason in _reasons(watch, store)]
        known = [f"{reason.symbol}: {reason.text}" for reason in reasons]
        new = [r for r in reasons if not count_tries(context.instance, "fleet_update", r.tag, r.key)]
        if not new:
            return dg.SkipReason(
                "; ".join([*known, "a retraining was requested"]) if known else "no drift found"
            )
        busy = at_work(context.instance, settings, ["fleet_update"])
        if busy is not None:
            return dg.SkipReason(f"{'; '.join(known)}; waits: {busy}")
        symbol = new[0].symbol  # the other symbols, if their reasons still hold, at the next tick
        new = [reason for reason in new if reason.symbol == symbol]
        return request_update(
            [symbol],
            "; ".join(f"drift of {reason.name}: {reason.text}" for reason in new),
            renew_base=any(reason.watch.target is DIRECTION for reason in new),
            beside=[p.command for p in PLANS if any(r.watch.target is p.target for r in new)],
            run_key="-".join(["drift", *(f"{reason.key}-{reason.name}" for reason in new)]),
            tags={reason.tag: reason.key for reason in new},
        )

    return sensor


@dataclass(frozen=True)
class _Reason:
    """Why a released model calls for a retraining."""

    watch: Watch
    symbol: str
    weights: str
    name: str
    text: str

    @property
    def tag(self) -> str:
        return f"{DRIFT}-{self.name}"

    @property
    def key(self) -> str:
        return f"{self.symbol}-{self.weights[:12]}"


def _reasons(watch: Watch, store: ArtifactStore) -> list[_Reason]:
    reasons = []
    for model in watch.released(store):
        seen = watch.last_look(store, model.symbol).get(model.place)
        if seen is not None:
            reasons += [
                _Reason(watch, model.symbol, model.weights, name, text) for name, text in seen.reasons.items()
            ]
    return reasons


def _new_days(source: PriceSource, model: WatchedModel) -> int:
    """Days after the last judged one, as far as prices tell; 0 if they cannot be read now."""
    try:
        dates = source.load(model.symbol).dates.to_numpy()
    except (PriceFileError, PriceSourceError, OSError):
        return 0
    return int(np.count_nonzero(dates > np.datetime64(model.judged_until)))


def _look(
    instance: dg.DagsterInstance, watch: Watch, symbol: str, blocks: Mapping[str, int], settings: Settings
) -> dg.RunRequest | None:
    """Ask for the look, unless it was tried too often."""
    key = "-".join([symbol, *(f"{_short(place)}-{days}" for place, days in blocks.items())])
    before = count_tries(instance, watch.job, LOOK, key)
    if before >= settings.attempts_per_content:
        return None
    reason = ", ".join(f"{days} days since the report of {_short(place)}" for place, days in blocks.items())
    return dg.RunRequest(f"{key}-{before + 1}", partition_key=symbol, tags={LOOK: key, REASON: reason[:250]})


def _short(place: str) -> str:
    """The beginning of the hash; after it, for which horizon."""
    return place[:12] + place[64:]
