"""Gate on the figures of a direction report: each is derived again from the raw closes, by other code."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.stats import norm

from ml_assets.forecasts.direction import PROMOTION_BASELINES, WalkForwardReport
from ml_assets.forecasts.report import Score
from ml_assets.forecasts.statistics import block_interval
from ml_assets.gates._verdict import Tally, require, verdict
from ml_assets.gates.core import GateResult
from ml_assets.gates.forecasts._direction_baselines import recomputed_baselines
from ml_assets.prices import PriceHistory
from ml_assets.windows.sequences import SequenceSet

__all__ = ["direction_figures"]

Floats = npt.NDArray[np.float64]


def direction_figures(
    prices: PriceHistory, folds: Sequence[SequenceSet], report: WalkForwardReport
) -> GateResult:
    """Recompute outcomes, accuracy, baselines and p-value.

    Of the sequences only the days of the training rows, which the baselines are fitted on, and the features
    are used.
    """
    symbol = report.symbol

    def inspect(tally: Tally) -> str:
        close = prices.frame["close"].to_numpy()
        place = {str(day.date()): i for i, day in enumerate(prices.frame.index)}
        for score in report.scores:
            h = score.horizon
            at = np.array([place.get(date, -1) for date in score.dates], dtype=int)
            unknown = np.flatnonzero((at < h) | (at + h >= len(close)))
            where = score.dates[unknown[0]] if unknown.size else "no day at all"
            require(
                bool(at.size) and not unknown.size, f"{symbol} {where}: no price {h} days before or after"
            )
            tally.checked += at.size
            _require_outcomes(symbol, score, close[at + h] / close[at] - 1)
            _require_figures(symbol, close, folds, score, at)
            tally.figures["accuracy"] = score.level
        return f"{symbol}: {tally.checked} outcomes and all figures equal those from the raw prices"

    return verdict("figures_recomputed", inspect)


def _require_outcomes(symbol: str, score: Score, realized: Floats) -> None:
    require(
        {len(score.realized), len(score.forecast), len(score.baseline_forecast)} == {realized.size},
        f"{symbol}: {realized.size} days, {len(score.realized)} outcomes, {len(score.forecast)} forecasts "
        f"and {len(score.baseline_forecast)} of the best baseline",
    )
    wrong = np.flatnonzero(~np.isclose(realized, score.realized, rtol=1e-9, atol=1e-12))
    if wrong.size:
        i = int(wrong[0])
        require(
            False,
            f"{symbol} {score.dates[i]}: reported return {score.realized[i]!r}, prices say "
            f"{float(realized[i])!r}",
        )


def _require_figures(
    symbol: str, close: Floats, folds: Sequence[SequenceSet], score: Score, at: npt.NDArray[np.intp]
) -> None:
    said, up = np.asarray(score.forecast), close[at + score.horizon] > close[at]
    forecast = said > 0.5
    baselines, undecided = recomputed_baselines(symbol, close, folds, at, score.horizon)
    levels = {name: float(np.mean((values > 0.5) == up)) for name, values in baselines.items()}
    best = max(PROMOTION_BASELINES, key=levels.__getitem__)
    rival = score.best_baseline
    require(rival in PROMOTION_BASELINES, f"{symbol}: {rival} is no bar for a promotion")
    apart = float(np.max(np.abs(baselines[rival] - score.baseline_forecast)))
    require(apart <= 1e-9, f"{symbol}: forecasts of {rival} are {apart} from the recomputed ones")
    low, high = block_interval(forecast == up)
    expected = {
        "accuracy": float(np.mean(forecast == up)),
        "p_value": _correlation_p(forecast, up),
        "log_loss": _log_loss(said, up),
        "low": low,
        "high": high,
        "best": levels[best],
        "gain": float(np.mean(forecast == up)) - levels[best],
        **levels,
    }
    figures = {name: values.get("model") for name, values in score.figures.items()}
    reported = {
        "accuracy": score.level, "p_value": score.p_value, "log_loss": figures.get("log_loss"),
        "low": figures.get("interval_low"), "high": figures.get("interval_high"), "gain": score.gain,
        "best": score.levels.get(rival), **score.baselines,
    }  # fmt: skip
    room = dict.fromkeys(("logistic", "best", "gain"), undecided / at.size)
    differing = [
        f"{figure} {reported.get(figure)} reported, {expected.get(figure)} recomputed"
        for figure in sorted(expected.keys() | reported.keys())
        if not _near(expected.get(figure), reported.get(figure), room.get(figure, 0.0))
    ]
    require(not differing, f"{symbol}: {'; '.join(differing)}")


def _near(due: float | None, said: float | None, room: float) -> bool:
    return due is not None and said is not None and abs(due - said) <= room + 1e-9 + 1e-6 * abs(due)


def _correlation_p(forecast: npt.NDArray[np.bool_], up: npt.NDArray[np.bool_]) -> float:
    """Pesaran-Timmermann through an identity: its statistic is the correlation times n / sqrt(n - 1)."""
    if forecast.all() or up.all() or not (forecast.any() and up.any()):
        return 1.0
    n = forecast.size
    return float(norm.sf(np.corrcoef(forecast, up)[0, 1] * n / np.sqrt(n - 1)))


def _log_loss(probability: Floats, up: npt.NDArray[np.bool_]) -> float:
    clipped = np.clip(probability, 1e-12, 1 - 1e-12)
    return float(-np.mean(np.log(clipped[up]).sum() + np.log1p(-clipped[~up]).sum()) / up.size)
