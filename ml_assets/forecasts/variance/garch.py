"""GARCH(1,1): fitted on known days, then run through later days with its parameters fixed."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy.signal import lfilter

from ml_assets.forecasts.variance.baselines import recursion, search
from ml_assets.windows.rolling import Floats

__all__ = ["Garch", "fit_garch", "garch_forecast"]

_PERSISTENCE = (0.3, 0.7, 0.9, 0.97, 0.99, 0.998, 1.0)
_SHARES = (0.0, 0.03, 0.1, 0.4, 0.7, 0.95)
_OMEGAS = (1e-5, 1e-4, 1e-3, 0.005, 0.02, 0.08, 0.3, 1.0)  # of the mean square
_LEAST = 1e-8  # of the mean square: what omega may be at least


@dataclass(frozen=True)
class Garch:
    """``v[t] = omega + alpha r[t]^2 + beta v[t - 1]``, the variance of day t + 1 (Bollerslev 1986, eq. 3)."""

    omega: float
    alpha: float
    beta: float


def fit_garch(returns: Floats) -> Garch:
    """Fit by maximum likelihood with normal innovations and mean zero, as the outcome is not demeaned either.

    The variance before the first day is the exponentially weighted mean of the first 75 squares, as in the
    package ``arch``. ``alpha`` and ``beta`` are not negative, their sum is not above one, and ``omega`` is at
    least 1e-8 of the mean square.

    Parameters
    ----------
    returns : ndarray, shape (n,)
        Daily log returns, known before anything is forecast.

    Notes
    -----
    The likelihood of returns with fat tails, of one big day or of days without a move has several maxima,
    some where the sum is one. So the search is bounded in that sum and alpha's share of it, has the exact
    gradient, and starts from the likeliest points of a grid: for each sum, with alpha and without, for each
    share and for each omega.
    """
    squares = np.square(returns)
    mean = float(np.mean(squares))
    scaled = squares / mean
    bounds = [(float(np.log(_LEAST)), float(np.log(10.0))), (0.0, 1.0), (0.0, 1.0)]
    best = search(lambda point: _loss(point, scaled), _starts(scaled), bounds)
    level, persistence, share = (float(value) for value in best)
    return Garch(float(np.exp(level)) * mean, persistence * share, persistence * (1.0 - share))


def _loss(point: Floats, squares: Floats) -> tuple[float, Floats]:
    """Mean of ``log v + r^2 / v`` and its slope in log omega, alpha + beta, and alpha's share of that."""
    omega, (persistence, share) = float(np.exp(point[0])), point[1:]
    alpha, beta = persistence * share, persistence * (1.0 - share)
    weights = 0.94 ** np.arange(min(75, len(squares)))
    first = float(np.sum(weights * squares[: len(weights)]) / np.sum(weights))
    before = np.concatenate([[first], squares[:-1]])
    variance, _ = lfilter([1.0], [1.0, -beta], omega + alpha * before, zi=[beta * first])
    driven = np.stack([np.ones(len(squares)), before, np.concatenate([[first], variance[:-1]])])
    by_omega, by_alpha, by_beta = (
        lfilter([1.0], [1.0, -beta], driven) @ ((1.0 - squares / variance) / variance) / len(squares)
    )
    slope = [
        omega * by_omega,
        share * by_alpha + (1.0 - share) * by_beta,
        persistence * (by_alpha - by_beta),
    ]
    return float(np.mean(np.log(variance) + squares / variance)), np.array(slope)


def _starts(squares: Floats) -> list[Floats]:
    """Take the likeliest of a grid for each sum, with alpha and without, each share and each omega."""
    least: dict[tuple[str | float, ...], tuple[float, Floats]] = {}
    for persistence, share, omega in product(_PERSISTENCE, _SHARES, _OMEGAS):
        point = np.array([np.log(omega), persistence, share])
        loss, _ = _loss(point, squares)
        for group in (("sum", persistence, share > 0.0), ("share", share), ("omega", omega)):
            if group not in least or loss < least[group][0]:
                least[group] = loss, point
    return list({point.tobytes(): point for _, point in least.values()}.values())


def garch_forecast(squares: Floats, model: Garch, horizon: int) -> Floats:
    """Variance over the next `horizon` days; each further one is ``omega + (alpha + beta) v``."""
    following = recursion(squares, model.omega, model.alpha, model.beta)
    total = np.zeros(len(squares))
    for _ in range(horizon):
        total = total + following
        following = model.omega + (model.alpha + model.beta) * following
    return total
