"""What a forecast must beat: rules without a model, and two models that remember nothing."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = [
    "ar1_forecast",
    "boosting_forecast",
    "logistic_forecast",
    "majority_forecast",
    "persistence_forecast",
]

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Matrix = npt.NDArray[np.floating]


def majority_forecast(train_returns: Floats, n: int) -> Bools:
    """Forecast for all ``n`` days the direction that was more frequent in training; a tie is up."""
    return np.full(n, np.mean(train_returns > 0) >= 0.5)


def persistence_forecast(last_returns: Floats) -> Bools:
    """Forecast the direction of the last known return, shape (n,)."""
    return last_returns > 0


def ar1_forecast(train_last: Floats, train_next: Floats, last_returns: Floats) -> Bools:
    """Forecast by a straight line from the last return to the next, fitted on training days.

    Parameters
    ----------
    train_last, train_next : ndarray, shape (m,)
        Last known and following return of each training day.
    last_returns : ndarray, shape (n,)
        Last known return of the days to forecast.
    """
    centered = train_last - train_last.mean()
    spread = float(centered @ centered)
    slope = float(centered @ train_next) / spread if spread > 0 else 0.0
    return np.asarray(train_next.mean() + slope * (last_returns - train_last.mean()) > 0, dtype=bool)


def logistic_forecast(X_train: Matrix, up: Bools, X: Matrix, *, strength: float = 0.01) -> Bools:
    """Forecast by logistic regression on one day's features.

    Parameters
    ----------
    X_train : ndarray, shape (m, F)
        Standardized features of the training days.
    up : ndarray of bool, shape (m,)
        What followed them.
    X : ndarray, shape (n, F)
        Features of the days to forecast.
    strength : float
        Inverse of the L2 penalty: strong, since labels are mostly noise.
    """
    from sklearn.linear_model import LogisticRegression

    if up.all() or not up.any():
        return np.full(len(X), up.all())
    model = LogisticRegression(C=strength, max_iter=1000).fit(X_train, up)
    return np.asarray(model.decision_function(X) > 0, dtype=bool)


def boosting_forecast(X_train: Matrix, up: Bools, X: Matrix, *, seed: int = 0) -> Bools:
    """Forecast by gradient-boosted trees on one day's features; parameters as in `logistic_forecast`."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits

    if up.all() or not up.any():
        return np.full(len(X), up.all())
    model = HistGradientBoostingClassifier(
        max_iter=100, learning_rate=0.05, max_leaf_nodes=7, early_stopping=False, random_state=seed
    )
    with threadpool_limits(1):  # many short steps: threads would mostly wait for one another
        model.fit(X_train, up)
        return np.asarray(model.predict_proba(X)[:, 1] > 0.5, dtype=bool)
