"""Is a rule of variance fitted as well as it can be? The gates' own losses and searches, as `_fit` has it."""

from __future__ import annotations

from itertools import accumulate, product

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import minimize, nnls
from scipy.signal import lfilter
from scipy.special import expit

from ml_assets.gates._verdict import require
from ml_assets.gates.forecasts._fit import require_least

__all__ = [
    "garch_loss",
    "garch_path",
    "har_table",
    "loop",
    "require_decay",
    "require_garch",
    "require_har",
]

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.intp]

_START = 60
_LEAST = 1e-3  # of the mean outcome: the least that a linear rule by QLIKE may have as its constant
_NO_NEWS = 1e-8  # of the mean square: the least omega
_SHARES = (1e-3, 0.01, 0.15, 0.6, 0.97, 1.0)


def loop(energy: Floats, constant: float, alpha: float, beta: float) -> Floats:
    """Run ``v[t] = constant + alpha energy[t] + beta v[t - 1]`` from the mean of the first 60 days on."""
    out = np.full(len(energy), np.nan)
    driven = (constant + alpha * energy[_START + 1 :]).tolist()
    first = float(np.mean(energy[1 : _START + 1]))
    out[_START:] = list(accumulate(driven, lambda v, news: news + beta * v, initial=first))
    return out


def garch_path(energy: Floats, omega: float, alpha: float, beta: float, h: int) -> Floats:
    """Variance over the next `h` days, by the closed form of the expected variance k days ahead."""
    v, p = loop(energy, omega, alpha, beta), alpha + beta
    return np.asarray(sum(omega * sum(p**j for j in range(k)) + p**k * v for k in range(h)))


def har_table(days: Floats) -> Floats:
    """One, and the mean of the daily variances over a day, a week and a month, (n, 4)."""
    series = pd.Series(days)
    return np.column_stack([np.ones(len(days)), days, series.rolling(5).mean(), series.rolling(22).mean()])


def require_garch(where: str, energy: Floats, omega: float, alpha: float, beta: float) -> None:
    """GARCH(1,1) of these parameters is allowed, and as likely as the best found here, but for `FLAT`."""
    require(
        min(alpha, beta) >= 0 and alpha + beta <= 1 + 1e-9 and omega >= (1 - 1e-9) * _NO_NEWS * energy.mean(),
        f"{where}: GARCH({omega}, {alpha}, {beta}) is not allowed: a negative share, a sum above one, or "
        f"omega below {_NO_NEWS} of the mean square",
    )
    reached = garch_loss(energy, omega, alpha, beta)
    require_least(f"{where}: GARCH", reached, garch_loss(energy, *_garch(energy)))


def require_decay(where: str, energy: Floats, outcome: Floats, known: Places, h: int, decay: float) -> None:
    """No decay of a grid, even in the memory's logarithm and refined twice, has a QLIKE below this one's."""
    require(0.7 <= decay <= 0.999, f"{where}: a decay of {decay} was fitted, allowed are 0.7 to 0.999")

    def loss(tried: float) -> float:
        return _qlike(h * loop(energy, 0.0, 1 - tried, tried)[known], outcome)

    shortest, longest = np.log(0.3), np.log(0.001)
    low, high, best = longest, shortest, np.inf
    for points in (49, 13, 13):
        grid = np.linspace(low, high, points)
        losses = [loss(1 - float(np.exp(x))) for x in grid]
        best, at, width = min(best, *losses), float(grid[int(np.argmin(losses))]), (high - low) / (points - 1)
        low, high = max(longest, at - width), min(shortest, at + width)
    require_least(f"{where}: decay", loss(decay), best)


def require_har(where: str, table: Floats, outcome: Floats, weights: Floats) -> None:
    """No weights found here have a QLIKE below that of these, which are allowed.

    Allowed is none below zero, and no constant below a thousandth of the mean outcome.

    Parameters
    ----------
    where : str
    table : ndarray, shape (n, 4)
        Rows of `har_table` that the rule was fitted on.
    outcome : ndarray, shape (n,)
    weights : ndarray, shape (4,)
    """
    size = table.mean(axis=0)
    X, y = table / size, outcome / outcome.mean()
    mine = weights * size / outcome.mean()
    require(
        bool((mine >= 0).all()) and mine[0] >= _LEAST * (1 - 1e-9),
        f"{where}: HAR weights {weights.tolist()} are not allowed: one is negative, or the constant below "
        f"{_LEAST} of the mean outcome",
    )
    best = min(_qlike(X @ found, y) for found in (_reweighted(X, y, start) for start in _starts(X, y)))
    require_least(f"{where}: HAR", _qlike(X @ mine, y), best)


