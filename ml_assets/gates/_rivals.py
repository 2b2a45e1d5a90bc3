"""The baselines of variance once more, from closes and by other algorithms."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import lsq_linear, minimize
from scipy.signal import lfilter
from scipy.special import expit

from ml_assets.gates._verdict import require
from ml_assets.sequence_set import SequenceSet
from ml_assets.volatility.garch import fit_garch

__all__ = ["garch_loss", "recomputed_rivals"]

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.intp]
_START = 60
_FLAT = 1e-4  # nats a day that a proposed fit may lose to the gate's own best


def recomputed_rivals(
    frame: pd.DataFrame, folds: Sequence[SequenceSet], at: Sequence[Places], h: int
) -> dict[str, Floats]:
    """Forecasts of the baselines for the scored days.

    Parameters
    ----------
    frame : DataFrame
        The raw prices.
    folds : sequence of SequenceSet
        Give the days that were known before each fold's test days.
    at : sequence of ndarray of int
        Positions of the scored days of each fold.
    h : int
        Horizon.
    """
    close = frame["close"].to_numpy()
    energy = pd.Series(close).apply(np.log).diff().pow(2)
    ahead = np.convolve(energy.to_numpy()[1:], np.ones(h), mode="valid")
    found: dict[str, list[Floats]] = {}
    for fold, places in zip(folds, at, strict=True):
        first, end = fold.positions("train")[0], fold.positions("validation")[-1] + fold.horizon
        known = np.arange(first, end - h + 1)
        level, outcome = float(ahead[known].mean()), ahead[known]
        omega, alpha, beta = _judged_garch(close[: end + 1])
        v, p = _loop(energy.to_numpy(), omega, alpha, beta), alpha + beta
        forecasts = {
            "mean": np.full(len(close), level),
            "ewma": h * _loop(energy.to_numpy(), 0.0, 0.06, 0.94),
            "ewma_fitted": _best_decay(energy.to_numpy(), outcome, known, h),
            "garch": sum(omega * sum(p**j for j in range(k)) + p**k * v for k in range(h)),
            "har": _har(energy, outcome, known, level, squares=True),
            "har_qlike": _har(energy, outcome, known, level, squares=False),
        }
        if {"open", "high", "low"} <= set(frame.columns):
            forecasts["har_range"] = _har(_ranges(frame, energy), outcome, known, level, squares=False)
        for name, values in forecasts.items():
            found.setdefault(name, []).append(np.asarray(values)[places])
    return {name: np.concatenate(parts) for name, parts in found.items()}


def _loop(energy: Floats, constant: float, alpha: float, beta: float) -> Floats:
    out = np.full(len(energy), np.nan)
    out[_START] = np.mean(energy[1 : _START + 1])
    for t in range(_START + 1, len(energy)):
        out[t] = constant + alpha * energy[t] + beta * out[t - 1]
    return out


def _best_decay(energy: Floats, outcome: Floats, known: Places, h: int) -> Floats:
    """The product ends with Brent's method; here a grid, even in the memory's logarithm, refined twice."""
    low, high, best = np.log(0.001), np.log(0.3), 0.7
    for points in (49, 13, 13):
        grid = 1 - np.exp(np.linspace(low, high, points))
        losses = np.array([_qlike(h * _loop(energy, 0, 1 - d, d)[known], outcome) for d in grid])
        best, width = float(grid[int(np.argmin(losses))]), (high - low) / (points - 1)
        low, high = (
            max(np.log(0.001), np.log(1 - best) - width),
            min(np.log(0.3), np.log(1 - best) + width),
        )
    return np.asarray(h * _loop(energy, 0.0, 1.0 - best, best))


def _qlike(forecast: Floats, outcome: Floats) -> float:
    return float(np.mean(np.log(forecast) + outcome / forecast)) if np.all(forecast > 0) else np.inf


def _judged_garch(closes: Floats) -> tuple[float, float, float]:
    """The product's parameters, if they are as likely as the best that the gate finds by itself.

    Where returns hardly cluster the likelihood is flat, and two searches end far apart with equal right. So
    the product only proposes: likelihood, search and recursion are the gate's own.
    """
    returns = np.diff(np.log(closes))
    energy = np.square(returns)
    said = fit_garch(returns)
    proposed = said.omega, said.alpha, said.beta
    reached, best = garch_loss(energy, *proposed), garch_loss(energy, *_garch(energy))
    require(
        reached <= best + _FLAT,
        f"GARCH as fitted has a loss of {reached:.6f} a day on the known days, {best:.6f} was found",
    )
    return proposed


def garch_loss(energy: Floats, omega: float, alpha: float, beta: float) -> float:
    """Twice the negative normal log likelihood a day, less its constant."""
    weights = 0.94 ** np.arange(min(75, energy.size))
    first = float(weights @ energy[: weights.size] / weights.sum())  # the start that arch takes
    driven = np.concatenate([[omega + (alpha + beta) * first], omega + alpha * energy[:-1]])
    v = np.maximum(lfilter([1.0], [1.0, -beta], driven), 1e-300)
    return float(np.mean(np.log(v) + energy / v))


def _garch(energy: Floats) -> tuple[float, float, float]:
    """Maximum likelihood by simplex on unconditional variance, persistence and alpha's share of it."""
    mean = float(energy.mean())

    def parameters(x: Floats) -> tuple[float, float, float]:
        size, persistence, share = np.exp(x[0]), expit(x[1]), expit(x[2])
        return size * mean * (1 - persistence), persistence * share, persistence * (1 - share)

    def loss(x: Floats) -> float:
        return garch_loss(energy, *parameters(x))

    # Log of the level, logits of persistence and of alpha's share of it: fat tails make several optima.
    starts = [
        np.array([u, p, s]) for u in (-1, 0, 1) for p in (0.0, 2.0, 4.0, 6.0) for s in (-6, -2.5, -1, 1)
    ]
    likely = sorted(starts, key=loss)
    starts = [*likely[:3], *(next(x for x in likely if x[1] == p) for p in (0.0, 2.0, 4.0, 6.0))]
    best = min(
        (
            minimize(loss, s, method="Nelder-Mead", options={"maxiter": 400, "fatol": 1e-10, "xatol": 1e-6})
            for s in starts
        ),
        key=lambda r: r.fun,
    )
    return parameters(best.x)


