"""The gate on the drift of features: their distances and the p-value by sorting and searching."""

from __future__ import annotations

import numpy as np

from ml_assets.forecasts.feature_drift import FeatureDrift
from ml_assets.gates._verdict import Tally, require, verdict
from ml_assets.gates.core import GateResult
from ml_assets.windows.rolling import Floats

__all__ = ["features_recomputed"]

_QUANTILES, _STRETCHES = 64, 400  # as the test of the features is defined


def features_recomputed(
    symbol: str,
    found: FeatureDrift | None,
    features: tuple[Floats, Floats, tuple[str, ...]],
    *,
    block: int,
    limit: float,
) -> GateResult:
    """Compare the last block's features with the days before once more, by sorting and searching.

    Parameters
    ----------
    symbol : str
    found : FeatureDrift or None
        What the report says; None only where the days before hold too few separate blocks.
    features
        Of the days up to the last judged one, (m, F); of the new days, (n, F); names.
    block, limit
        As the report was made with.
    """

    def inspect(tally: Tally) -> str:
        before, since, names = features
        recent = since[-block:]
        m, n = len(before), len(recent)
        least = 1.0 / (1 + m // max(n, 1))
        tally.checked = 1
        if n < 2 or least > limit:
            require(found is None, f"{symbol}: {m} days before and {n} since are too few to compare")
            return f"{m} days before are too few to compare {n} with, and none were"
        require(found is not None, f"{symbol}: features can be compared, and were not")
        assert found is not None
        starts = sorted({int(i) for i in np.linspace(0, m - n, min(_STRETCHES, m - n + 1))})
        ratios, then = [], []
        for column, now in zip(before.T, recent.T, strict=True):
            grid = np.quantile(column, np.linspace(0, 1, _QUANTILES))
            of_stretches = [
                _distance(column[i : i + n], np.delete(column, np.s_[i : i + n]), grid) for i in starts
            ]
            typical = max(sum(of_stretches) / len(starts), 1.0 / n)
            ratios.append(_distance(now, column, grid) / typical)
            then.append(np.array(of_stretches) / typical)
        worst = int(np.argmax(ratios))
        beyond = sum(np.max(then, axis=0) >= ratios[worst])
        p = max((1 + int(beyond)) / (1 + len(starts)), least)
        tally.checked = len(starts) * len(names)
        said, due = (found.days, found.reference_days, found.limit), (n, m, limit)
        require(said == due, f"{symbol}: days, days before and limit {said} reported, {due} are there")
        furthest = found.feature in names and ratios[names.index(found.feature)] >= (1 - 1e-9) * ratios[worst]
        require(
            furthest and abs(found.p_value - p) <= 1.5 / len(starts),
            f"{symbol}: {found.feature} with p {found.p_value} reported, {names[worst]} with p {p} found",
        )
        tally.figures = {"p_features": p}
        return f"{names[worst]} is the feature furthest off, p {p:.3g}"

    return verdict("features_recomputed", inspect)


def _distance(some: Floats, others: Floats, grid: Floats) -> float:
    """Largest difference of two distribution functions at the points of a grid."""
    a, b = (np.searchsorted(np.sort(x), grid, side="right") / len(x) for x in (some, others))
    return float(np.abs(a - b).max())
