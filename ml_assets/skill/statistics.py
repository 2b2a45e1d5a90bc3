"""Tests that tell skill from luck."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.stats import false_discovery_control, norm

__all__ = ["adjusted_p_values", "pesaran_timmermann"]


def pesaran_timmermann(forecast_up: npt.ArrayLike, actual_up: npt.ArrayLike) -> float:
    """One-sided p-value of the hypothesis that forecast and outcome are independent.

    Unlike a binomial test against one half, it cannot be passed by always forecasting the more frequent
    direction.

    Parameters
    ----------
    forecast_up, actual_up : array_like of bool, shape (n,)
        Forecast and realized directions of the same days.

    Returns
    -------
    float
        In [0, 1]; 1.0 if either side is constant or ``n < 2``, since nothing can be shown then.

    Raises
    ------
    ValueError
        If the shapes differ.

    References
    ----------
    Pesaran and Timmermann (1992), "A simple nonparametric test of predictive performance",
    Journal of Business & Economic Statistics 10(4), eq. 6.
    """
    forecast = np.asarray(forecast_up, dtype=bool)
    actual = np.asarray(actual_up, dtype=bool)
    if forecast.shape != actual.shape or forecast.ndim != 1:
        raise ValueError(f"forecast {forecast.shape} and outcome {actual.shape} must be equal vectors")
    n = forecast.size
    if n < 2 or forecast.all() or not forecast.any() or actual.all() or not actual.any():
        return 1.0
    x, y, hit = forecast.mean(), actual.mean(), float(np.mean(forecast == actual))
    expected = y * x + (1 - y) * (1 - x)
    variance = expected * (1 - expected) / n
    variance_expected = (
        (2 * y - 1) ** 2 * x * (1 - x) / n
        + (2 * x - 1) ** 2 * y * (1 - y) / n
        + 4 * y * x * (1 - y) * (1 - x) / n**2
    )
    spread = variance - variance_expected
    if spread <= 0:
        return 1.0
    return float(norm.sf((hit - expected) / np.sqrt(spread)))


def adjusted_p_values(p_values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Benjamini-Hochberg adjusted p-values: reject where they are at most the wanted false discovery rate.

    References
    ----------
    Benjamini and Hochberg (1995), Journal of the Royal Statistical Society B 57(1).
    """
    p = np.asarray(p_values, dtype=float)
    return np.asarray(false_discovery_control(p), dtype=float) if p.size else p
