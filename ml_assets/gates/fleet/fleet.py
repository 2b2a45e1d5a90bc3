"""Gates on the verdict over the fleet: everyone judged, by the rule in force; nobody serves without it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from ml_assets.forecasts.controls import CONTROLS, EDGE, WALK
from ml_assets.forecasts.direction import Judged, Promotion, PromotionRule, SymbolVerdict, WalkForwardReport
from ml_assets.forecasts.direction.walk_forward import PROMOTION_BASELINES
from ml_assets.forecasts.succession import Champion
from ml_assets.gates.core import GateResult
from ml_assets.gates.fleet._fleet import Standing, derived_anew, judged_once, void_as_it_must
from ml_assets.gates.fleet._succession import Contest, sound_succession

__all__ = ["controls_decide", "every_symbol_judged", "rule_applied", "succession_sound"]

Reports = Mapping[str, Judged[WalkForwardReport] | str]


def every_symbol_judged(symbols: Sequence[str], promotion: Promotion) -> GateResult:
    """Require exactly one verdict, with a reason, for every attempted symbol."""
    everything = [*promotion.verdicts, *promotion.controls]
    return judged_once(set(symbols), [(v.symbol, v.reason) for v in everything])


def rule_applied(reports: Reports, promotion: Promotion, rule: PromotionRule) -> GateResult:
    """Derive every verdict anew from the reports and the rule in force, and compare the figures shown.

    Parameters
    ----------
    reports
        By symbol: the certified report, or the reason why there is none.
    promotion
        The candidate; neither its rule nor its figures are taken on trust.
    rule
        The rule in force.
    """
    fleet = [_standing(report, rule) for symbol, report in reports.items() if symbol not in CONTROLS]

    def standing(v: SymbolVerdict, control: bool) -> Standing:
        return _standing(reports.get(v.symbol, "no report at all"), rule, control=control)

    figures = "days", "accuracy", "baseline_accuracy", "p_value"
    return derived_anew(promotion, rule, figures, fleet, standing)


def controls_decide(promotion: Promotion) -> GateResult:
    """The random walk failed and the planted edge passed, or else the run is void and nothing new serves."""
    found = {v.symbol: v.verdict for v in promotion.controls}
    return void_as_it_must(
        promotion, found.get(EDGE) == "PROMOTE" and found.get(WALK, "PROMOTE") != "PROMOTE"
    )


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
            old, versions = judged.report.champion, (judged.weights_sha256, judged.report_sha256)
            contests[v.symbol] = Contest(v.verdict, versions, lead=gained - lost, told=told)
            if old is not None:
                contests[v.symbol] = replace(contests[v.symbol], met=old.weights_sha256, askable=old.askable)
        else:
            contests[v.symbol] = Contest(v.verdict, None)
    return sound_succession(contests, promotion.champions, before, void=promotion.void is not None)


def _discordant(report: WalkForwardReport) -> tuple[int, int]:
    """Days on which only the new model was right, and only the old one."""
    if report.champion is None:
        return 0, 0
    at = np.searchsorted(np.array(report.dates), np.array(report.champion.dates))
    rose = np.array(report.realized)[at] > 0
    new = (np.array(report.probability)[at] > 0.5) == rose
    old = (np.array(report.champion.probability) > 0.5) == rose
    return int(np.sum(new & ~old)), int(np.sum(old & ~new))


def _standing(
    judged: Judged[WalkForwardReport] | str, rule: PromotionRule, *, control: bool = False
) -> Standing:
    if isinstance(judged, str):
        return Standing()
    report = judged.report
    p = min(1.0, report.p_value * report.attempt)
    bar = max(report.baselines[name] for name in PROMOTION_BASELINES)
    forced = "REJECT" if report.days < rule.minimum_days else None
    if report.accuracy > rule.quarantine_accuracy and not control:
        forced = "QUARANTINE"
    shown = report.days, report.accuracy, bar, p
    return Standing(shown, forced, better=report.accuracy >= bar + rule.margin)
