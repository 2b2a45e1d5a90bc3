"""Gates on reports and verdicts: every sealed day scored, every figure derivable from the raw prices."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from ml_assets.gates.result import GateResult
from ml_assets.prices import PriceHistory
from ml_assets.sequences import SequenceSet
from ml_assets.skill import Promotion, WalkForwardReport

__all__ = [
    "every_symbol_judged",
    "every_test_day_scored",
    "figures_recomputed",
    "predictions_reproduced",
    "rule_applied",
]


def every_test_day_scored(sequences: SequenceSet, report: WalkForwardReport) -> GateResult:
    """Require one prediction per sealed day: none dropped because it was hard, none from elsewhere."""
    name = "every_test_day_scored"
    ledger = sequences.ledger
    test = ledger.loc[ledger["split"] == "test", "as_of"].to_numpy().astype("datetime64[D]")
    expected = [str(day) for day in test[:: sequences.horizon]]
    if report.dates == expected and expected:
        return GateResult(name, True, f"all {len(expected)} sealed days scored once", len(expected))
    missing = sorted(set(expected) - set(report.dates))
    extra = sorted(set(report.dates) - set(expected))
    found = f"{report.symbol}: {len(report.dates)} days scored, {len(expected)} sealed"
    return GateResult(name, False, f"{found}; missing {missing[:3]}, not sealed {extra[:3]}", len(expected))


def figures_recomputed(prices: PriceHistory, report: WalkForwardReport) -> GateResult:
    """Recompute outcomes and accuracy from the raw closes, by other code than the report's."""
    name = "figures_recomputed"
    close = prices.frame["close"]
    days = {str(day.date()): i for i, day in enumerate(close.index)}
    hits = 0
    for date, probability, realized in zip(report.dates, report.probability, report.realized, strict=True):
        position = days.get(date)
        if position is None or position + report.horizon >= len(close):
            return GateResult(
                name, False, f"{report.symbol} {date}: no price {report.horizon} days later", hits
            )
        now, later = float(close.iloc[position]), float(close.iloc[position + report.horizon])
        if not np.isclose(later / now - 1, realized, rtol=1e-9, atol=1e-12):
            return GateResult(
                name,
                False,
                f"{report.symbol} {date}: reported return {realized!r}, prices say {later / now - 1!r}",
                hits,
            )
        hits += (probability > 0.5) == (later > now)
    accuracy = hits / max(1, len(report.dates))
    same = bool(np.isclose(accuracy, report.accuracy, rtol=0, atol=1e-12))
    message = f"{report.symbol}: accuracy {report.accuracy:.4f} reported, {accuracy:.4f} from raw prices"
    return GateResult(name, same, message, len(report.dates), {"accuracy": accuracy})


def predictions_reproduced(
    sequences: SequenceSet,
    report: WalkForwardReport,
    predict: Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float64]],
) -> GateResult:
    """Predict again from the certified weights: the report's probabilities must come out, bit for bit."""
    name = "predictions_reproduced"
    again = predict(sequences.X("test"))[:: sequences.horizon]
    if again.shape != (report.days,):
        return GateResult(
            name, False, f"{report.symbol}: {again.size} predictions, {report.days} reported", again.size
        )
    different = np.flatnonzero(again != np.asarray(report.probability))
    if different.size == 0:
        return GateResult(name, True, f"{report.days} predictions reproduced exactly", report.days)
    first = int(different[0])
    return GateResult(
        name,
        False,
        f"{report.symbol} {report.dates[first]}: reported {report.probability[first]!r}, the weights say "
        f"{again[first]!r}; {different.size} of {report.days} differ",
        report.days,
    )


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


def rule_applied(reports: Mapping[str, WalkForwardReport | str], promotion: Promotion) -> GateResult:
    """Derive the set of promotable symbols anew, from the definition of Benjamini-Hochberg.

    The k smallest p-values are rejected, k the largest rank with p(k) <= q k / m.
    """
    name = "rule_applied"
    rule = promotion.rule
    p = {s: 1.0 if isinstance(r, str) else r.p_value for s, r in reports.items()}
    ordered = sorted(p.values())
    passing = [x for k, x in enumerate(ordered, start=1) if x <= rule.false_discovery_rate * k / len(ordered)]
    threshold = max(passing, default=-1.0)
    wanted = {
        symbol
        for symbol, report in reports.items()
        if not isinstance(report, str)
        and p[symbol] <= threshold
        and rule.minimum_days <= report.days
        and max(report.baselines.values()) + rule.margin <= report.accuracy <= rule.quarantine_accuracy
    }
    promoted = set(promotion.promoted())
    message = f"promoted {sorted(promoted)}; the rule gives {sorted(wanted)} of {len(reports)} attempts"
    return GateResult(name, promoted == wanted, message, len(reports), {"promoted": len(promoted)})
