"""Decide over the fleet which models have shown skill; most have none, and are told so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from ml_assets.artifact import JsonArtifact
from ml_assets.skill.statistics import adjusted_p_values
from ml_assets.skill.walk_forward import WalkForwardReport

__all__ = ["Promotion", "PromotionRule", "SymbolVerdict", "decide"]

PROMOTE, RETRAIN, REJECT, QUARANTINE = "PROMOTE", "RETRAIN", "REJECT", "QUARANTINE"


@dataclass(frozen=True)
class PromotionRule:
    """What it takes to be promoted.

    Parameters
    ----------
    false_discovery_rate
        Benjamini-Hochberg q over all attempted symbols.
    margin
        Accuracy by which the best baseline must be beaten.
    minimum_days
        Scored days below which nothing can be shown.
    retrain_p
        Unadjusted p-value below which a retraining on new data is worth its cost.
    quarantine_accuracy
        Accuracy above which a leak is likelier than skill on real daily prices.
    """

    false_discovery_rate: float = 0.05
    margin: float = 0.01
    minimum_days: int = 500
    retrain_p: float = 0.20
    quarantine_accuracy: float = 0.60


@dataclass(frozen=True)
class SymbolVerdict:
    """The verdict on one symbol with the figures behind it; figures are None where no report exists."""

    symbol: str
    verdict: str
    reason: str
    days: int
    accuracy: float | None
    baseline: str | None
    baseline_accuracy: float | None
    p_value: float
    adjusted_p: float


@dataclass(frozen=True)
class Promotion(JsonArtifact):
    """Verdicts of one fleet, sorted by symbol, and the rule that gave them."""

    kind: ClassVar[str] = "promotion"

    rule: PromotionRule
    verdicts: list[SymbolVerdict]

    def promoted(self) -> list[str]:
        """Symbols that may be released."""
        return [v.symbol for v in self.verdicts if v.verdict == PROMOTE]


def decide(reports: Mapping[str, WalkForwardReport | str], rule: PromotionRule | None = None) -> Promotion:
    """Judge every attempted symbol.

    Parameters
    ----------
    reports
        By symbol: the certified report, or the reason why there is none. A missing report counts as an
        attempt with p = 1, so that failures do not make the rest look better.
    rule
        Thresholds.
    """
    rule = rule or PromotionRule()
    symbols = sorted(reports)
    p_values = [_p_value(reports[s]) for s in symbols]
    adjusted = adjusted_p_values(p_values)
    verdicts = [
        _judge(symbol, reports[symbol], p, float(q), rule)
        for symbol, p, q in zip(symbols, p_values, adjusted, strict=True)
    ]
    return Promotion(rule=rule, verdicts=verdicts)


def _p_value(report: WalkForwardReport | str) -> float:
    return 1.0 if isinstance(report, str) else report.p_value


def _judge(
    symbol: str, report: WalkForwardReport | str, p: float, adjusted: float, rule: PromotionRule
) -> SymbolVerdict:
    if isinstance(report, str):
        return SymbolVerdict(
            symbol, REJECT, f"no certified report: {report}", 0, None, None, None, p, adjusted
        )
    name, baseline = report.best_baseline
    verdict, reason = _reason(report, name, baseline, adjusted, rule)
    return SymbolVerdict(symbol, verdict, reason, report.days, report.accuracy, name, baseline, p, adjusted)


def _reason(
    report: WalkForwardReport, name: str, baseline: float, adjusted: float, rule: PromotionRule
) -> tuple[str, str]:
    if report.accuracy > rule.quarantine_accuracy:
        return QUARANTINE, (
            f"accuracy {report.accuracy:.1%} is above {rule.quarantine_accuracy:.0%}: on daily prices "
            "that is how leaks look; inspect before use"
        )
    short = report.days < rule.minimum_days
    significant = adjusted <= rule.false_discovery_rate
    better = report.accuracy >= baseline + rule.margin
    if significant and better and not short:
        return PROMOTE, f"adjusted p {adjusted:.3f}, {report.accuracy - baseline:+.1%} against {name}"
    why = []
    if short:
        why.append(f"{report.days} scored days, {rule.minimum_days} needed")
    if not significant:
        why.append(f"adjusted p {adjusted:.2f} > {rule.false_discovery_rate:.2f}")
    if not better:
        why.append(f"{report.accuracy - baseline:+.1%} against {name}, {rule.margin:+.0%} needed")
    return (
        RETRAIN if report.p_value < rule.retrain_p and not short else REJECT
    ), "no skill shown: " + "; ".join(why)
