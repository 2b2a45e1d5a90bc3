"""Other futures for a price history: cut off, or redrawn day by day."""

from __future__ import annotations

import copy

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ml_assets.prices.history import PriceHistory
from ml_assets.windows.rolling import Floats

__all__ = [
    "OPPOSITES",
    "STYLES",
    "cut_off",
    "day",
    "redraw",
    "redraw_after",
    "scaled",
    "stretched",
    "with_frame",
]

STYLES = ("wild", "calm", "mirror", "quiet")
"""``wild``: days jump by tens of per cent, so that a leak of tiny weight shows. ``calm``: a walk as quiet as
the history itself, so that a leak with a plausibility filter shows. ``mirror``: every move turned around.
``quiet``: hardly any move. But for ``mirror``, a redrawn stretch begins with a move against the true one."""
OPPOSITES = ("wild", "faint")
"""Drawn with equal seeds, the two are opposites: what goes far up in one goes slightly down in the other, and
so do volumes. A yes or no about the future (rises, moves by 4 %) is not the same in truth and in both."""


def with_frame(prices: PriceHistory, frame: pd.DataFrame) -> PriceHistory:
    """Put another frame with the same columns and sorted days into a price history.

    The check of a new `PriceHistory` is left out: it would take a third of the gates' time.
    """
    other = copy.copy(prices)
    object.__setattr__(other, "frame", frame)
    return other


def day(prices: PriceHistory, position: int) -> str:
    """Write the date at a position."""
    return str(prices.frame.index[position].date())


def cut_off(prices: PriceHistory, last: int) -> PriceHistory:
    """Keep the days up to position `last`."""
    return with_frame(prices, prices.frame.iloc[: last + 1])


def redraw_after(prices: PriceHistory, last: int, rng: np.random.Generator, style: str) -> PriceHistory:
    """Redraw every day after position `last`; the dates stay."""
    return redraw(prices, np.arange(len(prices.frame)) > last, rng, style)


def redraw(
    prices: PriceHistory, days: NDArray[np.bool_], rng: np.random.Generator, style: str
) -> PriceHistory:
    """Redraw the marked days, each run of them starting from the last true close before it.

    Parameters
    ----------
    prices : PriceHistory
    days : ndarray of bool, shape (n_days,)
    rng : Generator
    style : str
        One of `STYLES` or `OPPOSITES`.

    Returns
    -------
    PriceHistory
        Same dates and columns. In a column that has missing values, other days are missing.
    """
    table = np.ascontiguousarray(prices.frame.to_numpy().T)
    columns = dict(zip(map(str, prices.frame.columns), table, strict=True))
    sign = -1.0 if style == "faint" else 1.0
    true = columns["close"]
    close = np.where(days, _redrawn_close(true, days, rng, style), true)
    drawn = {"close": close}
    if "open" in columns:
        before = np.concatenate([close[:1], close[:-1]])
        opening = before * np.exp(sign * 0.01 * rng.standard_normal(len(close)))
        reach = np.exp(0.01 * np.abs(rng.standard_normal((2, len(close)))))
        drawn["open"] = opening
        drawn["high"] = np.maximum(opening, close) * reach[0]
        drawn["low"] = np.minimum(opening, close) / reach[1]
    if "volume" in columns:
        known = columns["volume"][columns["volume"] > 0]
        typical = float(np.median(known)) if len(known) else 1.0
        noise = rng.standard_normal(len(close))
        # Never near the typical volume, so that "more than today" changes sides with the sign.
        drawn["volume"] = typical * np.exp(sign * 1.5 * (noise + np.sign(noise)))
    changed = np.empty((len(days), len(columns)))
    for k, (name, values) in enumerate(columns.items()):
        # Which days are missing is redrawn, too, where days can be missing at all.
        gone = rng.random(len(days)) < max(0.2, np.isnan(values).mean()) if np.isnan(values).any() else False
        changed[:, k] = np.where(days, np.where(gone, np.nan, drawn[name]), values)
    return with_frame(prices, pd.DataFrame(changed, index=prices.frame.index, columns=prices.frame.columns))


def _redrawn_close(close: Floats, days: NDArray[np.bool_], rng: np.random.Generator, style: str) -> Floats:
    n = len(close)
    position = np.arange(n)
    last_true = np.maximum.accumulate(np.where(days, -1, position))
    anchor = close[np.maximum(last_true, 0)]
    if style == "mirror":
        return anchor * (anchor / close)
    true_step = np.diff(np.log(close), prepend=np.log(close[0]))
    against = np.where(true_step > 0, -1.0, 1.0)
    first = days & ~np.concatenate([[False], days[:-1]])
    if style in OPPOSITES:
        level = 0.35 * rng.standard_normal(n)
        level[first] = against[first] * rng.uniform(0.05, 0.5, int(first.sum()))
        return anchor * np.exp(level if style == "wild" else -0.003 * level)
    typical = 1e-4 if style == "quiet" else max(float(np.median(np.abs(true_step))) * 1.5, 1e-3)
    step = np.where(days, typical * rng.standard_normal(n), 0.0)
    step[first] = against[first] * (np.abs(step[first]) + typical)
    walk = np.cumsum(step)
    redrawn: Floats = anchor * np.exp(walk - np.where(last_true >= 0, walk[np.maximum(last_true, 0)], 0.0))
    return redrawn


def stretched(prices: PriceHistory, power: float) -> PriceHistory:
    """Make every move, and every deviation of the volume, a little larger; ties and orders stay."""
    first = float(prices.frame["close"].iloc[0])

    def stretch(values: pd.Series) -> pd.Series:
        known = values[values > 0]
        unit = first if values.name != "volume" else float(known.median()) if len(known) else 1.0
        return unit * (values / unit) ** power

    return with_frame(prices, prices.frame.apply(stretch))


def scaled(prices: PriceHistory, price_factor: float, volume_factor: float) -> PriceHistory:
    """Multiply all prices by one constant and all volumes by another."""
    factors = {name: volume_factor if name == "volume" else price_factor for name in prices.frame.columns}
    return with_frame(prices, prices.frame * pd.Series(factors))
