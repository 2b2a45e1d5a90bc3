"""Gates on reports and verdicts: every sealed day scored, every figure derivable from the raw prices."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

from ml_assets.forecasts.direction import WalkForwardReport
from ml_assets.forecasts.statistics import block_interval
from ml_assets.gates.core import GateResult
from ml_assets.gates.forecasts._baselines import recomputed_baselines
from ml_assets.prices import PriceHistory
from ml_assets.windows.sequences import SequenceSet

__all__ = [
    "every_test_day_scored",
    "figures_recomputed",
    "predictions_reproduced",
]

Floats = npt.NDArray[np.float64]


def every_test_day_scored(sequences: SequenceSet, report: WalkForwardReport) -> GateResult:
    """Require one prediction per sealed day: none dropped because it was hard, none from elsewhere.

    The sealed days are counted from the end of the ledger, not taken from the folds.
    """
    name = "every_test_day_scored"
    ledger = sequences.ledger
    sealed = int((ledger["split"] == "test").sum()) * sequences.folds
    test = ledger["as_of"].to_numpy()[-sealed:].astype("datetime64[D]")
    expected = [str(day) for day in test[:: sequences.horizon]]
    if report.dates == expected and expected:
        return GateResult(name, True, f"all {len(expected)} sealed days scored once", len(expected))
    missing = sorted(set(expected) - set(report.dates))
    extra = sorted(set(report.dates) - set(expected))
    found = f"{report.symbol}: {len(report.dates)} days scored, {len(expected)} sealed"
    return GateResult(name, False, f"{found}; missing {missing[:3]}, not sealed {extra[:3]}", len(expected))


def figures_recomputed(
    prices: PriceHistory, folds: Sequence[SequenceSet], report: WalkForwardReport
) -> GateResult:
    """Recompute outcomes, accuracy, baselines and p-value from the raw closes, by other code.

    Of the sequences only the days of the training rows, which the baselines are fitted on, and the features
    are used.
    """
    name, h = "figures_recomputed", report.horizon
    close = prices.frame["close"].to_numpy()
    place = {str(day.date()): i for i, day in enumerate(prices.frame.index)}
    at = np.array([place.get(date, -1) for date in report.dates], dtype=int)
    unknown = np.flatnonzero((at < h) | (at + h >= len(close)))
    if not at.size or unknown.size:
        where = report.dates[unknown[0]] if unknown.size else "no day at all"
        message = f"{report.symbol} {where}: no price {h} days before or after"
        return GateResult(name, False, message, at.size)
    realized = close[at + h] / close[at] - 1
    wrong = np.flatnonzero(~np.isclose(realized, report.realized, rtol=1e-9, atol=1e-12))
    if wrong.size:
        i = int(wrong[0])
        message = f"{report.symbol} {report.dates[i]}: reported return {report.realized[i]!r}, "
        return GateResult(name, False, f"{message}prices say {float(realized[i])!r}", at.size)
    forecast, up = np.asarray(report.probability) > 0.5, close[at + h] > close[at]
    expected = {
        "accuracy": float(np.mean(forecast == up)),
        "p_value": _correlation_p(forecast, up),
        "log_loss": _log_loss(np.asarray(report.probability), up),
        "low": block_interval(forecast == up)[0],
        "high": block_interval(forecast == up)[1],
        **recomputed_baselines(close, folds, at, h),
    }
    reported = {
        "accuracy": report.accuracy, "p_value": report.p_value, "log_loss": report.log_loss,
        "low": report.interval[0], "high": report.interval[-1], **report.baselines,
    }  # fmt: skip
    # Two ways to one minimum may call a day on the fence differently.
    slack = {"logistic": 0.005}
    differing = sorted(
        figure
        for figure in expected.keys() | reported.keys()
        if not np.isclose(
            expected.get(figure, np.nan),
            reported.get(figure, np.nan),
            rtol=1e-6,
            atol=slack.get(figure, 1e-9),
        )
    )
    if differing:
        shown = "; ".join(f"{f} {reported.get(f)} reported, {expected.get(f)} recomputed" for f in differing)
        return GateResult(name, False, f"{report.symbol}: {shown}", at.size)
    message = f"{at.size} outcomes and {len(expected)} figures equal those from the raw prices"
    return GateResult(name, True, message, at.size, {"accuracy": expected["accuracy"]})


def _correlation_p(forecast: npt.NDArray[np.bool_], up: npt.NDArray[np.bool_]) -> float:
    """Pesaran-Timmermann through an identity: its statistic is the correlation times n / sqrt(n - 1)."""
    if forecast.all() or up.all() or not (forecast.any() and up.any()):
        return 1.0
    n = forecast.size
    return float(norm.sf(np.corrcoef(forecast, up)[0, 1] * n / np.sqrt(n - 1)))


def _log_loss(probability: npt.NDArray[np.float64], up: npt.NDArray[np.bool_]) -> float:
    clipped = np.clip(probability, 1e-12, 1 - 1e-12)
    return float(-np.mean(np.log(clipped[up]).sum() + np.log1p(-clipped[~up]).sum()) / up.size)


def predictions_reproduced(
    folds: Sequence[SequenceSet], report: WalkForwardReport, predict: Callable[[int], Floats], retrained: int
) -> GateResult:
    """Predict again: the report's probabilities must come out, bit for bit.

    Parameters
    ----------
    folds : sequence of SequenceSet
        As they stood at each fold.
    report : WalkForwardReport
        The candidate.
    predict : callable
        ``(fold number) -> probabilities`` of its test rows: from the certified weights for the last fold,
        from a training done again for another.
    retrained : int
        The earlier fold that is trained again; which one, is decided by the weights' hash, not by the report.
    """
    name, symbol, checked = "predictions_reproduced", report.symbol, 0
    starts = np.cumsum([0, *(len(fold.positions("test")) for fold in folds)])
    scored = np.arange(starts[-1])[:: report.horizon]
    for number in sorted({retrained, len(folds)}):
        start, stop = starts[number - 1], starts[number]
        inside = (scored >= start) & (scored < stop)
        again = predict(number)[scored[inside] - start]
        reported = np.asarray(report.probability)[inside] if len(report.dates) == scored.size else again[:0]
        if again.shape != reported.shape:
            message = f"{symbol} fold {number}: {again.size} predictions, {report.days} days reported in all"
            return GateResult(name, False, message, checked)
        different = np.flatnonzero(again != reported)
        checked += again.size
        if different.size:
            first = int(different[0])
            return GateResult(
                name,
                False,
                f"{symbol} {report.dates[int(np.flatnonzero(inside)[first])]}: reported {reported[first]!r}, "
                f"the weights say {again[first]!r}; {different.size} of {again.size} differ in fold {number}",
                checked,
            )
    message = f"{checked} predictions of folds {sorted({retrained, len(folds)})} reproduced exactly"
    return GateResult(name, checked > 0, message, checked)
