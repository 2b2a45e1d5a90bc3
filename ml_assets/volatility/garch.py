"""GARCH(1,1): fitted by `arch` on known days, then run through later days with its parameters fixed."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy.signal import lfilter

from ml_assets.rolling import Floats
from ml_assets.volatility.baselines import one_thread, recursion

__all__ = ["Garch", "fit_garch", "garch_forecast"]

_PERCENT = 100.0  # arch wants returns of order one
_PERSISTENCE, _SHARES, _LEVELS = (
    (0.3, 0.7, 0.9, 0.97, 0.99, 0.998),
    (1e-3, 0.03, 0.1, 0.4),
    (0.3, 0.6, 1.0, 2.0),
)
_SEARCHES = 5
_GAIN = 1e-3  # log likelihood by which another start must win, else the last bits would choose


@dataclass(frozen=True)
class Garch:
    """``v[t] = omega + alpha r[t]^2 + beta v[t - 1]``, the variance of day t + 1 (Bollerslev 1986, eq. 3)."""

    omega: float
    alpha: float
    beta: float


def fit_garch(returns: Floats) -> Garch:
    """Fit by maximum likelihood with normal innovations and mean zero, as the outcome is not demeaned either.

    Parameters
    ----------
    returns : ndarray, shape (n,)
        Daily log returns, known before anything is forecast.

    Notes
    -----
    The likelihood of returns with fat tails or one big day has several maxima. The search is made from the
    start that `arch` chooses and from the likeliest of a grid; the highest likelihood counts.
    """
    from arch import arch_model  # statsmodels behind it takes a second

    model = arch_model(_PERCENT * returns, mean="Zero", vol="GARCH", p=1, q=1, rescale=False)
    with one_thread():
        best = model.fit(disp="off", show_warning=False)
        for start in _starts(np.square(_PERCENT * returns)):
            other = model.fit(disp="off", show_warning=False, starting_values=start)
            if not best.loglikelihood + _GAIN >= other.loglikelihood:
                best = other
    found = best.params
    return Garch(float(found["omega"]) / _PERCENT**2, float(found["alpha[1]"]), float(found["beta[1]"]))


def _starts(squares: Floats) -> list[Floats]:
    """Take the likeliest few, and those of each persistence, of a grid with alpha's share and the level."""
    mean, weights = float(np.mean(squares)), 0.94 ** np.arange(min(75, len(squares)))
    first = float(np.sum(weights * squares[: len(weights)]) / np.sum(weights))  # as arch begins
    found = []
    for persistence, share, level in product(_PERSISTENCE, _SHARES, _LEVELS):
        omega, alpha = level * mean * (1 - persistence), persistence * share
        beta = persistence - alpha
        driven = omega + alpha * np.concatenate([[first], squares[:-1]])
        variance, _ = lfilter([1.0], [1.0, -beta], driven, zi=[beta * first])
        loss = float(np.mean(np.log(variance) + squares / variance)) if mean > 0 else 0.0
        found.append((loss, omega, alpha, beta))
    size = len(_SHARES) * len(_LEVELS)
    each = [min(found[i : i + size]) for i in range(0, len(found), size)]
    return [np.array(start[1:]) for start in sorted({*each, *sorted(found)[:_SEARCHES]})]


def garch_forecast(squares: Floats, model: Garch, horizon: int) -> Floats:
    """Variance over the next `horizon` days; each further one is ``omega + (alpha + beta) v``."""
    following = recursion(squares, model.omega, model.alpha, model.beta)
    total = np.zeros(len(squares))
    for _ in range(horizon):
        total = total + following
        following = model.omega + (model.alpha + model.beta) * following
    return total
