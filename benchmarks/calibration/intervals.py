"""Figures with their intervals, as the page prints them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import binomtest

__all__ = ["clopper_pearson", "mean_interval", "shown_mean", "shown_share"]


def clopper_pearson(successes: int, trials: int, level: float = 0.95) -> tuple[float, float]:
    """Exact interval of a probability (Clopper and Pearson 1934, Biometrika 26)."""
    interval = binomtest(successes, trials).proportion_ci(level, method="exact")
    return float(interval.low), float(interval.high)


def mean_interval(values: Sequence[float], draws: int = 2000, seed: int = 0) -> tuple[float, float]:
    """Bootstrap interval (95 %) of a mean over fleets, the independent unit."""
    array = np.asarray(values, dtype=float)
    rng = np.random.default_rng(seed)
    means = [array[rng.integers(0, array.size, array.size)].mean() for _ in range(draws)]
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def shown_share(successes: int, trials: int) -> str:
    """For instance ``80.1 % (79.3 - 80.9)``."""
    if not trials:
        return "-"
    low, high = clopper_pearson(successes, trials)
    return f"{100 * successes / trials:.1f} % ({100 * low:.1f} - {100 * high:.1f})"


def shown_mean(values: Sequence[float]) -> str:
    """The same for a mean of shares over fleets."""
    if not values:
        return "-"
    low, high = mean_interval(values)
    return f"{100 * float(np.mean(values)):.1f} % ({100 * low:.1f} - {100 * high:.1f})"
