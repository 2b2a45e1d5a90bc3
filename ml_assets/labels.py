"""Labels: the only module of the package that looks into the future, and so the only one that may."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ml_assets.rolling import Floats

__all__ = ["forward_returns"]


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
