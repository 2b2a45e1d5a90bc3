"""The verdict over the fleet and the release follow whatever has changed before them.

Not by Dagster's automation conditions: ``all_deps_blocking_checks_passed()`` on a fan-in holds as soon as
*any* partition has passed, and a condition that waits for every partition lets one bad symbol stop the fleet.
The sensors compare certificates instead: the versions that verdict and release were made of with the newest
ones whose every gate has passed. A refused candidate is no such version, so nothing follows from it; and the
run that is requested verifies each input again when it reads it.
"""

import dagster as dg

from ml_assets.storage import ArtifactStore
from orchestration.automation.fleet import REASON
from orchestration.fleet.state import at_work, count_tries, current, known_symbols, stale_verdict
from orchestration.settings import Settings

__all__ = ["option_network", "verdict_follows"]

KEY = "gated-mamba/versions"
"""Tag: the versions for which a run was requested."""
_BEFORE = ("fleet_update", "symbol_pipeline", "base_pipeline", "option_pipeline", "fleet_verdict")


def verdict_follows(status: dg.DefaultSensorStatus) -> dg.SensorDefinition:
    """Request verdict and release when reports or option network are newer, and nobody is at work."""

    @dg.sensor(
        name="verdict_follows",
        job_name="fleet_verdict",
        minimum_interval_seconds=30,
        default_status=status,
        description="Requests verdict and release when certified reports or the option network are newer.",
    )
    def sensor(
        context: dg.SensorEvaluationContext,
        settings: dg.ResourceParam[Settings],
        store: dg.ResourceParam[ArtifactStore],
    ) -> dg.RunRequest | dg.SkipReason:
        stale = stale_verdict(context.instance, store)
        if stale is None:
            return dg.SkipReason("verdict and release are of the newest reports, or there are none yet")
        reason, versions = stale
        busy = at_work(context.instance, settings, _BEFORE, known_symbols(context.instance))
        if busy is not None:
            return dg.SkipReason(f"{reason}; waits: {busy}")
        tries = count_tries(context.instance, "fleet_verdict", KEY, versions)
        if tries >= settings.attempts_per_content:
            return dg.SkipReason(
                f"{reason}; given up after {tries} runs on the same versions: see why fleet_verdict failed, "
                "mend it and run it by hand"
            )
        return _request(versions, tries, reason)

    return sensor


def option_network(status: dg.DefaultSensorStatus) -> dg.SensorDefinition:
    """Request the option network where there is none: without it nothing can be released."""

    @dg.sensor(
        name="option_network",
        job_name="option_pipeline",
        minimum_interval_seconds=60,
        default_status=status,
        description="Trains the option network once, where there is none: a release needs it.",
    )
    def sensor(
        context: dg.SensorEvaluationContext,
        settings: dg.ResourceParam[Settings],
        store: dg.ResourceParam[ArtifactStore],
    ) -> dg.RunRequest | dg.SkipReason:
        if all(current(store, asset) is not None for asset in ("pinn_weights", "latency_benchmark")):
            return dg.SkipReason("the option network is there and measured")
        if not known_symbols(context.instance):
            return dg.SkipReason("no symbol yet, so nothing to release")
        # Latency is measured: not while models are trained beside it.
        busy = at_work(context.instance, settings, _BEFORE)
        if busy is not None:
            return dg.SkipReason(f"no option network yet; waits: {busy}")
        tries = count_tries(context.instance, "option_pipeline", KEY, "first")
        if tries >= settings.attempts_per_content:
            return dg.SkipReason(
                f"no option network; given up after {tries} runs: see why option_pipeline failed, mend it "
                "and run it by hand"
            )
        return _request("first", tries, "there is no option network yet")

    return sensor


def _request(versions: str, tries: int, reason: str) -> dg.RunRequest:
    return dg.RunRequest(f"{versions}-{tries + 1}", tags={KEY: versions, REASON: reason[:250]})
