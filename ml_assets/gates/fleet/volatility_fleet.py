"""Gates on the verdicts over a fleet of variance models."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from ml_assets.forecasts.controls import CONTROLS, VARIANCE, WALK
from ml_assets.forecasts.direction import Champion, Judged, Served
from ml_assets.forecasts.variance.report import VarianceRecord, VolatilityReport
from ml_assets.forecasts.variance.verdicts import HorizonVerdict, VolatilityPromotion, VolatilityRule
from ml_assets.gates.core import GateResult
from ml_assets.gates.fleet._fleet import Standing, derived_anew, judged_once, void_as_it_must
from ml_assets.gates.fleet._succession import Contest, sound_succession

__all__ = [
    "every_horizon_judged",
    "variance_controls_decide",
    "variance_rule_applied",
    "variance_succession_sound",
]

Reports = Mapping[str, Judged[VolatilityReport] | str]


def every_horizon_judged(
    symbols: Sequence[str], horizons: Sequence[int], promotion: VolatilityPromotion
) -> GateResult:
    """Exactly one verdict, with a reason, for every attempted symbol at every horizon."""
    # The other gates go by the candidate's own list of horizons, so it must be the one that is due.
    if promotion.horizons != list(horizons):
        message = f"judged {promotion.horizons}, due are {list(horizons)}"
        return GateResult("every_symbol_judged", False, message, len(promotion.verdicts))
    everything = [*promotion.verdicts, *promotion.controls]
    due = {(symbol, h) for symbol in symbols for h in horizons}
    return judged_once(due, [((v.symbol, v.horizon), v.reason) for v in everything])


def variance_rule_applied(
    reports: Reports, promotion: VolatilityPromotion, rule: VolatilityRule
) -> GateResult:
    """Derive every verdict anew from the reports and the rule in force.

    Parameters
    ----------
    reports
        By symbol: the certified report, or the reason why there is none.
    promotion
        The candidate; neither its rule nor its figures are taken on trust.
    rule
        The rule in force.
    """
    fleet = [
        _standing(report, h, rule)
        for symbol, report in reports.items()
        if symbol not in CONTROLS
        for h in promotion.horizons
    ]

    def standing(v: HorizonVerdict, control: bool) -> Standing:
        return _standing(reports.get(v.symbol, "no report at all"), v.horizon, rule, control=control)

    figures = "days", "gain", "best_baseline", "p_value"
    return derived_anew(promotion, rule, figures, fleet, standing)


def variance_controls_decide(promotion: VolatilityPromotion) -> GateResult:
    """Constant variance failed and the planted change of it passed, or else the run is void."""
    found = {(v.symbol, v.horizon): v.verdict for v in promotion.controls}
    walks = [found.get((WALK, h), "PROMOTE") for h in promotion.horizons]
    planted = found.get((VARIANCE, min(promotion.horizons)))
    return void_as_it_must(promotion, "PROMOTE" not in walks and planted == "PROMOTE")


def variance_succession_sound(
    reports: Reports, promotion: VolatilityPromotion, before: Iterable[Served]
) -> GateResult:
    """Whoever serves either served before, or passed now; who replaced a champion had the lower QLIKE.

    Parameters
    ----------
    reports
        What was judged.
    promotion
        The candidate.
    before
        Who served by the last certified promotion.
    """
    contests = {}
    for v in promotion.verdicts:
        judged, place = reports.get(v.symbol), f"{v.symbol} ({v.horizon} d)"
        contests[place] = Contest(v.verdict, None)
        if isinstance(judged, Judged):
            record, mine, old = _meeting(judged.report, v.horizon)
            versions = (judged.weights_sha256, judged.report_sha256)
            told = f"QLIKE {mine:.4f} where that had {old:.4f}"
            contests[place] = Contest(v.verdict, versions, lead=old - mine, told=told)
            if record is not None:
                met, askable = record.weights_sha256, record.askable
                contests[place] = replace(contests[place], met=met, askable=askable)
    void = promotion.void is not None
    return sound_succession(contests, _by_place(promotion.served()), _by_place(before), void=void)


def _by_place(served: Iterable[Served]) -> dict[str, Champion]:
    return {f"{one.symbol} ({one.horizon} d)": one.champion for one in served}


def _meeting(report: VolatilityReport, horizon: int) -> tuple[VarianceRecord | None, float, float]:
    """The old model's record, and QLIKE of the new and of the old one on the days of both."""
    score = next((s for s in report.scores if s.horizon == horizon), None)
    if score is None or score.champion is None or not score.champion.dates:
        return None if score is None else score.champion, 0.0, 0.0
    stored = zip(score.dates, score.forecast, score.realized, strict=True)
    known = {day: (f, x) for day, f, x in stored}
    pairs = [(*known[day], f) for day, f in zip(score.champion.dates, score.champion.forecast, strict=True)]
    mine, x, old = np.array(pairs).T
    losses = float(np.mean(np.log(mine) + x / mine)), float(np.mean(np.log(old) + x / old))
    return score.champion, *losses


def _standing(
    judged: Judged[VolatilityReport] | str, horizon: int, rule: VolatilityRule, *, control: bool = False
) -> Standing:
    scores = [] if isinstance(judged, str) else [s for s in judged.report.scores if s.horizon == horizon]
    if isinstance(judged, str) or not scores:
        return Standing()
    score = scores[0]
    rivals = {name: loss for name, loss in score.qlike.items() if name != "model"}
    best = min(rivals, key=rivals.__getitem__)
    p, gain = min(1.0, score.p_values[best] * judged.report.attempt), rivals[best] - score.qlike["model"]
    forced = "REJECT" if len(score.dates) < rule.minimum_days else None
    if gain > rule.quarantine_gain and not control:
        forced = "QUARANTINE"
    return Standing((len(score.dates), gain, best, p), forced, better=gain > 0)
