"""Gates on the verdict over the fleet: everyone judged, by the rule in force; nobody serves without it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ml_assets.gates._succession import Contest, sound_succession
from ml_assets.gates.result import GateResult
from ml_assets.skill import Judged, Promotion, PromotionRule, WalkForwardReport
from ml_assets.skill.controls import CONTROLS, EDGE, WALK
from ml_assets.skill.succession import Champion
from ml_assets.skill.walk_forward import PROMOTION_BASELINES

__all__ = ["controls_decide", "every_symbol_judged", "rule_applied", "succession_sound"]

Reports = Mapping[str, Judged[WalkForwardReport] | str]


def every_symbol_judged(symbols: Sequence[str], promotion: Promotion) -> GateResult:
    """Require exactly one verdict, with a reason, for every attempted symbol."""
    name = "every_symbol_judged"
    everything = [*promotion.verdicts, *promotion.controls]
    judged = [v.symbol for v in everything]
    missing, extra = sorted(set(symbols) - set(judged)), sorted(set(judged) - set(symbols))
    unexplained = [v.symbol for v in everything if not v.reason]
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
    p(k) <= q k / m over all m attempts, those that could not pass in any case counted as p = 1.

    Parameters
    ----------
    reports
        By symbol: the certified report, or the reason why there is none.
    promotion
        The candidate; neither its rule nor its figures are taken on trust.
    rule
        The rule in force.
    """
    name = "rule_applied"
    count = len(promotion.verdicts) + len(promotion.controls)
    if promotion.rule != rule:
        return GateResult(name, False, f"judged by {promotion.rule}, but {rule} is in force", count)
    fleet = {s: r for s, r in reports.items() if s not in CONTROLS}
    for verdict in [*promotion.verdicts, *promotion.controls]:
        report = reports.get(verdict.symbol, "no report at all")
        beside = fleet if verdict.symbol in fleet else fleet | {verdict.symbol: report}
        due = _verdict(verdict.symbol, report, _largest_rejected(beside, rule), rule)
        if due == "PROMOTE" and promotion.void is not None and verdict.symbol not in CONTROLS:
            due = "REJECT"
        expected = (*_figures(report), due)
        found = (
            verdict.days, verdict.accuracy, verdict.baseline_accuracy, verdict.p_value, verdict.verdict
        )  # fmt: skip
        if found != expected:
            message = f"{verdict.symbol}: the verdict says {found}, report and rule give {expected}"
            return GateResult(name, False, message, count)
    passed = [v.symbol for v in promotion.verdicts if v.verdict == "PROMOTE"]
    message = f"{count} verdicts derived anew and equal; passed: {', '.join(passed) or 'none'}"
    return GateResult(name, count > 0, message, count, {"passed": len(passed)})


def controls_decide(promotion: Promotion) -> GateResult:
    """The random walk failed and the planted edge passed, or else the run is void and nothing new serves.

    A void run is a result, not a failure of this gate: champions stay, and the reason is shown.
    """
    name = "controls_decide"
    verdicts = {v.symbol: v.verdict for v in promotion.controls}
    as_they_must = verdicts.get(EDGE) == "PROMOTE" and verdicts.get(WALK, "PROMOTE") != "PROMOTE"
    new = [v.symbol for v in promotion.verdicts if v.verdict == "PROMOTE"]
    figures: dict[str, float | int | str] = {"void": int(promotion.void is not None)}
    if as_they_must == (promotion.void is None) and (as_they_must or not new):
        outcome = promotion.void or "promotions count"
        found = f"{WALK} {verdicts.get(WALK)}, {EDGE} {verdicts.get(EDGE)}; {outcome}"
        return GateResult(name, True, found, len(promotion.verdicts) + 1, figures)
    message = f"controls came out as {verdicts}, yet void is {promotion.void!r} and {new} pass"
    return GateResult(name, False, message, len(promotion.verdicts) + 1, figures)


def succession_sound(reports: Reports, promotion: Promotion, before: Mapping[str, Champion]) -> GateResult:
    """Whoever serves either served before, or passed now; who replaced a champion was right more often.

    Parameters
    ----------
    reports
        What was judged.
    promotion
        The candidate.
    before
        The champions of the last certified promotion.
    """
    contests = {}
    for v in promotion.verdicts:
        judged = reports.get(v.symbol)
        if isinstance(judged, Judged):
            gained, lost = _discordant(judged.report)
            told = f"right {gained} times where that was wrong and wrong {lost} times where that was right"
            met = None if judged.report.champion is None else judged.report.champion.weights_sha256
            contests[v.symbol] = Contest(
                v.verdict, (judged.weights_sha256, judged.report_sha256), met, gained - lost, told
            )
        else:
            contests[v.symbol] = Contest(v.verdict, None)
    return sound_succession(contests, promotion.champions, before)


def _discordant(report: WalkForwardReport) -> tuple[int, int]:
    """Days on which only the new model was right, and only the old one."""
    if report.champion is None:
        return 0, 0
    at = np.searchsorted(np.array(report.dates), np.array(report.champion.dates))
    rose = np.array(report.realized)[at] > 0
    new = (np.array(report.probability)[at] > 0.5) == rose
    old = (np.array(report.champion.probability) > 0.5) == rose
    return int(np.sum(new & ~old)), int(np.sum(old & ~new))


def _figures(judged: Judged[WalkForwardReport] | str) -> tuple[int, float | None, float | None, float]:
    if isinstance(judged, str):
        return 0, None, None, 1.0
    report = judged.report
    return report.days, report.accuracy, _bar(report), min(1.0, report.p_value * report.attempt)


def _bar(report: WalkForwardReport) -> float:
    return max(report.baselines[name] for name in PROMOTION_BASELINES)


def _largest_rejected(reports: Reports, rule: PromotionRule) -> float:
    ordered = sorted(
        _figures(judged)[3] if _could_pass(symbol, judged, rule) else 1.0
        for symbol, judged in reports.items()
    )
    rejected = [p for k, p in enumerate(ordered, 1) if p <= rule.false_discovery_rate * k / len(ordered)]
    return max(rejected, default=-1.0)


def _could_pass(symbol: str, judged: Judged[WalkForwardReport] | str, rule: PromotionRule) -> bool:
    """Whether all but significance holds: nothing else may move the bar of Benjamini-Hochberg."""
    if isinstance(judged, str):
        return False
    report = judged.report
    suspect = report.accuracy > rule.quarantine_accuracy and symbol not in CONTROLS
    return not suspect and report.days >= rule.minimum_days and report.accuracy >= _bar(report) + rule.margin


def _verdict(
    symbol: str, judged: Judged[WalkForwardReport] | str, threshold: float, rule: PromotionRule
) -> str:
    if isinstance(judged, str):
        return "REJECT"
    report = judged.report
    p = min(1.0, report.p_value * report.attempt)
    if report.accuracy > rule.quarantine_accuracy and symbol not in CONTROLS:
        return "QUARANTINE"
    if report.days < rule.minimum_days:
        return "REJECT"
    if p <= threshold and report.accuracy >= _bar(report) + rule.margin:
        return "PROMOTE"
    return "RETRAIN" if p < rule.retrain_p else "REJECT"
