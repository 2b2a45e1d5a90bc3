"""Gates on the verdict over the fleet: everyone judged, by the rule in force, on the reports' figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ml_assets.gates.result import GateResult
from ml_assets.skill import Promotion, PromotionRule, WalkForwardReport

__all__ = ["every_symbol_judged", "rule_applied"]

Reports = Mapping[str, WalkForwardReport | str]


def every_symbol_judged(symbols: Sequence[str], promotion: Promotion) -> GateResult:
    """Require exactly one verdict, with a reason, for every attempted symbol."""
    name = "every_symbol_judged"
    judged = [v.symbol for v in promotion.verdicts]
    missing, extra = sorted(set(symbols) - set(judged)), sorted(set(judged) - set(symbols))
    unexplained = [v.symbol for v in promotion.verdicts if not v.reason]
    passed = (
        not missing and not extra and not unexplained and len(judged) == len(set(judged)) and bool(judged)
    )
    message = f"{len(judged)} verdicts for {len(symbols)} attempted symbols"
    if not passed:
        message += f"; missing {missing}, unknown {extra}, without a reason {unexplained}"
    return GateResult(name, passed, message, len(judged))


def rule_applied(reports: Reports, promotion: Promotion, rule: PromotionRule) -> GateResult:
    """Derive every verdict anew from the reports and the rule in force, and compare the figures shown.

    Benjamini-Hochberg by its definition: the k smallest p-values are rejected, k the largest rank with
    p(k) <= q k / m over all m attempts.

    Parameters
    ----------
    reports
        By symbol: the certified report, or the reason why there is none.
    promotion
        The candidate; neither its rule nor its figures are taken on trust.
    rule
        The rule in force.
    """
    name, count = "rule_applied", len(promotion.verdicts)
    if promotion.rule != rule:
        return GateResult(name, False, f"judged by {promotion.rule}, but {rule} is in force", count)
    threshold = _largest_rejected(reports, rule)
    for verdict in promotion.verdicts:
        report = reports.get(verdict.symbol, "no report at all")
        expected = _figures(report), _verdict(report, threshold, rule)
        found = (verdict.days, verdict.accuracy, verdict.baseline_accuracy, verdict.p_value), verdict.verdict
        if found != expected:
            message = f"{verdict.symbol}: the verdict says {found}, report and rule give {expected}"
            return GateResult(name, False, message, count)
    promoted = promotion.promoted()
    message = f"{count} verdicts derived anew and equal; promoted: {', '.join(promoted) or 'none'}"
    return GateResult(name, count > 0, message, count, {"promoted": len(promoted)})


def _figures(report: WalkForwardReport | str) -> tuple[int, float | None, float | None, float]:
    if isinstance(report, str):
        return 0, None, None, 1.0
    return report.days, report.accuracy, max(report.baselines.values()), report.p_value


def _largest_rejected(reports: Reports, rule: PromotionRule) -> float:
    ordered = sorted(_figures(report)[3] for report in reports.values())
    rejected = [p for k, p in enumerate(ordered, 1) if p <= rule.false_discovery_rate * k / len(ordered)]
    return max(rejected, default=-1.0)


def _verdict(report: WalkForwardReport | str, threshold: float, rule: PromotionRule) -> str:
    if isinstance(report, str):
        return "REJECT"
    if report.accuracy > rule.quarantine_accuracy:
        return "QUARANTINE"
    if report.days < rule.minimum_days:
        return "REJECT"
    if report.p_value <= threshold and report.accuracy >= max(report.baselines.values()) + rule.margin:
        return "PROMOTE"
    return "RETRAIN" if report.p_value < rule.retrain_p else "REJECT"
