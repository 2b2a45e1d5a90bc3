"""Gates on the look at a champion: the right model, only days that are new, figures that can be derived."""

from __future__ import annotations

from math import comb

from ml_assets.drift import DriftReport
from ml_assets.gates._verdict import Tally, require, verdict
from ml_assets.gates.result import GateResult
from ml_assets.prices import PriceHistory
from ml_assets.release import Release

__all__ = ["drift_recomputed", "new_days_only", "released_version"]


def released_version(report: DriftReport, release: Release) -> GateResult:
    """Require that the weights looked at are those which the release names."""

    def inspect(tally: Tally) -> str:
        named = [
            v.sha256 for v in release.versions if (v.asset, v.partition) == ("mamba_weights", report.symbol)
        ]
        tally.checked = 1
        require(named == [report.champion], f"{report.symbol}: looked at {report.champion}, released {named}")
        return f"looked at {report.champion[:12]}, the released version"

    return verdict("released_version", inspect)


def new_days_only(report: DriftReport, prices: PriceHistory) -> GateResult:
    """Require that each scored day is a trading day after the last judged one, and none counts twice."""

    def inspect(tally: Tally) -> str:
        traded = {str(day.date()) for day in prices.dates}
        for before, day in zip([report.judged_until, *report.dates], report.dates, strict=False):
            tally.checked += 1
            require(before < day, f"{report.symbol}: {day} was scored after {before}")
            require(day in traded, f"{report.symbol}: {day} has no price")
        return f"{tally.checked} days after {report.judged_until}, each once"

    return verdict("new_days_only", inspect)


def drift_recomputed(report: DriftReport, *, block: int) -> GateResult:
    """Count the right days again, and sum the exact test's probabilities in whole numbers."""

    def inspect(tally: Tally) -> str:
        found = report.accuracy
        days, hits = len(report.hits), sum(report.hits)
        tally.checked = days
        require(len(report.dates) == days, f"{len(report.dates)} dates for {days} outcomes")
        require(
            (days, hits) == (found.days, found.hits) and days == found.look * block,
            f"{report.symbol}: {found.hits} of {found.days} reported, {hits} of {days} counted",
        )
        right, total = hits + found.reported_hits, days + found.reported_days
        worse = sum(comb(right, k) * comb(total - right, days - k) for k in range(hits + 1) if k <= right)
        p = worse / comb(total, days)
        require(
            abs(p - found.p_value) <= 1e-9 + 1e-6 * p,
            f"{report.symbol}: p {found.p_value} reported, {p} counted",
        )
        tally.figures = {"live_accuracy": hits / days, "p_value": p}
        return f"{hits} of {days} days right, p {p:.3g}"

    return verdict("drift_recomputed", inspect)
