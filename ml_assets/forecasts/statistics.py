"""Tests that tell skill from luck."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.stats import binom, binomtest, false_discovery_control, norm

__all__ = ["adjusted_p_values", "block_interval", "decline_p", "paired_p", "pesaran_timmermann"]


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


def block_interval(
    right: npt.ArrayLike, *, block: int = 20, level: float = 0.95, draws: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """Interval of an accuracy whose hits may depend on those of the days before.

    Circular block bootstrap: the days are drawn in blocks, so that what holds for a month stays together.

    Parameters
    ----------
    right : array_like of bool, shape (n,)
        Whether each day's forecast was right, in order.
    block : int
        Days per block.
    level : float
        Coverage.
    draws, seed : int
        Resamples, and how they are drawn: equal arguments give equal intervals.

    Returns
    -------
    low, high : float
        Percentiles of the resampled accuracies.

    References
    ----------
    Politis and Romano (1992), "A circular block-resampling procedure for stationary data".
    """
    hits = np.asarray(right, dtype=float)
    n = hits.size
    if n == 0:
        raise ValueError("no day was scored, so there is no accuracy to give an interval of")
    block = min(block, n)
    blocks = -(-n // block)
    sums = np.cumsum(np.concatenate([[0.0], hits, hits[:block]]))
    starts = np.random.default_rng(seed).integers(0, n, size=(draws, blocks))
    totals = sums[starts + block] - sums[starts]
    # The last block is cut, so that every resample has n days.
    last = starts[:, -1]
    totals[:, -1] = sums[last + n - block * (blocks - 1)] - sums[last]
    low, high = np.quantile(totals.sum(axis=1) / n, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def paired_p(challenger_right: npt.ArrayLike, champion_right: npt.ArrayLike) -> float:
    """One-sided p-value that the challenger is no better, on the same days; 1.0 if no day tells them apart.

    Only days count on which one was right and the other wrong.

    References
    ----------
    McNemar (1947), Psychometrika 12(2), in its exact binomial form.
    """
    new, old = np.asarray(challenger_right, dtype=bool), np.asarray(champion_right, dtype=bool)
    if new.shape != old.shape:
        raise ValueError(f"the two must be scored on the same days, got {new.shape} and {old.shape}")
    gained, lost = int(np.sum(new & ~old)), int(np.sum(~new & old))
    if gained + lost == 0:
        return 1.0
    return float(binomtest(gained, gained + lost, alternative="greater").pvalue)


def decline_p(right: npt.ArrayLike, promised: float) -> float:
    """One-sided p-value that the hit rate is still the promised one; 1.0 without days."""
    hits = np.asarray(right, dtype=bool)
    return float(binom.cdf(hits.sum(), hits.size, promised)) if hits.size else 1.0
