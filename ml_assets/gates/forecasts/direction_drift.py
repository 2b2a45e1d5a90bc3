"""The drift of a model of direction derived again, in whole numbers."""

from __future__ import annotations

from math import comb

import numpy as np

from ml_assets.forecasts.direction import WalkForwardReport
from ml_assets.forecasts.direction.drift import LiveDirection
from ml_assets.forecasts.drift import Look
from ml_assets.gates._verdict import require

__all__ = ["quoted_direction", "recompute_direction"]


def quoted_direction(report: WalkForwardReport, _horizon: int) -> tuple[str, int, float]:
    """No baseline enters; days, and the share of them that the report says was right."""
    return "", len(report.dates), report.scores[0].level


def recompute_direction(
    where: str, look: Look, live: LiveDirection, report: WalkForwardReport, block: int, false_alarms: float
) -> float:
    """Outcomes from the raw prices, right days counted, and the exact test summed; the p-value.

    Raises
    ------
    Violation
        If a figure differs.
    """
    closes = live.prices.frame["close"].to_numpy()
    index = {str(day.date()): i for i, day in enumerate(live.prices.dates)}
    for day, reported in zip(look.dates, look.realized, strict=True):
        expected = closes[index[day] + look.horizon] / closes[index[day]] - 1.0
        require(
            abs(reported - expected) <= 1e-9 * abs(expected) + 1e-12,
            f"{where}, {day}: outcome {reported!r} reported, prices say {float(expected)!r}",
        )
    right = [(p > 0.5) == (r > 0) for p, r in zip(look.forecast, look.realized, strict=True)]
    days, hits, then = len(right), sum(right), int(np.rint(report.scores[0].level * len(report.dates)))
    drift, number = look.drift, days // block
    require(
        (days, drift.look * block) == (drift.days, days) and abs(drift.level - hits / days) <= 1e-12,
        f"{where}: {drift.level} of {drift.days} days reported, {hits} of {days} counted",
    )
    total, all_right = days + len(report.dates), hits + then
    worse = sum(
        comb(all_right, k) * comb(total - all_right, days - k) for k in range(hits + 1) if k <= all_right
    )
    p = worse / comb(total, days)
    # The limits of k looks add up to k / (k + 1) of what may be spent; this look's is what it adds.
    limit = false_alarms * (number / (number + 1) - (number - 1) / number)
    for name, actual, expected in (("p", drift.p_value, p), ("limit", drift.limit, limit)):
        require(
            abs(actual - expected) <= 1e-9 + 1e-6 * expected,
            f"{where}: {name} {actual} reported, {expected} counted",
        )
    return p
