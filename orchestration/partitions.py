"""One partition per stock symbol, added when its prices appear."""

from __future__ import annotations

from collections.abc import Sequence

import dagster as dg

from ml_assets.forecasts.target import Target
from ml_assets.forecasts.targets import TARGETS
from orchestration.pipelines import JOBS

__all__ = ["PARTITION", "SYMBOLS", "tried_elsewhere"]

SYMBOLS = dg.DynamicPartitionsDefinition(name="symbols")
PARTITION = "dagster/partition"
"""Tag: the symbol that a run is about."""


def tried_elsewhere(instance: dg.DagsterInstance, target: Target, symbol: str) -> bool:
    """Whether a symbol has runs, and none of them was on its way to a forecast of this target.

    Then it was never tried there, and must not count as one more attempt. A symbol without any run does: else
    who wipes the history would make the tests easier. A run by hand counts where it made an asset of the
    target; in doubt, for direction, which is part of every run, whatever it made.
    """
    own = next(job for job, assets in JOBS.items() if target.report in assets)
    if _was_in(instance, symbol, own):
        return False
    runs = _runs(instance, symbol)
    if target is TARGETS[0]:
        return bool(runs) and all(run.job_name in JOBS for run in runs)
    by_hand = {key.path[-1] for run in runs for key in run.asset_selection or ()}
    return bool(runs) and not by_hand & {target.weights, target.report}


def _was_in(instance: dg.DagsterInstance, symbol: str, job: str) -> bool:
    """The usual case, by one row: sensors ask every half minute, and a symbol may have thousands of runs."""
    return bool(instance.get_runs(dg.RunsFilter(job_name=job, tags={PARTITION: symbol}), limit=1))


def _runs(instance: dg.DagsterInstance, symbol: str) -> Sequence[dg.DagsterRun]:
    return instance.get_runs(dg.RunsFilter(tags={PARTITION: symbol}))
