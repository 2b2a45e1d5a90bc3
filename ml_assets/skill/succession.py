"""Who serves a symbol: the champion stays until a challenger beats it on the same days, or it fails."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ml_assets.skill.statistics import decline_p, paired_p
from ml_assets.skill.walk_forward import WalkForwardReport

__all__ = ["Champion", "SuccessionRule", "succeed"]


@dataclass(frozen=True)
class Champion:
    """A model in service: its weights, the report that won it the place, and what that promised.

    ``scored_until`` is the last day (ISO) of that report, ``accuracy`` its share of days.
    """

    weights_sha256: str
    report_sha256: str
    scored_until: str
    accuracy: float


@dataclass(frozen=True)
class SuccessionRule:
    """When a champion gives way.

    Parameters
    ----------
    replace_p
        A challenger that passes replaces it if the paired one-sided p-value on common days is at most this.
    retire_p
        It is retired if its hit rate since then is lower than promised at this one-sided p-value.
    minimum_days
        Common days below which neither is decided: the champion stays.
    """

    replace_p: float = 0.05
    retire_p: float = 0.05
    minimum_days: int = 60


def succeed(
    champion: Champion | None,
    candidate: Champion,
    report: WalkForwardReport,
    verdict: str,
    rule: SuccessionRule,
) -> tuple[Champion | None, str]:
    """Decide who serves from now on.

    Parameters
    ----------
    champion
        The model in service, if any.
    candidate, report
        What was judged now.
    verdict
        The verdict on the candidate.
    rule
        Thresholds.

    Returns
    -------
    champion, reason
        The model in service from now on, or None; and why.
    """
    if champion is None:
        return (candidate, "new") if verdict == "PROMOTE" else (None, "none")
    if verdict == "QUARANTINE":
        return None, "retired: its symbol's newest score looks like a leak"
    if candidate.weights_sha256 == champion.weights_sha256:
        if verdict == "PROMOTE":
            return candidate, "kept: scored again"
        return None, "retired: scored again, it no longer passes"
    common = _common(report)
    if common is None or len(common[0]) < rule.minimum_days:
        days = 0 if common is None else len(common[0])
        return champion, f"kept: {days} days in common with the new model, {rule.minimum_days} needed"
    challenger_right, champion_right = common
    if verdict == "PROMOTE":
        p = paired_p(challenger_right, champion_right)
        if p <= rule.replace_p:
            return candidate, f"replaced: paired p {p:.3f} on {len(champion_right)} common days"
        return champion, f"kept: paired p {p:.3f} > {rule.replace_p:.2f}, a tie keeps it"
    p = decline_p(champion_right, champion.accuracy)
    if p <= rule.retire_p:
        return None, (
            f"retired: {np.mean(champion_right):.1%} on {len(champion_right)} days where "
            f"{champion.accuracy:.1%} was promised (p {p:.3f}), and the retrained model does not pass"
        )
    return champion, f"kept: {np.mean(champion_right):.1%} on {len(champion_right)} days, no decline shown"


def _common(report: WalkForwardReport) -> tuple[np.ndarray, np.ndarray] | None:
    """Hits of the candidate and of the champion on the days that both have forecast unseen."""
    record = report.champion
    if record is None:
        return None
    place = {day: i for i, day in enumerate(report.dates)}
    at = np.array([place[day] for day in record.dates], dtype=int)
    rose = np.array(report.realized)[at] > 0
    return report.right[at], (np.array(record.probability) > 0.5) == rose
