"""The baselines of a report once more, straight from closes and by other algorithms."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from ml_assets.forecasts.direction.baselines import boosting_forecast
from ml_assets.windows.sequences import SequenceSet

__all__ = ["recomputed_baselines"]

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.intp]


def recomputed_baselines(close: Floats, folds: Sequence[SequenceSet], at: Places, h: int) -> dict[str, float]:
    """Accuracies of the baselines on the scored days.

    Parameters
    ----------
    close : ndarray, shape (n_days,)
        All closes of the symbol.
    folds : sequence of SequenceSet
        Give the days of each fold's training rows, and the features.
    at : ndarray of int, shape (n,)
        Position of each scored day.
    h : int
        Horizon.
    """
    up = close[at + h] > close[at]
    right: dict[str, list[npt.NDArray[np.bool_]]] = {}
    for fold in folds:
        mine = np.isin(at, fold.positions("test"))
        train, test = fold.positions("train"), at[mine]
        slope, level = np.polyfit(close[train] / close[train - h] - 1, close[train + h] / close[train] - 1, 1)
        rose = close[train + h] > close[train]
        days = fold.normalize(fold.features)
        forecasts = {
            "majority": np.full(test.size, 2 * np.count_nonzero(rose) >= train.size),
            "persistence": close[test] > close[test - h],
            "ar1": level + slope * (close[test] / close[test - h] - 1) > 0,
            "always_up": np.ones(test.size, dtype=bool),
            "logistic": _newton(days[train], rose, days[test]) > 0,
            # No bar for a promotion, so the same library serves again.
            "boosting": boosting_forecast(days[train], rose, days[test]),
        }
        for name, forecast in forecasts.items():
            right.setdefault(name, []).append(forecast == up[mine])
    return {name: float(np.mean(np.concatenate(parts))) for name, parts in right.items()}


def _newton(
    X_train: npt.NDArray[np.floating],
    up: npt.NDArray[np.bool_],
    X: npt.NDArray[np.floating],
    strength: float = 0.01,
) -> Floats:
    """Logit of the penalized logistic regression, by Newton's method; the intercept is not penalized."""
    if up.all() or not up.any():
        return np.full(len(X), 1.0 if up.all() else -1.0)
    design = np.column_stack([np.ones(len(X_train)), X_train.astype(np.float64)])
    penalty = np.concatenate([[0.0], np.full(X_train.shape[1], 1.0 / strength)])
    weights = np.zeros(design.shape[1])
    for _ in range(50):
        chance = expit(design @ weights)
        gradient = design.T @ (chance - up) + penalty * weights
        hessian = (design * (chance * (1 - chance))[:, None]).T @ design + np.diag(penalty)
        step = np.linalg.solve(hessian, gradient)
        weights -= step
        if np.abs(step).max() < 1e-10:
            break
    return np.asarray(weights[0] + X.astype(np.float64) @ weights[1:], dtype=np.float64)
