"""Decide over a fleet which models have shown skill, whatever they forecast. Most have none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from ml_assets.forecasts.controls import CONTROLS, WALK, control_failures
from ml_assets.forecasts.report import Score
from ml_assets.forecasts.statistics import adjusted_p_values
from ml_assets.forecasts.succession import Champion, Served, succeed
from ml_assets.forecasts.target import Target
from ml_assets.forecasts.verdicts import (
    PROMOTE,
    QUARANTINE,
    REJECT,
    RETRAIN,
    Judged,
    Place,
    Promotion,
    PromotionRule,
    Verdict,
)

__all__ = ["decide"]

Reports = Mapping[str, Judged[Any] | str]


class _Tried(NamedTuple):
    """What a report says of one place: its score, the p-value times the attempts, and their number."""

    score: Score
    p_value: float
    attempt: int


def decide(
    target: Target,
    reports: Reports,
    horizons: Sequence[int],
    rule: PromotionRule | None = None,
    champions: Iterable[Served] = (),
) -> Promotion:
    """Judge every attempted symbol at every horizon.

    Parameters
    ----------
    target
        What is forecast.
    reports
        By symbol, controls among them: the certified report, or the reason why there is none. A missing
        report counts as an attempt with p = 1 at each horizon, so that failures do not make the rest look
        better.
    horizons
        Days ahead that are forecast.
    rule
        Thresholds; those of the target if left out.
    champions
        The models in service until now.
    """
    rule = rule or target.rule
    cases = {(s, h): _tried(reports[s], h) for s in reports for h in horizons}
    tried = [(s, h) for s in sorted(set(reports) - set(CONTROLS)) for h in horizons]
    p_values = [_entering(target, cases[place], rule) for place in tried]
    verdicts = [
        _judge(target, place, reports[place[0]], cases[place], float(adjusted), rule)
        for place, adjusted in zip(tried, adjusted_p_values(p_values), strict=True)
    ]
    controls = []
    for place in ((c, h) for c in target.controls if c in reports for h in horizons):
        # As if it were one more attempt; but among the others it does not count: the sure find that one
        # control is would let Benjamini-Hochberg reject more of the rest.
        beside = adjusted_p_values([*p_values, _entering(target, cases[place], rule, simulated=True)])
        controls.append(
            _judge(target, place, reports[place[0]], cases[place], float(beside[-1]), rule, simulated=True)
        )
    void = _void(target, controls, min(horizons))
    if void is not None:
        verdicts = [_refused(v, void) for v in verdicts]
    # A horizon that is forecast no more has no model either: nothing would ever judge it again.
    serving = {one.place: one.champion for one in champions if one.horizon in horizons}
    for i, v in enumerate(verdicts):
        case, judged, old = cases[v.place], reports[v.symbol], serving.pop(v.place, None)
        candidate = comparison = None
        if isinstance(judged, Judged) and case is not None:
            candidate = _candidate(target, judged, case.score)
            comparison = target.compare(judged.report, v.horizon, old)
        champion, service = succeed(
            old, candidate, comparison, v.verdict, rule.succession, void=void is not None
        )
        if champion is not None:
            serving[v.place] = champion
        verdicts[i] = replace(v, service=service)
    in_service = [Served(symbol, h, champion) for (symbol, h), champion in sorted(serving.items())]
    return target.promotion(rule, list(horizons), verdicts, controls, void, in_service)


def _candidate(target: Target, judged: Judged[Any], score: Score) -> Champion:
    return Champion(judged.weights_sha256, judged.report_sha256, score.last_day, target.promises(score))


def _tried(judged: Judged[Any] | str, horizon: int) -> _Tried | None:
    score = None if isinstance(judged, str) else judged.report.at(horizon)
    if score is None or isinstance(judged, str):
        return None
    return _Tried(score, judged.report.corrected(score), judged.report.attempt)


def _entering(target: Target, case: _Tried | None, rule: PromotionRule, *, simulated: bool = False) -> float:
    """What enters Benjamini-Hochberg: 1 for whatever cannot be promoted in any case.

    Otherwise its small p-value would raise the threshold for the others, and then it would drop out: the
    share of false finds among those that remain would exceed the rate that is promised.
    """
    if case is None or case.score.days < rule.minimum_days or not target.is_better(case.score, rule):
        return 1.0
    return 1.0 if target.is_suspicious(case.score, rule) and not simulated else case.p_value


def _judge(
    target: Target,
    place: Place,
    judged: Judged[Any] | str,
    case: _Tried | None,
    adjusted: float,
    rule: PromotionRule,
    *,
    simulated: bool = False,
) -> Verdict:
    if case is None:
        why = judged if isinstance(judged, str) else f"it has no score at {place[1]} day(s)"
        reason = f"no certified report: {why}"
        return Verdict(*place, REJECT, reason, 0, None, None, None, None, 1.0, adjusted, 0)
    verdict, reason = _reason(target, case, adjusted, rule, simulated=simulated)
    score = case.score
    return Verdict(
        *place, verdict, reason, score.days, score.level, score.best_baseline, score.baseline_level,
        score.gain, case.p_value, adjusted, case.attempt,
    )  # fmt: skip


def _reason(
    target: Target, case: _Tried, adjusted: float, rule: PromotionRule, *, simulated: bool
) -> tuple[str, str]:
    score = case.score
    if target.is_suspicious(score, rule) and not simulated:
        return QUARANTINE, target.suspect(score, rule)
    short, better = score.days < rule.minimum_days, target.is_better(score, rule)
    tries = "" if case.attempt == 1 else f" (attempt {case.attempt} on these days)"
    against = target.describe(score.gain, score.best_baseline)
    if adjusted <= rule.false_discovery_rate and better and not short:
        return PROMOTE, f"adjusted p {adjusted:.3f}{tries}, {against}"
    why = [f"{score.days} scored days, {rule.minimum_days} needed"] if short else []
    if adjusted > rule.false_discovery_rate and better and not short:
        why.append(f"adjusted p {adjusted:.2f} > {rule.false_discovery_rate:.2f}{tries}")
    if not better and rule.margin:
        why.append(f"{against}, {target.describe(rule.margin, '')} needed")
    elif not rule.margin:  # there is no bar to name, so the gain itself is the news
        why.append(against)
    verdict = RETRAIN if case.p_value < rule.retrain_p and not short else REJECT
    return verdict, "no skill shown: " + "; ".join(why)


def _refused(v: Verdict, void: str) -> Verdict:
    return replace(v, verdict=REJECT, reason=f"void: {void}") if v.verdict == PROMOTE else v


def _void(target: Target, controls: Sequence[Verdict], shortest: int) -> str | None:
    """The walk must fail at every horizon. What is planted may be over after a day: it must pass at one."""
    by_symbol = {v.symbol: v.verdict for v in controls if v.place == (target.planted, shortest)}
    if walks := [v.verdict for v in controls if v.symbol == WALK]:
        by_symbol[WALK] = PROMOTE if PROMOTE in walks else REJECT
    return control_failures(by_symbol, target.planted)
