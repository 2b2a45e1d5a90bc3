"""What a forecast of variance must beat: rules with three parameters or fewer, all of them causal.

Each function takes the squared daily log returns of all days, `squares` (NaN on the first), and returns for
every day the variance expected over the next `horizon` days from what was known then.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize, minimize_scalar, nnls
from scipy.signal import lfilter
from threadpoolctl import threadpool_limits

from ml_assets.windows.rolling import Floats, window_mean

__all__ = [
    "START_DAYS",
    "ewma_forecast",
    "fit_decay",
    "fit_har",
    "fit_har_qlike",
    "har_forecast",
    "one_thread",
    "recursion",
    "search",
    "squared_returns",
]

Rows = NDArray[np.int64]

START_DAYS = 60
"""Squared returns whose mean starts a recursion. No row of a `SequenceSet` lies before them."""
_WEEK, _MONTH = 5, 22
_DECAYS = 1.0 - np.geomspace(0.3, 0.001, 40)  # about as many for each tenfold of the memory
_FLOOR = 1e-3  # of the mean variance: what a linear rule may say at least
_CONSTANTS = (_FLOOR, 0.03, 0.3, 0.9, 1.0)  # shares of the mean at which a search starts


def one_thread() -> AbstractContextManager[object]:
    """Keep BLAS to one thread: the order of its sums, and with it the last bits, would depend on the number.

    Models start from what is fitted here, so their bytes would differ from one process to the next.
    """
    limits: AbstractContextManager[object] = threadpool_limits(limits=1, user_api="blas")
    return limits


def search(
    loss: Callable[[Floats], tuple[float, Floats]],
    starts: Sequence[Floats],
    bounds: Sequence[tuple[float, float | None]],
) -> Floats:
    """Minimize a function that has several minima: from every start, and then further from the best end.

    Parameters
    ----------
    loss : callable
        ``point -> (value, gradient)``.
    starts : sequence of ndarray
    bounds : sequence of (float, float or None)
        Of each coordinate.
    """

    def descend(start: Floats, fall: float, slope: float) -> tuple[float, Floats]:
        options = {"ftol": fall, "gtol": slope}
        end = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options)  # type: ignore[call-overload]
        return float(end.fun), np.asarray(end.x)

    with one_thread():
        _, near = min((descend(start, 1e-7, 1e-5) for start in starts), key=lambda end: end[0])
        return descend(near, 1e-13, 1e-9)[1]


def squared_returns(closes: Floats) -> Floats:
    """Squared log return of each day, shape (n,); NaN on the first."""
    return np.concatenate([[np.nan], np.diff(np.log(closes)) ** 2])


def recursion(squares: Floats, constant: float, alpha: float, beta: float) -> Floats:
    """``v[t] = constant + alpha squares[t] + beta v[t - 1]``, shape (n,).

    It starts on day `START_DAYS` at the mean of the squares so far; NaN before.
    """
    out = np.full(len(squares), np.nan)
    if len(squares) <= START_DAYS:
        return out
    start = float(np.mean(squares[1 : START_DAYS + 1]))
    driven = constant + alpha * squares[START_DAYS + 1 :]
    rest, _ = lfilter([1.0], [1.0, -beta], driven, zi=[beta * start])
    out[START_DAYS:] = np.concatenate([[start], rest])
    return out


def ewma_forecast(squares: Floats, horizon: int, decay: float = 0.94) -> Floats:
    """Exponentially weighted mean of the squares, the same for each of the coming days.

    References
    ----------
    J.P. Morgan/Reuters (1996), RiskMetrics Technical Document, section 5.2: decay 0.94 for daily returns.
    """
    return horizon * recursion(squares, 0.0, 1.0 - decay, decay)


def fit_decay(squares: Floats, labels: Floats, rows: Rows, horizon: int) -> float:
    """Decay in [0.7, 0.999] with the least QLIKE on `rows`.

    One big day gives the loss several minima, so a grid comes first and Brent's method between the neighbours
    of its best value.
    """

    def loss(decay: float) -> float:
        forecast = ewma_forecast(squares, horizon, decay)[rows]
        return float(np.mean(np.log(forecast) + labels[rows] / forecast))

    with np.errstate(divide="ignore", invalid="ignore"):  # no move on any of the first days: no finite loss
        losses = np.array([loss(decay) for decay in _DECAYS])
        best = int(np.argmin(np.where(np.isfinite(losses), losses, np.inf)))
        bounds = (float(_DECAYS[max(best - 1, 0)]), float(_DECAYS[min(best + 1, len(_DECAYS) - 1)]))
        found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-5})
    return float(found.x if found.fun <= losses[best] else _DECAYS[best])


def har_design(days: Floats) -> Floats:
    """Constant, and the mean of the daily variances `days` over one day, a week and a month, (n, 4)."""
    return np.column_stack([np.ones(len(days)), days, window_mean(days, _WEEK), window_mean(days, _MONTH)])


def fit_har(days: Floats, labels: Floats, rows: Rows) -> Floats:
    """Least squares on `rows`, no coefficient below zero, so that no forecast is; shape (4,).

    In levels, since the logarithm of a squared return is useless: one day without a move is minus infinity.

    References
    ----------
    Corsi (2009), Journal of Financial Econometrics 7(2), eq. 8.
    """
    design = har_design(days)
    scale = np.abs(design[rows]).max(axis=0)
    level = float(np.mean(labels[rows]))
    with one_thread():
        weights, _ = nnls(design[rows] / scale, labels[rows] / level)
    return np.asarray(weights * level / scale)


def fit_har_qlike(days: Floats, labels: Floats, rows: Rows) -> Floats:
    """Coefficients of the same rule with the least QLIKE on `rows`; shape (4,).

    None is below zero, and the constant is at least a thousandth of the mean label: days without a move
    would draw it to zero. Least squares are ruled by the few days of a crisis; this loss weighs every day
    alike.

    Notes
    -----
    The loss is not convex: after one big day, or a stretch without a move, it has several minima, mostly
    with one or more coefficients at their bounds. So the search starts from the best point of a grid for
    each choice of means that take part, at several shares of the constant.
    """
    level = float(np.mean(labels[rows]))
    design, outcome = har_design(days), labels[rows] / level
    scale = design[rows].mean(axis=0)
    X = design[rows] / scale

    def loss(weights: Floats) -> tuple[float, Floats]:
        forecast = X @ weights
        slope = (1.0 - outcome / forecast) / forecast
        return float(np.mean(np.log(forecast) + outcome / forecast)), X.T @ slope / len(outcome)

    bounds = [(_FLOOR, None), (0.0, None), (0.0, None), (0.0, None)]
    with one_thread():
        return np.asarray(search(loss, _har_starts(X, outcome), bounds) * level / scale)


def _har_starts(X: Floats, outcome: Floats) -> list[Floats]:
    """Take the best of each group of a grid of shares, every point at the size that suits it best."""
    points = [
        (share, np.array([share, *((1.0 - share) * np.array(rest) / sum(rest))]))
        for share in _CONSTANTS
        for rest in product(range(5), repeat=3)
        if sum(rest) == 4
    ]
    least: dict[tuple[float, bytes], tuple[float, Floats]] = {}
    for share, shares in points:
        size = float(np.mean(outcome / (X @ shares)))
        start = np.maximum(size * shares, [_FLOOR, 0.0, 0.0, 0.0])
        forecast = X @ start
        loss = float(np.mean(np.log(forecast) + outcome / forecast))
        group = share, (shares > 0).tobytes()
        if group not in least or loss < least[group][0]:
            least[group] = loss, start
    return [start for _, start in least.values()]


def har_forecast(days: Floats, weights: Floats, level: float) -> Floats:
    """Forecast by fitted coefficients; at least a thousandth of `level`."""
    with one_thread():
        return np.maximum(har_design(days) @ weights, _FLOOR * level)
