"""Simulated markets whose best possible accuracy is known: controls for the gates and for promotion.

A method that finds skill in `random_walk` is wrong; a method that finds none in the others is weak.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import ndtr, ndtri

from ml_assets.prices.history import PriceHistory
from ml_assets.prices.report import CleaningReport
from ml_assets.windows.rolling import Floats

__all__ = ["KINDS", "LEVERAGE", "SimulatedMarket", "price_history", "simulate"]

LEVERAGE = (0.5, 1.5)
"""Deviation of a day after a rise and after a fall, in ``leverage``."""

_BURN_IN = 300
_DAILY_DEVIATION = 0.015
# Mean of a day in units of its noise, and probability that the hidden state stays, for a wanted accuracy.
_HIDDEN_STATES = {0.55: (0.242, 0.98), 0.60: (0.381, 0.98), 0.75: (0.94, 0.95)}
_Path = tuple[
    Floats, Floats, Floats
]  # standardized returns, volumes, P(next return > 0) by the best forecast


@dataclass(frozen=True, eq=False)
class SimulatedMarket:
    """A price history and the best forecast that exists for it.

    Parameters
    ----------
    prices : PriceHistory
    probability : ndarray, shape (n_days,)
        Probability, given all prices and volumes up to each day, that the next return is positive.
    best_accuracy : float
        Accuracy of that forecast in the long run.
    """

    prices: PriceHistory
    probability: Floats
    best_accuracy: float


def simulate(
    kind: str,
    days: int = 2500,
    *,
    best_accuracy: float = 0.60,
    seed: int = 0,
    symbol: str | None = None,
    start: str = "2000-01-03",
    ohlcv: bool = True,
) -> SimulatedMarket:
    """Simulate a market.

    Parameters
    ----------
    kind : {'random_walk', 'ar1', 'hidden_markov', 'gated', 'product', 'leverage'}
        ``random_walk``: nothing can be forecast (`best_accuracy` is 0.5 whatever is asked for, as in
        ``leverage``).
        ``ar1``: tomorrow's return follows today's. ``hidden_markov``: an unseen state drives the mean.
        ``gated``: the last volume shock decides between momentum and reversal, so memory is needed.
        ``product``: tomorrow's mean has the sign of the product of the last two returns, which no linear
        model sees. ``leverage``: direction cannot be forecast, but the day after a fall has three times the
        deviation of the day after a rise (`LEVERAGE`), which nothing sees that reads sizes of moves alone.
    days : int
        Length; business days from `start`.
    best_accuracy : float
        Wanted accuracy of the best forecast; 0.55, 0.60 or 0.75 for ``hidden_markov``, any value
        from 0.5 to below 1 for the others.
    seed : int
    symbol : str, optional
        By default made from `kind` and `seed`.
    start : str
        First day.
    ohlcv : bool
        Whether to give open, high, low and volume beside the close.

    Returns
    -------
    SimulatedMarket

    Raises
    ------
    ValueError
        For an unknown kind or an accuracy that it cannot have.
    """
    if kind not in KINDS:
        raise ValueError(f"unknown kind of market {kind!r}; choose one of {', '.join(KINDS)}")
    if not 0.5 <= best_accuracy < 1.0:
        raise ValueError(f"best_accuracy must be at least 0.5 and below 1, got {best_accuracy}")
    rng = np.random.default_rng(seed)
    returns, volume, probability = (v[_BURN_IN:] for v in KINDS[kind](days + _BURN_IN, best_accuracy, rng))
    frame = _frame(returns, volume, rng, start)
    prices = price_history(symbol or f"SIM-{kind.upper()}-{seed}", frame if ohlcv else frame[["close"]])
    return SimulatedMarket(prices, probability, 0.5 if kind in ("random_walk", "leverage") else best_accuracy)


def price_history(symbol: str, frame: pd.DataFrame, source: str = "simulated") -> PriceHistory:
    """Wrap a clean frame as a `PriceHistory` whose report says that every row was kept."""
    return PriceHistory(symbol, frame, CleaningReport(source, rows_read=len(frame), kept=len(frame)))


def _random_walk(n: int, accuracy: float, rng: np.random.Generator) -> _Path:
    del accuracy
    return rng.standard_normal(n), _plain_volume(n, rng), np.full(n, 0.5)


def _ar1(n: int, accuracy: float, rng: np.random.Generator) -> _Path:
    phi = _coefficient(accuracy)
    noise = rng.standard_normal(n) * np.sqrt(1.0 - phi**2)
    returns = np.zeros(n)
    for t in range(1, n):
        returns[t] = phi * returns[t - 1] + noise[t]
    return returns, _plain_volume(n, rng), _normal_cdf(phi * returns / np.sqrt(1.0 - phi**2))


def _gated(n: int, accuracy: float, rng: np.random.Generator) -> _Path:
    phi = _coefficient(accuracy)
    noise = rng.standard_normal(n) * np.sqrt(1.0 - phi**2)
    shock, upward = rng.random(n) > 0.97, rng.random(n) < 0.5
    returns, gate, current = np.zeros(n), np.ones(n), 1.0
    for t in range(n):
        if shock[t]:
            current = 1.0 if upward[t] else -1.0
        gate[t] = current
        returns[t] = phi * gate[t - 1] * returns[t - 1] + noise[t] if t else noise[t]
    volume = np.exp(0.3 * rng.standard_normal(n) + 2.0 * gate * shock)
    return returns, volume, _normal_cdf(phi * gate * returns / np.sqrt(1.0 - phi**2))


def _hidden_markov(n: int, accuracy: float, rng: np.random.Generator) -> _Path:
    if accuracy not in _HIDDEN_STATES:
        raise ValueError(f"hidden_markov is calibrated for {sorted(_HIDDEN_STATES)}, not for {accuracy}")
    mean, stay = _HIDDEN_STATES[accuracy]
    state = np.cumprod(np.where(rng.random(n) < stay, 1.0, -1.0))
    returns = mean * state + rng.standard_normal(n)
    odds = np.exp(2.0 * mean * returns)  # likelihood of the upper state over that of the lower
    upper, chance = np.empty(n), 0.5
    for t in range(n):
        filtered = chance * odds[t] / (chance * odds[t] + 1.0 - chance)
        chance = upper[t] = filtered * stay + (1.0 - filtered) * (1.0 - stay)
    up_if_upper = float(_normal_cdf(np.array([mean]))[0])
    return returns, _plain_volume(n, rng), upper * up_if_upper + (1.0 - upper) * (1.0 - up_if_upper)


def _product(n: int, accuracy: float, rng: np.random.Generator) -> _Path:
    mean = float(ndtri(accuracy))
    noise = rng.standard_normal(n)
    returns, sign = noise.copy(), 0.0
    for t in range(2, n):
        sign = np.sign(returns[t - 1] * returns[t - 2])
        returns[t] = mean * sign + noise[t]
    following = np.sign(returns * np.roll(returns, 1))
    following[0] = 0.0
    return returns, _plain_volume(n, rng), _normal_cdf(mean * following)


def _leverage(n: int, accuracy: float, rng: np.random.Generator) -> _Path:
    del accuracy
    noise = rng.standard_normal(n)
    # The deviation is positive: the sign of each move is that of its noise.
    sizes = np.where(np.roll(noise, 1) < 0, LEVERAGE[1], LEVERAGE[0])
    return sizes * noise, _plain_volume(n, rng), np.full(n, 0.5)


KINDS: dict[str, Callable[[int, float, np.random.Generator], _Path]] = {
    "random_walk": _random_walk,
    "ar1": _ar1,
    "hidden_markov": _hidden_markov,
    "gated": _gated,
    "product": _product,
    "leverage": _leverage,
}


def _coefficient(accuracy: float) -> float:
    """Correlation of two normal variables whose signs agree with probability `accuracy` (Sheppard, 1899)."""
    return float(np.sin(np.pi * (accuracy - 0.5)))


def _plain_volume(n: int, rng: np.random.Generator) -> Floats:
    return np.exp(0.3 * rng.standard_normal(n))


def _normal_cdf(x: Floats) -> Floats:
    return np.asarray(ndtr(x), dtype=np.float64)


def _frame(returns: Floats, volume: Floats, rng: np.random.Generator, start: str) -> pd.DataFrame:
    """Dress returns as daily bars; open, high and low carry no further knowledge of the future."""
    close = 100.0 * np.exp(np.cumsum(_DAILY_DEVIATION * returns))
    before = np.concatenate([[100.0], close[:-1]])
    noise = 0.3 * _DAILY_DEVIATION * np.abs(rng.standard_normal((2, len(close))))
    opening = before * np.exp(0.3 * _DAILY_DEVIATION * rng.standard_normal(len(close)))
    columns = {
        "close": close,
        "open": opening,
        "high": np.maximum(opening, close) * np.exp(noise[0]),
        "low": np.minimum(opening, close) * np.exp(-noise[1]),
        "volume": np.round(1e6 * volume),
    }
    days = np.busday_offset(np.datetime64(start, "D"), np.arange(len(close)), roll="forward")
    index = pd.DatetimeIndex(days.astype("datetime64[ns]"), name="date")
    return pd.DataFrame(columns, index=index)
