"""Who serves a symbol: the champion stays until a challenger beats it on the same days, or it fails.

One rule for every target; what a target brings is the comparison on the common days.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Champion", "Comparison", "Served", "SuccessionRule", "succeed"]


@dataclass(frozen=True)
class Champion:
    """A model in service: its weights, the report that won it the place, and what that promised.

    ``scored_until`` is the last day (ISO) of that report. ``promised`` is the level that the champion must
    keep, for instance its share of right days; None where it is held against its best baseline instead.
    """

    weights_sha256: str
    report_sha256: str
    scored_until: str
    promised: float | None = None


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


@dataclass(frozen=True)
class Served:
    """A champion and its place: the symbol, and how many days ahead it forecasts."""

    symbol: str
    horizon: int
    champion: Champion

    @property
    def place(self) -> tuple[str, int]:
        """Symbol and horizon."""
        return self.symbol, self.horizon


@dataclass(frozen=True)
class Comparison:
    """Candidate and champion on the days that both have forecast unseen.

    ``replace_p`` is the paired one-sided p-value that the candidate is no better, ``decline_p`` that the
    champion keeps what it promised; ``standing`` says in words how the champion did. ``askable`` is false
    where the champion can forecast nothing any more, as its features or its window are gone.
    """

    days: int
    replace_p: float
    decline_p: float
    standing: str
    askable: bool = True


def succeed(
    champion: Champion | None,
    candidate: Champion | None,
    comparison: Comparison | None,
    verdict: str,
    rule: SuccessionRule,
    *,
    void: bool = False,
) -> tuple[Champion | None, str]:
    """Decide who serves from now on, whatever is forecast.

    Parameters
    ----------
    champion
        The model in service, if any.
    candidate
        What was judged now; None without a certified report.
    comparison
        Of both; None if they have no day in common.
    verdict
        The verdict on the candidate.
    rule
        Thresholds.
    void
        Whether the run's controls failed: then nothing counts, neither for a model nor against one.

    Returns
    -------
    champion, reason
        The model in service from now on, or None; and why.
    """
    if void or candidate is None:
        why = "the run is void" if void else "no new certified report"
        return champion, "none" if champion is None else f"kept: {why}"
    if champion is None:
        return (candidate, "new") if verdict == "PROMOTE" else (None, "none")
    if verdict == "QUARANTINE":
        return None, "retired: its symbol's newest score looks like a leak"
    if candidate.weights_sha256 == champion.weights_sha256:
        if verdict == "PROMOTE":
            return candidate, "kept: scored again"
        return None, "retired: scored again, it no longer passes"
    if comparison is not None and not comparison.askable:  # no day in common will ever come
        why = "it cannot be asked any more, its features or its window are gone"
        if verdict == "PROMOTE":
            return candidate, f"replaced: {why}"
        return None, f"retired: {why}, and the retrained model does not pass"
    days = 0 if comparison is None else comparison.days
    if comparison is None or days < rule.minimum_days:
        return champion, f"kept: {days} days in common with the new model, {rule.minimum_days} needed"
    if verdict == "PROMOTE":
        p = comparison.replace_p
        if p <= rule.replace_p:
            return candidate, f"replaced: paired p {p:.3f} on {days} common days"
        return champion, f"kept: paired p {p:.3f} > {rule.replace_p:.2f}, a tie keeps it"
    p = comparison.decline_p
    if p <= rule.retire_p:
        return None, f"retired: {comparison.standing} (p {p:.3f}), and the retrained model does not pass"
    return champion, f"kept: {comparison.standing}, no decline shown"
