"""Gates on reports and verdicts: every sealed day scored, every figure derivable from the raw prices."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

from ml_assets.gates.result import GateResult
from ml_assets.prices import PriceHistory
from ml_assets.sequences import SequenceSet
from ml_assets.skill import WalkForwardReport

__all__ = [
    "every_test_day_scored",
    "figures_recomputed",
    "predictions_reproduced",
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


def figures_recomputed(prices: PriceHistory, sequences: SequenceSet, report: WalkForwardReport) -> GateResult:
    """Recompute outcomes, accuracy, baselines and p-value from the raw closes, by other code.

    Of the sequences only the days of the training rows are used, which the baselines are fitted on.
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
    train = np.searchsorted(prices.frame.index.to_numpy(), sequences.as_of("train").astype("datetime64[ns]"))
    expected = {
        "accuracy": float(np.mean(forecast == up)),
        "p_value": _correlation_p(forecast, up),
        **_baselines(close, train, at, h),
    }
    reported = {"accuracy": report.accuracy, "p_value": report.p_value, **report.baselines}
    differing = sorted(
        figure
        for figure in expected.keys() | reported.keys()
        if not np.isclose(expected.get(figure, np.nan), reported.get(figure, np.nan), rtol=1e-6, atol=1e-9)
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


def _baselines(
    close: npt.NDArray[np.float64], train: npt.NDArray[np.intp], at: npt.NDArray[np.intp], h: int
) -> dict[str, float]:
    """Accuracies of the rules without a model, straight from closes."""
    up = close[at + h] > close[at]
    slope, level = np.polyfit(close[train] / close[train - h] - 1, close[train + h] / close[train] - 1, 1)
    mostly_up = 2 * np.count_nonzero(close[train + h] > close[train]) >= train.size
    return {
        "majority": float(np.mean(up == mostly_up)),
        "persistence": float(np.mean((close[at] > close[at - h]) == up)),
        "ar1": float(np.mean((level + slope * (close[at] / close[at - h] - 1) > 0) == up)),
        "always_up": float(np.mean(up)),
    }


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
