"""Gates on the verdicts over a fleet of variance models."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from ml_assets.gates._succession import Contest, sound_succession
from ml_assets.gates._verdict import Tally, require, verdict
from ml_assets.gates.result import GateResult
from ml_assets.skill import Champion, Judged, Served
from ml_assets.skill.controls import CONTROLS, VARIANCE, WALK
from ml_assets.volatility.report import VolatilityReport
from ml_assets.volatility.verdicts import VolatilityPromotion, VolatilityRule

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

    def inspect(tally: Tally) -> str:
        # The other gates go by the candidate's own list, so it must be the one that is due.
        require(
            promotion.horizons == list(horizons), f"judged {promotion.horizons}, due are {list(horizons)}"
        )
        judged = [(v.symbol, v.horizon) for v in (*promotion.verdicts, *promotion.controls)]
        due = {(symbol, h) for symbol in symbols for h in horizons}
        require(
            set(judged) == due and len(judged) == len(due),
            f"{len(judged)} verdicts for {len(due)} attempts; missing {sorted(due - set(judged))[:3]}, "
            "unknown "
            f"{sorted(set(judged) - due)[:3]}",
        )
        silent = [v.symbol for v in (*promotion.verdicts, *promotion.controls) if not v.reason]
        require(not silent, f"without a reason: {silent}")
        tally.checked = len(judged)
        return f"{len(judged)} verdicts for {len(symbols)} attempted symbols"

    return verdict("every_symbol_judged", inspect)


def variance_rule_applied(
    reports: Reports, promotion: VolatilityPromotion, rule: VolatilityRule
) -> GateResult:
    """Derive every verdict anew from the reports and the rule in force.

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

    def inspect(tally: Tally) -> str:
        require(promotion.rule == rule, f"judged by {promotion.rule}, but {rule} is in force")
        fleet = [
            _entering(_figures(report, h), rule, simulated=False)
            for symbol, report in reports.items()
            if symbol not in CONTROLS
            for h in promotion.horizons
        ]
        for v in (*promotion.verdicts, *promotion.controls):
            figures = _figures(reports.get(v.symbol, "no report at all"), v.horizon)
            control = v.symbol in CONTROLS
            entering = _entering(figures, rule, simulated=control)
            threshold = _largest_rejected([*fleet, entering] if control else fleet, rule)
            due = _verdict(figures, threshold, rule, simulated=control)
            if due == "PROMOTE" and promotion.void is not None and not control:
                due = "REJECT"
            found, expected = (v.days, v.gain, v.best_baseline, v.p_value, v.verdict), (*figures, due)
            require(
                found == expected,
                f"{v.symbol} over {v.horizon} day(s): the verdict says {found}, report and rule give "
                f"{expected}",
            )
            tally.checked += 1
        passed = _passed(promotion)
        tally.figures["passed"] = len(passed)
        return f"{tally.checked} verdicts derived anew and equal; passed: {', '.join(passed) or 'none'}"

    return verdict("rule_applied", inspect)


def variance_controls_decide(promotion: VolatilityPromotion) -> GateResult:
    """Constant variance failed and the planted change of it passed, or else the run is void.

    Nothing new passes then. A void run is a result, not a failure of this gate: the reason is shown.
    """

    def inspect(tally: Tally) -> str:
        found = {(v.symbol, v.horizon): v.verdict for v in promotion.controls}
        walks = [found.get((WALK, h), "PROMOTE") for h in promotion.horizons]
        as_they_must = "PROMOTE" not in walks and found.get((VARIANCE, min(promotion.horizons))) == "PROMOTE"
        tally.checked = len(promotion.verdicts) + 1
        tally.figures["void"] = int(promotion.void is not None)
        require(
            as_they_must == (promotion.void is None) and (as_they_must or not _passed(promotion)),
            f"controls came out as {found}, yet void is {promotion.void!r} and {_passed(promotion)} pass",
        )
        return f"controls: {found}; {promotion.void or 'promotions count'}"

    return verdict("controls_decide", inspect)


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
            met, mine, old = _meeting(judged.report, v.horizon)
            versions = (judged.weights_sha256, judged.report_sha256)
            told = f"QLIKE {mine:.4f} where that had {old:.4f}"
            contests[place] = Contest(v.verdict, versions, met, old - mine, told)
    return sound_succession(contests, _by_place(promotion.served()), _by_place(before))


def _by_place(served: Iterable[Served]) -> dict[str, Champion]:
    return {f"{one.symbol} ({one.horizon} d)": one.champion for one in served}


def _meeting(report: VolatilityReport, horizon: int) -> tuple[str | None, float, float]:
    """The old model's version, and QLIKE of the new and of the old one on the days of both."""
    score = next((s for s in report.scores if s.horizon == horizon), None)
    if score is None or score.champion is None or not score.champion.dates:
        return None, 0.0, 0.0
    stored = zip(score.dates, score.forecast, score.realized, strict=True)
    known = {day: (f, x) for day, f, x in stored}
    pairs = [(*known[day], f) for day, f in zip(score.champion.dates, score.champion.forecast, strict=True)]
    mine, x, old = np.array(pairs).T
    losses = float(np.mean(np.log(mine) + x / mine)), float(np.mean(np.log(old) + x / old))
    return score.champion.weights_sha256, *losses


def _passed(promotion: VolatilityPromotion) -> list[str]:
    return [f"{v.symbol} ({v.horizon} d)" for v in promotion.verdicts if v.verdict == "PROMOTE"]


Figures = tuple[int, float | None, str | None, float]


def _figures(judged: Judged[VolatilityReport] | str, horizon: int) -> Figures:
    scores = [] if isinstance(judged, str) else [s for s in judged.report.scores if s.horizon == horizon]
    if isinstance(judged, str) or not scores:
        return 0, None, None, 1.0
    score = scores[0]
    rivals = {name: loss for name, loss in score.qlike.items() if name != "model"}
    best = min(rivals, key=rivals.__getitem__)
    p = min(1.0, score.p_values[best] * judged.report.attempt)
    return len(score.dates), rivals[best] - score.qlike["model"], best, p


def _entering(figures: Figures, rule: VolatilityRule, *, simulated: bool) -> float:
    """The p-value, if all but significance holds; else 1, so that nothing else may move the bar."""
    days, gain, _, p = figures
    if gain is None or days < rule.minimum_days or gain <= 0:
        return 1.0
    return p if simulated or gain <= rule.quarantine_gain else 1.0


def _largest_rejected(p_values: Sequence[float], rule: VolatilityRule) -> float:
    ordered = sorted(p_values)
    rejected = [p for k, p in enumerate(ordered, 1) if p <= rule.false_discovery_rate * k / len(ordered)]
    return max(rejected, default=-1.0)


def _verdict(figures: Figures, threshold: float, rule: VolatilityRule, *, simulated: bool) -> str:
    days, gain, _, p = figures
    if gain is None:
        return "REJECT"
    if gain > rule.quarantine_gain and not simulated:
        return "QUARANTINE"
    if days < rule.minimum_days:
        return "REJECT"
    if p <= threshold and gain > 0:
        return "PROMOTE"
    return "RETRAIN" if p < rule.retrain_p else "REJECT"