def garch_loss(energy: Floats, omega: float, alpha: float, beta: float) -> float:
    """Twice the negative normal log likelihood a day, less its constant."""
    weights = 0.94 ** np.arange(min(75, energy.size))
    first = float(weights @ energy[: weights.size] / weights.sum())  # the start that arch takes
    driven = np.concatenate([[omega + (alpha + beta) * first], omega + alpha * energy[:-1]])
    v = np.maximum(lfilter([1.0], [1.0, -beta], driven), 1e-300)
    return float(np.mean(np.log(v) + energy / v))


def _qlike(forecast: Floats, outcome: Floats) -> float:
    return float(np.mean(np.log(forecast) + outcome / forecast)) if np.all(forecast > 0) else np.inf


def _garch(energy: Floats) -> tuple[float, float, float]:
    """Maximum likelihood by simplex on unconditional variance, persistence and alpha's share of it."""
    mean = float(energy.mean())

    def parameters(x: Floats) -> tuple[float, float, float]:
        size, persistence, share = np.exp(x[0]), expit(x[1]), expit(x[2])
        return (
            max(size * mean * (1 - persistence), _NO_NEWS * mean),
            persistence * share,
            persistence * (1 - share),
        )

    def loss(x: Floats) -> float:
        return garch_loss(energy, *parameters(x))

    # Log of the level, logits of persistence and of alpha's share of it: fat tails make several optima.
    grid = product(
        (-6.0, -3.0, -1.0, 0.0, 1.0), (0.0, 2.0, 4.0, 6.0, 9.0), (-12.0, -6.0, -2.5, -1.0, 1.0, 6.0)
    )
    likely = sorted((np.array(x) for x in grid), key=loss)
    starts = {tuple(next(x for x in likely if x[i] == at)) for i in (1, 2) for at in {x[i] for x in likely}}
    best = min(
        (
            minimize(loss, s, method="Nelder-Mead", options={"maxiter": 400, "fatol": 1e-10, "xatol": 1e-6})
            for s in sorted(starts)
        ),
        key=lambda r: r.fun,
    )
    return parameters(best.x)


def _starts(X: Floats, y: Floats) -> list[Floats]:
    """Take the likeliest point for each share of the constant and each set of means that take part."""
    rest = [np.array(r) / 5 for r in product(range(6), repeat=3) if sum(r) == 5]
    points = np.array([[c, *((1 - c) * r)] for c in _SHARES for r in rest])
    points = np.maximum(points * np.mean(y[:, None] / (X @ points.T), axis=0)[:, None], [_LEAST, 0, 0, 0])
    forecast = X @ points.T
    loss = np.mean(np.log(forecast) + y[:, None] / forecast, axis=0)
    order = np.argsort(loss, kind="stable")
    group = 8 * (np.arange(len(points)) // len(rest)) + (points[:, 1:] > 0) @ [1, 2, 4]
    return list(points[order[np.unique(group[order], return_index=True)[1]]])


def _reweighted(X: Floats, y: Floats, weights: Floats) -> Floats:
    """Least squares, weighted anew by the inverse square of the forecast, halved until the QLIKE falls."""
    least = np.array([_LEAST, 0.0, 0.0, 0.0])
    reached = _qlike(X @ weights, y)
    for _ in range(100):
        forecast = (X @ weights)[:, None]
        scaled = np.column_stack([X, y - _LEAST * X[:, 0]]) / forecast
        triangle = np.asarray(np.linalg.qr(scaled, mode="r"))  # its least squares are those of all rows
        step = nnls(triangle[:, :4], triangle[:, 4])[0] + least - weights
        for share in 0.5 ** np.arange(20):
            now = _qlike(X @ (weights + share * step), y)
            if now < reached - 1e-10:
                break
        else:
            break
        weights, reached = weights + share * step, now
    return weights
