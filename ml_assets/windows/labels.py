"""Labels: the only module of the package that looks into the future, and so the only one that may."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ml_assets.windows.rolling import Floats

__all__ = ["forward_returns", "forward_variance"]


def forward_returns(closes: ArrayLike, horizon: int = 1) -> Floats:
    """Simple return from each day's close to the close `horizon` days later.

    Parameters
    ----------
    closes : array_like, shape (n,)
        The closes as they were traded; nothing filled.
    horizon : int
        Days ahead, at least 1.

    Returns
    -------
    ndarray, shape (n,)
        ``closes[t + horizon] / closes[t] - 1``; NaN on the last `horizon` days, whose future is unknown.

    Examples
    --------
    >>> forward_returns([100.0, 110.0, 99.0])
    array([ 0.1, -0.1,  nan])
    """
    if horizon < 1:
        raise ValueError(f"horizon must be at least 1 day, got {horizon}")
    values = np.asarray(closes, dtype=np.float64)
    out = np.full(len(values), np.nan)
    out[:-horizon] = values[horizon:] / values[:-horizon] - 1.0
    return out


def forward_variance(closes: ArrayLike, horizon: int = 1) -> Floats:
    """Realized variance after each day: the sum of the squared log returns of the next `horizon` days.

    Of closes alone, so that it is the same measure for every symbol, whatever other columns its source has.
    With zero mean it is unbiased for the variance of the return over the horizon, but noisy: for normal
    returns its deviation is ``sqrt(2 / horizon)`` times its mean.

    Parameters
    ----------
    closes : array_like, shape (n,)
        The closes as they were traded; nothing filled.
    horizon : int
        Days ahead, at least 1.

    Returns
    -------
    ndarray, shape (n,)
        In squared log returns over the horizon, not annualized; NaN on the last `horizon` days.

    References
    ----------
    Andersen and Bollerslev (1998), International Economic Review 39(4).

    Examples
    --------
    >>> import numpy as np
    >>> forward_variance(np.exp([0.0, 1.0, 3.0]), horizon=2).round(6)
    array([ 5., nan, nan])
    """
    if horizon < 1:
        raise ValueError(f"horizon must be at least 1 day, got {horizon}")
    steps = np.diff(np.log(np.asarray(closes, dtype=np.float64))) ** 2
    out = np.full(len(steps) + 1, np.nan)
    ahead = len(steps) + 1 - horizon
    if ahead > 0:
        out[:ahead] = sum(steps[k : k + ahead] for k in range(horizon))
    return out
