"""Gates on the verdicts over a fleet of variance models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ml_assets.gates._verdict import Tally, require, verdict
from ml_assets.gates.result import GateResult
from ml_assets.skill.controls import CONTROLS, VARIANCE, WALK
from ml_assets.volatility.report import VolatilityReport
from ml_assets.volatility.verdicts import VolatilityPromotion, VolatilityRule

__all__ = ["every_horizon_judged", "variance_controls_decide", "variance_rule_applied"]

Reports = Mapping[str, VolatilityReport | str]


def every_horizon_judged(
    symbols: Sequence[str], horizons: Sequence[int], promotion: VolatilityPromotion
) -> GateResult:
    """Exactly one verdict, with a reason, for every attempted symbol at every horizon."""

    def inspect(tally: Tally) -> str:
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
        passed = [f"{symbol} ({h})" for symbol, h in promotion.promoted()]
        tally.figures["passed"] = len(passed)
        return f"{tally.checked} verdicts derived anew and equal; passed: {', '.join(passed) or 'none'}"

    return verdict("rule_applied", inspect)


def variance_controls_decide(promotion: VolatilityPromotion) -> GateResult:
    """Constant variance failed and the planted change of it passed, or else the run is void.

    Nothing passes then. A void run is a result, not a failure of this gate: the reason is shown.
    """

    def inspect(tally: Tally) -> str:
        found = {(v.symbol, v.horizon): v.verdict for v in promotion.controls}
        walks = [found.get((WALK, h), "PROMOTE") for h in promotion.horizons]
        as_they_must = "PROMOTE" not in walks and found.get((VARIANCE, min(promotion.horizons))) == "PROMOTE"
        tally.checked = len(promotion.verdicts) + 1
        tally.figures["void"] = int(promotion.void is not None)
        require(
            as_they_must == (promotion.void is None) and (as_they_must or not promotion.promoted()),
            f"controls came out as {found}, yet void is {promotion.void!r} and {promotion.promoted()} pass",
        )
        return f"controls: {found}; {promotion.void or 'promotions count'}"

    return verdict("controls_decide", inspect)


Figures = tuple[int, float | None, str | None, float]


def _figures(report: VolatilityReport | str, horizon: int) -> Figures:
    scores = [] if isinstance(report, str) else [s for s in report.scores if s.horizon == horizon]
    if isinstance(report, str) or not scores:
        return 0, None, None, 1.0
    score = scores[0]
    rivals = {name: loss for name, loss in score.qlike.items() if name != "model"}
    best = min(rivals, key=rivals.__getitem__)
    p = min(1.0, score.p_values[best] * report.attempt)
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
