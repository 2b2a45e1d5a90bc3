"""Gate on the figures of a variance report: each is derived again from the raw prices, by other code."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.special import stdtr

from ml_assets.forecasts.report import Score
from ml_assets.forecasts.variance import VolatilityReport
from ml_assets.gates._verdict import Tally, Violation, require, verdict
from ml_assets.gates.core import GateResult
from ml_assets.gates.forecasts._variance_baselines import EXACT, NEAR, recomputed_rivals
from ml_assets.prices import PriceHistory
from ml_assets.windows.sequence_set import SequenceSet

__all__ = ["variance_figures"]

Floats = npt.NDArray[np.float64]


def variance_figures(
    prices: PriceHistory, folds: Sequence[SequenceSet], report: VolatilityReport
) -> GateResult:
    """Recompute outcomes, losses, baselines and p-values from the raw prices, by other code.

    Of the sequences only the positions of the parts are used.
    """
    symbol = report.symbol

    def inspect(tally: Tally) -> str:
        place = {str(d.date()): i for i, d in enumerate(prices.dates)}
        logs = np.log(prices.frame["close"].to_numpy())
        for score in report.scores:
            where = f"{symbol} over {score.horizon} day(s)"
            at = np.array([place.get(date, -1) for date in score.dates], dtype=np.intp)
            require(bool(at.size) and at.min() >= 0, f"{where}: a scored day is none of the price history")
            require(
                at.max() + score.horizon < len(logs), f"{where}: no price {score.horizon} days after the last"
            )
            lengths = {len(score.forecast), len(score.realized), len(score.baseline_forecast)}
            require(lengths == {at.size}, f"{where}: {at.size} days, but {sorted(lengths)} values")
            steps = np.diff(logs[at[:, None] + np.arange(score.horizon + 1)], axis=1)
            _same(where, score, "outcome", np.array(score.realized), np.square(steps).sum(axis=1))
            bounds = [fold.positions("test") for fold in folds]
            parts = [at[(at >= test[0]) & (at <= test[-1])] for test in bounds]
            forecasts = recomputed_rivals(symbol, prices.frame, folds, parts, score.horizon)
            _compare(where, score, forecasts, tally)
        return f"{symbol}: outcomes and {tally.checked} figures equal those from the raw prices"

    return verdict("figures_recomputed", inspect)


def _compare(where: str, score: Score, forecasts: dict[str, Floats], tally: Tally) -> None:
    x, model = np.array(score.realized), np.array(score.forecast)
    best = np.array(score.baseline_forecast)
    named = {"model": model, **forecasts}
    mse, p_values, calibration = (score.figures.get(name, {}) for name in ("mse", "p_value", "calibration"))
    require(
        set(score.levels) == set(named) == set(mse),
        f"{where}: scored {sorted(score.levels)}, not {sorted(named)}",
    )
    require(set(p_values) == set(forecasts), f"{where}: p-values of {sorted(p_values)}")
    lowest = min(forecasts, key=lambda name: score.levels[name])
    require(
        score.best_baseline == lowest,
        f"{where}: best baseline {score.best_baseline} reported, {lowest} is it",
    )
    apart = float(np.mean(np.abs(np.log(best / forecasts[lowest]))))
    require(
        apart <= NEAR.get(lowest, EXACT),
        f"{where}: forecasts of {lowest} are {apart:.4f} from the recomputed ones",
    )
    ours = np.log(model) + x / model
    percent = 1e4 / score.horizon
    for name, f in named.items():
        loss = np.log(f) + x / f
        slack = NEAR.get(name, EXACT)
        due = {"QLIKE": float(loss.mean()), "MSE": float(np.mean(((f - x) * percent) ** 2))}
        said = {"QLIKE": score.levels[name], "MSE": mse[name]}
        if name in p_values:
            # Against the best one exactly, by the forecasts that are stored.
            rival = np.log(best) + x / best if name == lowest else loss
            due["p"], said["p"] = _p_value(ours - rival), p_values[name]
        room = {"QLIKE": slack, "MSE": 2 * slack * due["MSE"], "p": EXACT if name == lowest else 5 * slack}
        for figure, value in due.items():
            tally.checked += 1
            require(
                abs(said[figure] - value) <= room[figure] + 1e-9 * abs(value),
                f"{where}: {figure} of {name} is {said[figure]} as reported, {value} recomputed",
            )
    shown = {
        "calibration": (calibration.get("model"), float(np.mean(x / model))),
        "p": (score.p_value, p_values[lowest]),
        "gain": (score.gain, score.levels[lowest] - score.level),
    }
    for figure, (told, value) in shown.items():
        require(
            told is not None and abs(told - value) <= 1e-9 * max(1.0, abs(value)),
            f"{where}: {figure} {told}, not {value}",
        )
    tally.figures[f"qlike_{score.horizon}"] = score.level


def _p_value(difference: Floats) -> float:
    """The lowest frequencies by projection on sines and cosines; the product uses the fast transform."""
    n = difference.size
    if n < 30 or float(np.ptp(difference)) < 1e-15:
        return 1.0
    m = next(k for k in range(1, n + 1) if (k + 1) ** 3 > n)
    angle = 2 * np.pi * np.outer(np.arange(1, m + 1), np.arange(n)) / n
    power = ((np.cos(angle) @ difference) ** 2 + (np.sin(angle) @ difference) ** 2) / n
    return float(stdtr(2 * m, difference.sum() / np.sqrt(n * power.mean())))


def _same(where: str, score: Score, what: str, found: Floats, due: Floats) -> None:
    require(found.shape == due.shape, f"{where}: {found.size} of {what}, {due.size} days")
    wrong = np.flatnonzero(~np.isclose(found, due, rtol=1e-9, atol=1e-15))
    if wrong.size:
        i = int(wrong[0])
        raise Violation(
            f"{where}, {score.dates[i]}: reported {what} {found[i]!r}, prices say {float(due[i])!r}"
        )
