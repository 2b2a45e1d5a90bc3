"""The drift of a variance model derived again, from raw prices and by other algorithms."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.special import stdtr

from ml_assets.forecasts.drift import Look
from ml_assets.forecasts.report import Score
from ml_assets.forecasts.variance.live import LiveVariance
from ml_assets.forecasts.variance.report import VolatilityReport
from ml_assets.gates._verdict import require
from ml_assets.gates.forecasts._variance_baselines import EXACT, NEAR, recomputed_rivals
from ml_assets.prices import PriceHistory
from ml_assets.windows.sequence_set import SequenceSet

__all__ = ["quoted_variance", "recompute_variance"]

Floats = npt.NDArray[np.float64]


def quoted_variance(report: VolatilityReport, horizon: int) -> tuple[str, int, float]:
    """Baseline, days, and mean loss of the model minus that of the baseline, as the report has them."""
    score = _score(report, horizon)
    then = _excess(score.forecast, score.baseline_forecast, score.realized)
    return score.best_baseline, then.size, float(then.mean())


def recompute_variance(
    where: str, look: Look, live: LiveVariance, report: VolatilityReport, block: int, false_alarms: float
) -> float:
    """Outcomes and baseline from the raw prices, the losses and the test by other algorithms; the p-value.

    Of the live model only positions are used: what the baseline was fitted on before each stretch. Stretches
    must be as long as in the report, and what was known must end right before their windows: a baseline that
    knows less is weaker, and hides that the model has lost.

    Raises
    ------
    Violation
        If a figure differs.
    """
    score = _score(report, look.horizon)
    stretch = len([day for day in score.dates if day <= report.folds[0].last_day])
    _outcomes(where, look, live.prices)
    _baseline(where, look, live.prices, live.parts, stretch)
    return _test(where, look, score, block, false_alarms)


def _score(report: VolatilityReport, horizon: int) -> Score:
    return next(s for s in report.scores if s.horizon == horizon)


def _excess(forecast: Sequence[float], baseline: Sequence[float], outcome: Sequence[float]) -> Floats:
    f, b, x = np.array(forecast), np.array(baseline), np.array(outcome)
    return np.asarray(np.log(f / b) + x * (1 / f - 1 / b))


def _outcomes(where: str, look: Look, prices: PriceHistory) -> None:
    lengths = {len(look.dates), len(look.forecast), len(look.realized), len(look.baseline_forecast)}
    require(len(lengths) == 1, f"{where}: lengths {sorted(lengths)} differ")
    place = {str(day.date()): i for i, day in enumerate(prices.dates)}
    logs = np.log(prices.frame["close"].to_numpy())
    for day, said in zip(look.dates, look.realized, strict=True):
        steps = np.diff(logs[place[day] : place[day] + look.horizon + 1])
        due = float(steps @ steps)
        require(
            steps.size == look.horizon and abs(said - due) <= 1e-9 * due + 1e-15,
            f"{where}, {day}: outcome {said!r} reported, prices say {due!r}",
        )


def _baseline(
    where: str, look: Look, prices: PriceHistory, parts: Sequence[SequenceSet], stretch: int
) -> None:
    at = [part.positions("test") for part in parts]
    lengths = [len(test) for test in at]
    require(
        set(lengths[:-1]) <= {stretch} and lengths[-1] <= stretch,
        f"{where}: the baseline was fitted for {lengths} days, in the report for {stretch} each",
    )
    for part, test in zip(parts, at, strict=True):
        known = int(part.positions("validation")[-1]) + part.horizon
        require(
            known < test[0] - part.window + 1,
            f"{where}: the baseline knows {part.dates[known]}, which windows from "
            f"{part.as_of('test')[0]} on read",
        )
        require(
            known == test[0] - part.window,
            f"{where}: the baseline knows nothing after {part.dates[known]}, though windows from "
            f"{part.as_of('test')[0]} on begin {test[0] - part.window - known} days later",
        )
    # Positions are those of the prices: each part is a beginning of the same history.
    days = prices.dates.to_numpy()[np.concatenate(at)[: len(look.dates)]].astype("datetime64[D]")
    require([str(day) for day in days] == look.dates, f"{where}: the stretches are not the scored days")
    due = recomputed_rivals(where, prices.frame, parts, at, look.horizon)[look.baseline][: len(look.dates)]
    apart = float(np.mean(np.abs(np.log(np.array(look.baseline_forecast) / due))))
    require(
        apart <= NEAR.get(look.baseline, EXACT),
        f"{where}: forecasts of {look.baseline} are {apart:.4f} from the recomputed ones",
    )


def _test(where: str, look: Look, score: Score, block: int, false_alarms: float) -> float:
    now = _excess(look.forecast, look.baseline_forecast, look.realized)
    then = _excess(score.forecast, score.baseline_forecast, score.realized)
    actual, number = look.drift, now.size // block
    p = _p_value(now, then, look.horizon)
    # The limits of k looks add up to k / (k + 1) of what may be spent; this look's is what it adds.
    limit = false_alarms * (number / (number + 1) - (number - 1) / number)
    for name, reported, expected in (
        ("days", actual.days, now.size),
        ("look", actual.look * block, now.size),
        ("loss against the baseline", actual.level, float(now.mean())),
        ("p", actual.p_value, p),
        ("limit", actual.limit, limit),
    ):
        require(
            abs(reported - expected) <= 1e-9 + 1e-6 * abs(expected),
            f"{where}: {name} {reported} reported, {expected} recomputed",
        )
    return p


def _p_value(now: Floats, then: Floats, horizon: int) -> float:
    """Both spectra by projection on sines and cosines; the product uses the fast transform."""
    if min(now.size, then.size) < 30:
        return 1.0
    live, reported = _power(now, horizon), _power(then, horizon)
    if not (live.size and reported.size):
        return 1.0
    larger = max((reported, live), key=lambda power: float(power.mean()))
    parts = np.array([larger.mean() / now.size, reported.mean() / then.size])
    if parts[0] <= 0:
        return 1.0
    degrees = parts.sum() ** 2 / float(np.sum(parts**2 / (2 * np.array([larger.size, reported.size]))))
    return float(stdtr(degrees, (then.mean() - now.mean()) / np.sqrt(parts.sum())))


def _power(values: Floats, horizon: int) -> Floats:
    """Power at the frequencies k with k^3 at most n and a period of at least four horizons."""
    n = values.size
    chosen = [k for k in range(1, n // (4 * horizon) + 1) if k**3 <= n]
    angle = 2 * np.pi * np.outer(chosen, np.arange(n)) / n if chosen else np.empty((0, n))
    return np.asarray(((np.cos(angle) @ values) ** 2 + (np.sin(angle) @ values) ** 2) / n)
