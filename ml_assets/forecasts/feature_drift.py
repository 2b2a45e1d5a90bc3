"""Whether the features of the newest days look like nothing that a model has seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ml_assets.prices import PriceHistory
from ml_assets.windows.rolling import Floats
from ml_assets.windows.steps import Steps

__all__ = ["FeatureDrift", "feature_drift", "features_since"]

_GRID = 64
"""Quantiles of the reference at which distributions are compared."""
_BLOCKS = 400


@dataclass(frozen=True)
class FeatureDrift:
    """The features of the last full block against all days up to the last one judged."""

    days: int
    reference_days: int
    feature: str
    distance: float
    typical: float
    p_value: float
    limit: float

    @property
    def found(self) -> bool:
        """Whether the block is unlike every stretch of its length in the reference."""
        return self.p_value <= self.limit

    @property
    def message(self) -> str:
        """What was found, in words."""
        return (
            f"{self.feature} of the last {self.days} days lies {self.distance:.2f} from its known "
            f"distribution, typical are {self.typical:.2f} "
            f"(p {self.p_value:.2g} <= {self.limit:.2g} over all features)"
        )


def features_since(
    prices: PriceHistory, steps: Steps, judged_until: str
) -> tuple[Floats, Floats, tuple[str, ...]]:
    """Features of the days up to the last judged one, (m, F), and since, (n, F), and their names.

    Days on which one is missing are left out.
    """
    features = np.asarray(steps.features(prices.frame.copy(deep=False)), dtype=np.float32)
    complete = np.isfinite(features).all(axis=1)
    is_new = prices.dates.to_numpy() > np.datetime64(judged_until)
    before, since = (features[complete & chosen].astype(np.float64) for chosen in (~is_new, is_new))
    return before, since, tuple(steps.names(prices.frame))


def feature_drift(
    reference: Floats, recent: Floats, names: tuple[str, ...], *, limit: float
) -> FeatureDrift | None:
    """Test whether a stretch of days is unlike every stretch of its length in the reference.

    The distance of a feature is Kolmogorov and Smirnov's. Its usual p-value is of no use here: features of
    neighboring days are nearly equal. So distances of stretches of the reference from the rest of it are
    the yardstick, and the largest distance over all features, each in units of its typical one, is compared
    with theirs: one test, whatever the number of features.

    Parameters
    ----------
    reference : ndarray, shape (m, F)
        Finite rows in the order of time.
    recent : ndarray, shape (n, F)
    names : tuple of str
    limit : float
        p-value at which drift is found.

    Returns
    -------
    FeatureDrift or None
        None if the reference holds too few separate stretches to reach ``limit``.

    Notes
    -----
    The p-value is at least 1 / (1 + m // n): overlapping stretches are not more evidence than separate ones.

    References
    ----------
    Westfall and Young (1993), Resampling-Based Multiple Testing, for the largest statistic as the yardstick.
    """
    m, n = len(reference), len(recent)
    floor = 1.0 / (1 + m // max(n, 1))
    if n < 2 or floor > limit:
        return None
    starts = np.unique(np.linspace(0, m - n, min(_BLOCKS, m - n + 1)).astype(int))
    distances = np.empty((len(starts), len(names)))
    observed = np.empty(len(names))
    for f in range(len(names)):
        distances[:, f], observed[f] = _distances(reference[:, f], recent[:, f], starts, n)
    typical = np.maximum(distances.mean(axis=0), 1.0 / n)
    worst = (distances / typical).max(axis=1)
    feature = int(np.argmax(observed / typical))
    p = (1.0 + np.count_nonzero(worst >= (observed / typical)[feature])) / (1.0 + len(starts))
    return FeatureDrift(
        days=n,
        reference_days=m,
        feature=names[feature],
        distance=float(observed[feature]),
        typical=float(typical[feature]),
        p_value=float(max(p, floor)),
        limit=limit,
    )


def _distances(
    reference: Floats, recent: Floats, starts: npt.NDArray[np.int64], n: int
) -> tuple[Floats, float]:
    """Distance of each stretch from the rest of the reference, and of the recent days from all of it."""
    grid = np.unique(np.quantile(reference, np.linspace(0, 1, _GRID)))
    below = reference[:, None] <= grid
    total = np.concatenate([np.zeros((1, grid.size)), np.cumsum(below, axis=0)])
    inside = total[starts + n] - total[starts]
    outside = (total[-1] - inside) / (len(reference) - n)
    stretches = np.abs(inside / n - outside).max(axis=1)
    return stretches, float(np.abs((recent[:, None] <= grid).mean(axis=0) - below.mean(axis=0)).max())