def _har(days: pd.Series, outcome: Floats, known: Places, level: float, *, squares: bool) -> Floats:
    table = np.column_stack([np.ones(len(days)), days, days.rolling(5).mean(), days.rolling(22).mean()])
    X, y = table[known] / level, outcome / level
    X = X * [level, 1.0, 1.0, 1.0]
    weights = lsq_linear(X, y, bounds=(0, np.inf), method="bvls").x if squares else _reweighted(X, y)
    return np.maximum(table * [1.0, 1 / level, 1 / level, 1 / level] @ weights * level, 1e-3 * level)


def _reweighted(X: Floats, y: Floats) -> Floats:
    """Least QLIKE of a linear rule: least squares, weighted anew by the inverse square of the forecast."""
    weights = np.array([0.25, 0.25, 0.25, 0.25])
    for _ in range(200):
        forecast = np.maximum(X @ weights, 1e-6)
        new = lsq_linear(X / forecast[:, None], y / forecast, bounds=(0, np.inf), method="bvls").x
        if np.abs(new - weights).max() < 1e-8:
            break
        weights = 0.5 * (weights + new)
    return weights


def _ranges(frame: pd.DataFrame, energy: pd.Series) -> pd.Series:
    opening, high, low, close = (
        pd.Series(np.log(frame[c].to_numpy())) for c in ("open", "high", "low", "close")
    )
    inside = 0.5 * (high - low).pow(2) - (2 * np.log(2) - 1) * (close - opening).pow(2)
    measured: pd.Series = (opening - close.shift(1)).pow(2) + inside.clip(lower=0)
    return measured.fillna(energy)
