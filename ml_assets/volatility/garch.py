"""GARCH(1,1): fitted by `arch` on known days, then run through later days with its parameters fixed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ml_assets.rolling import Floats
from ml_assets.volatility.baselines import one_thread, recursion

__all__ = ["Garch", "fit_garch", "garch_forecast"]

_PERCENT = 100.0  # arch wants returns of order one


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
    """
    from arch import arch_model  # statsmodels behind it takes a second

    model = arch_model(_PERCENT * returns, mean="Zero", vol="GARCH", p=1, q=1, rescale=False)
    with one_thread():
        found = model.fit(disp="off", show_warning=False).params
    return Garch(float(found["omega"]) / _PERCENT**2, float(found["alpha[1]"]), float(found["beta[1]"]))


def garch_forecast(squares: Floats, model: Garch, horizon: int) -> Floats:
    """Variance over the next `horizon` days; each further one is ``omega + (alpha + beta) v``."""
    following = recursion(squares, model.omega, model.alpha, model.beta)
    total = np.zeros(len(squares))
    for _ in range(horizon):
        total = total + following
        following = model.omega + (model.alpha + model.beta) * following
    return total
