"""Decide over the fleet which variance models are better than what needs no model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

from ml_assets.forecasts.controls import CONTROLS, VARIANCE, VARIANCE_CONTROLS, WALK, control_failures
from ml_assets.forecasts.direction.verdicts import Judged
from ml_assets.forecasts.statistics import adjusted_p_values
from ml_assets.forecasts.succession import Champion, Served, SuccessionRule, succeed
from ml_assets.forecasts.variance.report import HorizonScore, VolatilityReport
from ml_assets.forecasts.variance.succession import compare_variances
from ml_assets.storage.artifact import JsonArtifact

__all__ = ["HorizonVerdict", "VolatilityPromotion", "VolatilityRule", "decide_volatility"]

PROMOTE, RETRAIN, REJECT, QUARANTINE = "PROMOTE", "RETRAIN", "REJECT", "QUARANTINE"


@dataclass(frozen=True)
class VolatilityRule:
    """What it takes to be promoted.

    Parameters
    ----------
    false_discovery_rate
        Benjamini-Hochberg q over all attempted symbols and horizons.
    minimum_days
        Scored days below which nothing can be shown.
    retrain_p
        Unadjusted p-value below which a retraining on new data is worth its cost.
    quarantine_gain
        QLIKE below the best baseline's [nats], above which a leak is likelier than skill on real daily
        prices: all that separates a constant from GARCH is 0.3 to 0.4 there.
    succession
        When a champion gives way.
    """

    false_discovery_rate: float = 0.05
    minimum_days: int = 500
    retrain_p: float = 0.20
    quarantine_gain: float = 0.20
    succession: SuccessionRule = field(default_factory=SuccessionRule)


@dataclass(frozen=True)
class HorizonVerdict:
    """The verdict on one symbol at one horizon; figures are None where no report exists.

    ``gain`` is the best baseline's QLIKE minus the model's; ``p_value`` that of the report times its
    attempts; ``adjusted_p`` is 1 for what could not be promoted whatever its p-value;
    ``service`` says what that means for the model in service.
    """

    symbol: str
    horizon: int
    verdict: str
    reason: str
    days: int
    gain: float | None
    best_baseline: str | None
    p_value: float
    adjusted_p: float
    attempt: int
    service: str = "none"


@dataclass(frozen=True)
class VolatilityPromotion(JsonArtifact):
    """Verdicts of one fleet, sorted by symbol and horizon, and the rule that gave them.

    ``void`` says why the controls invalidate this run's promotions; None if they came out as they must.
    ``champions`` are the models that may be served, by symbol and horizon.
    """

    kind: ClassVar[str] = "volatility_promotion"

    rule: VolatilityRule
    horizons: list[int]
    verdicts: list[HorizonVerdict]
    controls: list[HorizonVerdict]
    void: str | None
    champions: dict[str, dict[int, Champion]]

    def served(self) -> list[Served]:
        """The models in service, sorted by symbol and horizon."""
        return [
            Served(symbol, h, champion)
            for symbol, by_horizon in sorted(self.champions.items())
            for h, champion in sorted(by_horizon.items())
        ]

    def promoted(self) -> list[tuple[str, int]]:
        """Symbol and horizon that have a model in service."""
        return [(served.symbol, served.horizon or 0) for served in self.served()]


Reports = Mapping[str, Judged[VolatilityReport] | str]


def decide_volatility(
    reports: Reports,
    horizons: Sequence[int],
    rule: VolatilityRule | None = None,
    champions: Iterable[Served] = (),
) -> VolatilityPromotion:
    """Judge every attempted symbol at every horizon.

    Parameters
    ----------
    reports
        By symbol, controls among them: the certified report, or the reason why there is none. A missing
        report counts as an attempt with p = 1 at each horizon.
    horizons
        Days ahead that are forecast.
    rule
        Thresholds.
    champions
        The models in service until now.
    """
    rule = rule or VolatilityRule()
    symbols = sorted(set(reports) - set(CONTROLS))
    tried = [(symbol, h) for symbol in symbols for h in horizons]
    p_values = [_p_value(symbol, reports[symbol], h, rule) for symbol, h in tried]
    verdicts = [
        _judge(symbol, reports[symbol], h, float(adjusted), rule)
        for (symbol, h), adjusted in zip(tried, adjusted_p_values(p_values), strict=True)
    ]
    # Each control as if it were one more attempt; among the others the sure find would let more of them pass.
    controls = [
        _judge(c, reports[c], h, _adjusted_beside(p_values, _p_value(c, reports[c], h, rule)), rule)
        for c in VARIANCE_CONTROLS
        if c in reports
        for h in horizons
    ]
    void = _control_failures(controls, min(horizons))
    if void is not None:
        verdicts = [
            replace(v, verdict=REJECT, reason=f"void: {void}") if v.verdict == PROMOTE else v
            for v in verdicts
        ]
    # A horizon that is forecast no more has no model either: nothing would ever judge it again.
    serving = {(s.symbol, s.horizon or 0): s.champion for s in champions if s.horizon in horizons}
    for i, v in enumerate(verdicts):
        place = (v.symbol, v.horizon)
        champion, service = _succeed(serving.pop(place, None), reports[v.symbol], v, rule, void=void)
        if champion is not None:
            serving[place] = champion
        verdicts[i] = replace(v, service=service)
    in_service: dict[str, dict[int, Champion]] = {}
    for (symbol, h), champion in sorted(serving.items()):
        in_service.setdefault(symbol, {})[h] = champion
    return VolatilityPromotion(rule, list(horizons), verdicts, controls, void, in_service)


def _succeed(
    served: Champion | None,
    judged: Judged[VolatilityReport] | str,
    v: HorizonVerdict,
    rule: VolatilityRule,
    *,
    void: str | None,
) -> tuple[Champion | None, str]:
    score, candidate, comparison = _score_of(judged, v.horizon), None, None
    if isinstance(judged, Judged) and score is not None:
        candidate = Champion(judged.weights_sha256, judged.report_sha256, score.dates[-1])
        comparison = compare_variances(score, served)
    return succeed(served, candidate, comparison, v.verdict, rule.succession, void=void is not None)


def _control_failures(controls: Sequence[HorizonVerdict], shortest: int) -> str | None:
    """The walk must fail at every horizon; what is planted is over after a day, so it must pass at one."""
    found = {v.symbol: v.verdict for v in controls if v.symbol == VARIANCE and v.horizon == shortest}
    walks = [v.verdict for v in controls if v.symbol == WALK]
    if walks:
        found[WALK] = PROMOTE if PROMOTE in walks else REJECT
    return control_failures(found, VARIANCE)


def _score_of(judged: Judged[VolatilityReport] | str, horizon: int) -> HorizonScore | None:
    if isinstance(judged, str):
        return None
    return next((score for score in judged.report.scores if score.horizon == horizon), None)


def _adjusted_beside(p_values: Sequence[float], p: float) -> float:
    return float(adjusted_p_values([*p_values, p])[-1])


def _p_value(
    symbol: str, judged: Judged[VolatilityReport] | str, horizon: int, rule: VolatilityRule
) -> float:
    """What enters Benjamini-Hochberg: 1 for whatever cannot be promoted in any case, as for direction."""
    score = _score_of(judged, horizon)
    if score is None or isinstance(judged, str):
        return 1.0
    promotable = (
        score.days >= rule.minimum_days
        and score.gain > 0
        and (score.gain <= rule.quarantine_gain or symbol in CONTROLS)
    )
    return judged.report.corrected_p(score) if promotable else 1.0


def _judge(
    symbol: str, judged: Judged[VolatilityReport] | str, horizon: int, adjusted: float, rule: VolatilityRule
) -> HorizonVerdict:
    score = _score_of(judged, horizon)
    if score is None or isinstance(judged, str):
        why = judged if isinstance(judged, str) else f"it has no score at {horizon} day(s)"
        reason = f"no certified report: {why}"
        return HorizonVerdict(symbol, horizon, REJECT, reason, 0, None, None, 1.0, adjusted, 0)
    report = judged.report
    p = report.corrected_p(score)
    verdict, reason = _reason(score, p, adjusted, report.attempt, rule, simulated=symbol in CONTROLS)
    return HorizonVerdict(
        symbol, horizon, verdict, reason, score.days, score.gain, score.best_baseline, p, adjusted,
        report.attempt,
    )  # fmt: skip


def _reason(
    score: HorizonScore, p: float, adjusted: float, attempt: int, rule: VolatilityRule, *, simulated: bool
) -> tuple[str, str]:
    against = f"QLIKE {score.gain:+.4f} against {score.best_baseline}"
    if score.gain > rule.quarantine_gain and not simulated:
        return QUARANTINE, f"{against} is above {rule.quarantine_gain}: that is how leaks look; inspect it"
    tries = "" if attempt == 1 else f" (attempt {attempt} on these days)"
    short = score.days < rule.minimum_days
    if adjusted <= rule.false_discovery_rate and score.gain > 0 and not short:
        return PROMOTE, f"adjusted p {adjusted:.3f}{tries}, {against}"
    why = [f"{score.days} scored days, {rule.minimum_days} needed"] if short else []
    if adjusted > rule.false_discovery_rate and score.gain > 0 and not short:
        why.append(f"adjusted p {adjusted:.2f} > {rule.false_discovery_rate:.2f}{tries}")
    why.append(against)
    verdict = RETRAIN if p < rule.retrain_p and not short else REJECT
    return verdict, f"no skill beyond {score.best_baseline} shown: " + "; ".join(why)
