"""The baselines of direction once more, straight from closes.

The rules are computed by other algorithms. What is fitted by a search, the product proposes and the gate
judges (see `_fit`): two searches end a hair apart, and a day on the fence is then called differently, though
both are right. The figures must be those of the very fit that was judged.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from ml_assets.forecasts.direction.forecasters import Trees, fit_logistic
from ml_assets.gates._verdict import require
from ml_assets.gates.forecasts._fit import require_least
from ml_assets.windows.sequences import SequenceSet

__all__ = ["recomputed_baselines", "require_logistic"]

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Places = npt.NDArray[np.intp]

_STRENGTH = 0.01  # inverse of the L2 penalty, as the baseline is defined
_CONVEX = 1e-5  # nats a day; the loss has one minimum, and the product's search in single precision ends near
_FENCE = 1e-12  # log odds below which the order of a sum decides


def recomputed_baselines(
    symbol: str, close: Floats, folds: Sequence[SequenceSet], at: Places, h: int
) -> tuple[dict[str, Floats], int]:
    """Forecasts of the baselines for the scored days, and how many of the logistic ones rounding decides.

    Parameters
    ----------
    symbol : str
    close : ndarray, shape (n_days,)
        All closes of the symbol.
    folds : sequence of SequenceSet
        Give the days of each fold's training rows, and the features.
    at : ndarray of int, shape (n,)
        Position of each scored day.
    h : int
        Horizon.

    Raises
    ------
    Violation
        If the product's fit of the logistic regression is not the best on the training days.
    """
    parts: dict[str, list[Floats]] = {}
    undecided = 0
    for number, fold in enumerate(folds, 1):
        train, test = fold.positions("train"), at[np.isin(at, fold.positions("test"))]
        slope, level = np.polyfit(close[train] / close[train - h] - 1, close[train + h] / close[train] - 1, 1)
        rose = close[train + h] > close[train]
        days = fold.normalize(fold.features)
        proposed = fit_logistic(days[train], rose)
        weights = np.array([proposed.intercept, *proposed.weights])
        require_logistic(f"{symbol} fold {number}", days[train], rose, weights)
        logit = _design(days[test]) @ weights
        undecided += int(np.sum(np.abs(logit) < _FENCE))
        forecasts = {
            "majority": np.full(test.size, 2 * np.count_nonzero(rose) >= train.size),
            "persistence": close[test] > close[test - h],
            "ar1": level + slope * (close[test] / close[test - h] - 1) > 0,
            "always_up": np.ones(test.size),
            "logistic": 1 / (1 + np.exp(-logit)),
            # No bar for a promotion, so the same library serves again.
            "boosting": Trees(days[train], rose).probability(days[test]),
        }
        for name, forecast in forecasts.items():
            parts.setdefault(name, []).append(np.asarray(forecast, dtype=np.float64))
    return {name: np.concatenate(values) for name, values in parts.items()}, undecided


def require_logistic(where: str, X: npt.NDArray[np.floating], up: Bools, weights: Floats) -> None:
    """Intercept and weights have a penalized likelihood as high as the best found here.

    Parameters
    ----------
    where : str
        Begins a finding.
    X : ndarray, shape (m, F)
        Standardized features of the training days.
    up : ndarray of bool, shape (m,)
    weights : ndarray, shape (1 + F,)
        The intercept first.
    """
    if up.all() or not up.any():  # one class alone: the likelihood has no maximum
        due = np.zeros(weights.size)
        due[0] = 1.0 if up.all() else -1.0
        require(
            bool((weights == due).all()), f"{where}: all days are alike, but {weights.tolist()} was fitted"
        )
        return
    design = _design(X)
    reached, best = (_loss(design, up, w) for w in (weights, _newton(design, up)))
    require_least(f"{where}: logistic regression", reached, best, _CONVEX)


def _design(X: npt.NDArray[np.floating]) -> Floats:
    return np.column_stack([np.ones(len(X)), X.astype(np.float64)])


def _loss(design: Floats, up: Bools, weights: Floats) -> float:
    """Negative log likelihood plus the penalty, which leaves the intercept free, a day."""
    logit = design @ weights
    fit = float(np.sum(np.logaddexp(0.0, np.where(up, -logit, logit))))
    return (fit + float(weights[1:] @ weights[1:]) / (2 * _STRENGTH)) / up.size


def _newton(design: Floats, up: Bools) -> Floats:
    penalty = np.concatenate([[0.0], np.full(design.shape[1] - 1, 1.0 / _STRENGTH)])
    weights = np.zeros(design.shape[1])
    for _ in range(50):
        chance = expit(design @ weights)
        gradient = design.T @ (chance - up) + penalty * weights
        hessian = (design * (chance * (1 - chance))[:, None]).T @ design + np.diag(penalty)
        step = np.linalg.solve(hessian, gradient)
        weights -= step
        if np.abs(step).max() < 1e-10:
            break
    return weights
