"""Decide over the fleet which models have shown skill; most have none, and are told so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Generic, TypeVar

from ml_assets.forecasts.controls import CONTROLS, DIRECTION_CONTROLS, control_failures
from ml_assets.forecasts.direction.walk_forward import WalkForwardReport
from ml_assets.forecasts.statistics import adjusted_p_values
from ml_assets.forecasts.succession import Champion, Served, SuccessionRule, compare_directions, succeed
from ml_assets.storage.artifact import JsonArtifact

__all__ = ["Judged", "Promotion", "PromotionRule", "SymbolVerdict", "decide"]

PROMOTE, RETRAIN, REJECT, QUARANTINE = "PROMOTE", "RETRAIN", "REJECT", "QUARANTINE"

Report = TypeVar("Report")


@dataclass(frozen=True)
class PromotionRule:
    """What it takes to be promoted, and to stay.

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
    succession
        When a champion gives way.
    """

    false_discovery_rate: float = 0.05
    margin: float = 0.01
    minimum_days: int = 500
    retrain_p: float = 0.20
    quarantine_accuracy: float = 0.60
    succession: SuccessionRule = field(default_factory=SuccessionRule)


@dataclass(frozen=True)
class Judged(Generic[Report]):
    """A certified report with what names it: its version and that of the weights it scored."""

    report: Report
    report_sha256: str
    weights_sha256: str


@dataclass(frozen=True)
class SymbolVerdict:
    """The verdict on one symbol with the figures behind it; figures are None where no report exists.

    ``p_value`` is the one of the report times its attempts; ``adjusted_p`` is 1 for what could not be
    promoted whatever its p-value; ``service`` says what that means for the symbol's model in service.
    """

    symbol: str
    verdict: str
    reason: str
    days: int
    accuracy: float | None
    baseline: str | None
    baseline_accuracy: float | None
    p_value: float
    adjusted_p: float
    attempt: int
    service: str


@dataclass(frozen=True)
class Promotion(JsonArtifact):
    """Verdicts of one fleet, sorted by symbol, the rule that gave them, and the models in service.

    ``void`` says why the controls invalidate this run's promotions; None if they came out as they must.
    ``champions`` are the models that may be served, by symbol.
    """

    kind: ClassVar[str] = "promotion"

    rule: PromotionRule
    verdicts: list[SymbolVerdict]
    controls: list[SymbolVerdict]
    void: str | None
    champions: dict[str, Champion]

    def promoted(self) -> list[str]:
        """Symbols that have a model in service."""
        return sorted(self.champions)

    def served(self) -> list[Served]:
        """The models in service, sorted by symbol."""
        return [Served(symbol, None, champion) for symbol, champion in sorted(self.champions.items())]


def decide(
    reports: Mapping[str, Judged[WalkForwardReport] | str],
    rule: PromotionRule | None = None,
    champions: Mapping[str, Champion] | None = None,
) -> Promotion:
    """Judge every attempted symbol.

    Parameters
    ----------
    reports
        By symbol, controls among them: the certified report, or the reason why there is none. A missing
        report counts as an attempt with p = 1, so that failures do not make the rest look better.
    rule
        Thresholds.
    champions
        The models in service until now.
    """
    rule, champions = rule or PromotionRule(), champions or {}
    symbols = sorted(set(reports) - set(CONTROLS))
    p_values = [_p_value(s, reports[s], rule) for s in symbols]
    adjusted = dict(zip(symbols, adjusted_p_values(p_values), strict=True))
    # Each control as if it were one more symbol, but among the others they do not count: the sure find that
    # one of them is would let Benjamini-Hochberg reject more of the rest.
    controls = [
        _judge(c, reports[c], float(adjusted_p_values([*p_values, _p_value(c, reports[c], rule)])[-1]), rule)
        for c in DIRECTION_CONTROLS
        if c in reports
    ]
    void = control_failures({v.symbol: v.verdict for v in controls})
    verdicts, in_service = [], {}
    for symbol in symbols:
        report = reports[symbol]
        verdict = _judge(symbol, report, float(adjusted[symbol]), rule)
        if void is not None and verdict.verdict == PROMOTE:
            verdict = _with(verdict, REJECT, f"void: {void}")
        served = champions.get(symbol)
        champion, service = succeed(
            served,
            _candidate(report) if isinstance(report, Judged) else None,
            compare_directions(report.report, served) if isinstance(report, Judged) else None,
            verdict.verdict,
            rule.succession,
            void=void is not None,
        )
        if champion is not None:
            in_service[symbol] = champion
        verdicts.append(_with(verdict, verdict.verdict, verdict.reason, service))
    for symbol in sorted(set(champions) - set(symbols)):  # not attempted this time: nothing against it
        in_service[symbol] = champions[symbol]
    return Promotion(
        rule=rule, verdicts=verdicts, controls=controls, void=void, champions=dict(sorted(in_service.items()))
    )


def _candidate(judged: Judged[WalkForwardReport]) -> Champion:
    report = judged.report
    return Champion(judged.weights_sha256, judged.report_sha256, report.dates[-1], report.accuracy)


def _p_value(symbol: str, judged: Judged[WalkForwardReport] | str, rule: PromotionRule) -> float:
    """What enters Benjamini-Hochberg: 1 for whatever cannot be promoted in any case.

    Left in, such a find would loosen the bar for the others and then drop out: the false share among those
    that remain would exceed the rate that is promised.
    """
    if isinstance(judged, str):
        return 1.0
    report = judged.report
    promotable = (
        report.days >= rule.minimum_days
        and report.accuracy >= report.best_baseline[1] + rule.margin
        and (report.accuracy <= rule.quarantine_accuracy or symbol in CONTROLS)
    )
    return report.corrected_p if promotable else 1.0


def _judge(
    symbol: str, judged: Judged[WalkForwardReport] | str, adjusted: float, rule: PromotionRule
) -> SymbolVerdict:
    if isinstance(judged, str):
        return SymbolVerdict(
            symbol, REJECT, f"no certified report: {judged}", 0, None, None, None, 1.0, adjusted, 0, "none"
        )
    report = judged.report
    name, baseline = report.best_baseline
    verdict, reason = _reason(report, name, baseline, adjusted, rule, simulated=symbol in CONTROLS)
    return SymbolVerdict(
        symbol, verdict, reason, report.days, report.accuracy, name, baseline, report.corrected_p, adjusted,
        report.attempt, "none",
    )  # fmt: skip


def _with(v: SymbolVerdict, verdict: str, reason: str, service: str | None = None) -> SymbolVerdict:
    return SymbolVerdict(
        v.symbol, verdict, reason, v.days, v.accuracy, v.baseline, v.baseline_accuracy, v.p_value,
        v.adjusted_p, v.attempt, v.service if service is None else service,
    )  # fmt: skip


def _reason(
    report: WalkForwardReport,
    name: str,
    baseline: float,
    adjusted: float,
    rule: PromotionRule,
    *,
    simulated: bool,
) -> tuple[str, str]:
    if report.accuracy > rule.quarantine_accuracy and not simulated:
        return QUARANTINE, (
            f"accuracy {report.accuracy:.1%} is above {rule.quarantine_accuracy:.0%}: on daily prices "
            "that is how leaks look; inspect before use"
        )
    short = report.days < rule.minimum_days
    significant = adjusted <= rule.false_discovery_rate
    better = report.accuracy >= baseline + rule.margin
    tries = "" if report.attempt == 1 else f" (attempt {report.attempt} on these days)"
    if significant and better and not short:
        return PROMOTE, f"adjusted p {adjusted:.3f}{tries}, {report.accuracy - baseline:+.1%} against {name}"
    why = []
    if short:
        why.append(f"{report.days} scored days, {rule.minimum_days} needed")
    if not significant and better and not short:
        why.append(f"adjusted p {adjusted:.2f} > {rule.false_discovery_rate:.2f}{tries}")
    if not better:
        why.append(f"{report.accuracy - baseline:+.1%} against {name}, {rule.margin:+.0%} needed")
    verdict = RETRAIN if report.corrected_p < rule.retrain_p and not short else REJECT
    return verdict, "no skill shown: " + "; ".join(why)
