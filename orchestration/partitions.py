"""One partition per stock symbol, added when its prices appear."""

from __future__ import annotations

from collections.abc import Sequence

import dagster as dg

__all__ = ["PARTITION", "SYMBOLS", "only_direction", "only_variance"]

SYMBOLS = dg.DynamicPartitionsDefinition(name="symbols")
PARTITION = "dagster/partition"
"""Tag: the symbol that a run is about."""
_NO_DIRECTION = ("volatility_pipeline", "drift_check", "volatility_drift_check")


def only_variance(instance: dg.DagsterInstance, symbol: str) -> bool:
    """Whether a symbol has runs, and none of them was on its way to a forecast of direction.

    Then its direction was never tried, and must not count as one more attempt. A symbol without any run does:
    else who wipes the history would make the tests easier.
    """
    if _was_in(instance, symbol, "symbol_pipeline"):
        return False
    runs = _runs(instance, symbol)
    return bool(runs) and all(run.job_name in _NO_DIRECTION for run in runs)


def only_direction(instance: dg.DagsterInstance, symbol: str) -> bool:
    """Whether a symbol has runs, and none of them was on its way to a forecast of variance."""
    if _was_in(instance, symbol, "volatility_pipeline"):
        return False
    runs = _runs(instance, symbol)
    by_hand = (key for run in runs for key in run.asset_selection or ())
    return bool(runs) and not any(key.path[-1].startswith("volatility_") for key in by_hand)


def _was_in(instance: dg.DagsterInstance, symbol: str, job: str) -> bool:
    """The usual case, by one row: sensors ask every half minute, and a symbol may have thousands of runs."""
    return bool(instance.get_runs(dg.RunsFilter(job_name=job, tags={PARTITION: symbol}), limit=1))


def _runs(instance: dg.DagsterInstance, symbol: str) -> Sequence[dg.DagsterRun]:
    return instance.get_runs(dg.RunsFilter(tags={PARTITION: symbol}))
