"""Losses of variance forecasts, and the test that tells a better forecast from a luckier one."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.stats import t as student

__all__ = ["LEAST_DAYS", "diebold_mariano", "lowest_frequencies", "qlike", "squared_error"]

Floats = npt.NDArray[np.float64]

LEAST_DAYS = 30
"""Days below which no difference between losses is tested."""


def qlike(forecast: Floats, realized: Floats) -> Floats:
    """``log f + x / f`` of each day, in nats, for a forecast variance f and a realized one x.

    Least in expectation where f is the mean of x, whatever the noise of x is: so a noisy outcome ranks
    forecasts as the unknown variance would. The form that is zero at f = x differs by a term without f, and
    does not exist on a day without a move.

    References
    ----------
    Patton (2011), Journal of Econometrics 160(1), eq. 5 and proposition 1.
    """
    return np.asarray(np.log(forecast) + realized / forecast)


def squared_error(forecast: Floats, realized: Floats) -> Floats:
    """``(f - x)^2`` of each day: robust to noise as well, but a few days of a crisis decide it."""
    return np.asarray((forecast - realized) ** 2)


def diebold_mariano(loss: npt.ArrayLike, rival: npt.ArrayLike) -> float:
    """One-sided p-value of the hypothesis that a forecast is no better than its rival.

    The variance of the mean difference is estimated from its ``m = n^(1/3)`` lowest frequencies, and the
    statistic compared with Student's t of 2 m degrees: the spread of so few ordinates is part of the test.
    Overlapping outcomes need no lag to be chosen: they are dependence like any other. On simulated markets
    its size is nearer to what it claims than that of Newey-West with the correction of Harvey, Leybourne
    and Newbold (docs/VOLATILITY.md has the table).

    Parameters
    ----------
    loss, rival : array_like, shape (n,)
        Losses of both on the same days, in order.

    Returns
    -------
    float
        In [0, 1]; 1.0 if the losses do not differ at all, or with fewer than 30 days.

    Raises
    ------
    ValueError
        If the shapes differ or a loss is not finite.

    References
    ----------
    Diebold and Mariano (1995), Journal of Business & Economic Statistics 13(3). Coroneo and Iacone (2020),
    Journal of Applied Econometrics 35(4), eq. 7: the weighted periodogram with fixed smoothing.
    """
    ours, theirs = np.asarray(loss, dtype=float), np.asarray(rival, dtype=float)
    if ours.shape != theirs.shape or ours.ndim != 1:
        raise ValueError(f"both must be scored on the same days, got losses of {ours.shape}, {theirs.shape}")
    difference = ours - theirs
    if not np.isfinite(difference).all():
        raise ValueError(f"loss {int(np.argmin(np.isfinite(difference)))} is not finite")
    n = difference.size
    if n < LEAST_DAYS or np.ptp(difference) <= 1e-12 * np.abs(ours).max():
        return 1.0
    power, m = lowest_frequencies(difference)
    return float(student.cdf(difference.mean() / np.sqrt(power / n), 2 * m))


def lowest_frequencies(values: Floats, least_period: int = 1) -> tuple[float, int]:
    """Mean power at the ``m = n^(1/3)`` lowest frequencies: n times the variance of the mean; and m.

    Parameters
    ----------
    values : ndarray, shape (n,)
    least_period : int
        Shorter periods [days] are left out: within a few horizons overlapping outcomes have hardly any power,
        which would be taken for precision. Then m may be 0, and the power is NaN.
    """
    n = values.size
    m = min(int(np.floor(n ** (1 / 3) + 1e-9)), n // least_period)
    if m < 1:
        return float("nan"), 0
    ordinates = np.abs(np.fft.rfft(values)[1 : m + 1]) ** 2 / n
    return float(ordinates.mean()), m
