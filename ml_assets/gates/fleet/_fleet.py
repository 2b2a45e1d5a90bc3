"""Verdicts over a fleet, whatever is forecast: the part of their gates that all targets share."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ml_assets.forecasts.controls import CONTROLS
from ml_assets.forecasts.direction import Promotion, PromotionRule
from ml_assets.forecasts.variance.verdicts import VolatilityPromotion, VolatilityRule
from ml_assets.gates._verdict import Tally, require, verdict
from ml_assets.gates.core import GateResult

__all__ = ["Standing", "derived_anew", "judged_once", "void_as_it_must"]


@dataclass(frozen=True)
class Standing:
    """What report and rule say of one attempt before others are looked at.

    ``shown`` are the figures that its verdict must show, the corrected p-value last; ``forced`` is the one
    that is due whatever that is; ``better`` says that the gain is large enough.
    """

    shown: tuple[Any, ...] = (0, None, None, 1.0)
    forced: str | None = "REJECT"
    better: bool = False

    @property
    def entering(self) -> float:
        """The p-value, if all but significance holds; else 1, so that nothing else may move the bar."""
        return float(self.shown[-1]) if self.forced is None and self.better else 1.0

    def due(self, threshold: float, retrain_p: float) -> str:
        """Verdict, where p-values up to the threshold are significant."""
        if self.forced is not None:
            return self.forced
        if self.better and self.shown[-1] <= threshold:
            return "PROMOTE"
        return "RETRAIN" if self.shown[-1] < retrain_p else "REJECT"


def judged_once(due: Collection[Any], judged: Sequence[tuple[Any, str]]) -> GateResult:
    """Exactly one verdict, given as place and reason, for everything that is due."""

    def inspect(tally: Tally) -> str:
        places, tally.checked = [place for place, _ in judged], len(judged)
        missing, unknown = sorted(set(due) - set(places)), sorted(set(places) - set(due))
        silent = [place for place, reason in judged if not reason]
        message = f"{len(judged)} verdicts for {len(due)} attempts"
        require(
            not missing and not unknown and not silent and len(places) == len(due),
            f"{message}; missing {missing}, unknown {unknown}, without a reason {silent}",
        )
        return message

    return verdict("every_symbol_judged", inspect)


def derived_anew(
    promotion: Promotion | VolatilityPromotion,
    rule: PromotionRule | VolatilityRule,
    figures: Sequence[str],
    fleet: Iterable[Standing],
    standing: Callable[[Any, bool], Standing],
) -> GateResult:
    """Derive every verdict anew from the rule in force and compare the figures shown.

    Benjamini-Hochberg by its definition: the k smallest p-values are rejected, k the largest rank with
    p(k) <= q k / m over all m attempts, those that could not pass in any case counted as p = 1. A control is
    judged as if it were one more attempt.

    Parameters
    ----------
    promotion
        The candidate; neither its rule nor its figures are taken on trust.
    rule
    figures : sequence of str
        Fields of a verdict, as in `Standing.shown`.
    fleet : iterable of Standing
        All attempts that are no control.
    standing : callable
        ``(verdict, whether it is a control) -> Standing`` by its report.
    """

    def inspect(tally: Tally) -> str:
        require(promotion.rule == rule, f"judged by {promotion.rule}, but {rule} is in force")
        attempts = [one.entering for one in fleet]
        for v in (*promotion.verdicts, *promotion.controls):
            control = v.symbol in CONTROLS
            by_report = standing(v, control)
            beside = [*attempts, by_report.entering] if control else attempts
            due = by_report.due(_largest_rejected(beside, rule.false_discovery_rate), rule.retrain_p)
            if due == "PROMOTE" and promotion.void is not None and not control:
                due = "REJECT"
            found, expected = (*(getattr(v, f) for f in figures), v.verdict), (*by_report.shown, due)
            require(
                found == expected, f"{_place(v)}: the verdict says {found}, report and rule give {expected}"
            )
            tally.checked += 1
        tally.figures["passed"] = len(_passed(promotion))
        passed = ", ".join(_passed(promotion)) or "none"
        return f"{tally.checked} verdicts derived anew and equal; passed: {passed}"

    return verdict("rule_applied", inspect)


def void_as_it_must(promotion: Promotion | VolatilityPromotion, controls_hold: bool) -> GateResult:
    """A run is void where its controls did not come out as they must, and only there; then nothing passes.

    A void run is a result, not a failure of this gate: champions stay, and the reason is shown.
    """

    def inspect(tally: Tally) -> str:
        tally.checked, tally.figures["void"] = len(promotion.verdicts) + 1, int(promotion.void is not None)
        found = [f"{_place(v)} {v.verdict}" for v in promotion.controls]
        require(
            controls_hold == (promotion.void is None) and (controls_hold or not _passed(promotion)),
            f"controls came out as {found}, yet void is {promotion.void!r} and {_passed(promotion)} pass",
        )
        return f"controls: {', '.join(found)}; {promotion.void or 'promotions count'}"

    return verdict("controls_decide", inspect)


def _passed(promotion: Promotion | VolatilityPromotion) -> list[str]:
    return [_place(v) for v in promotion.verdicts if v.verdict == "PROMOTE"]


def _place(v: Any) -> str:
    return f"{v.symbol} ({v.horizon} d)" if hasattr(v, "horizon") else str(v.symbol)


def _largest_rejected(p_values: Sequence[float], rate: float) -> float:
    ordered = sorted(p_values)
    return max((p for k, p in enumerate(ordered, 1) if p <= rate * k / len(ordered)), default=-1.0)
