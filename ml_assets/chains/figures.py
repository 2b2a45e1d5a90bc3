"""What forecasts of option prices are worth: errors in currency and in volatility, by kind of option."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml_assets.chains.chains import OptionChains
from ml_assets.chains.cleaning import KEY
from ml_assets.chains.forecasts import LAST_PRICE, MODELS
from ml_assets.chains.implied import implied_volatility
from ml_assets.chains.panel import contract_terms, priced
from ml_assets.chains.parity import EXPIRY_KEY
from ml_assets.pinn.quotes import Quotes

__all__ = ["EXPIRY_EDGES", "FIGURES", "MONEYNESS_EDGES", "Pricer", "bucket_labels", "score_forecasts"]

Floats = npt.NDArray[np.float64]
Pricer = Callable[[Quotes], Floats]
"""Prices options at given volatilities, shape (n,)."""

MONEYNESS_EDGES = (0.8, 0.9, 0.95, 1.0, 1.05, 1.15)
"""Of strike over forward."""
EXPIRY_EDGES = (6, 30, 91, 182, 384)
"""Of calendar days."""
FIGURES = ("mae", "rmse", "vol_points", "r2", "inside")
"""``mae`` and ``rmse`` of the price against the day's mid, in currency; ``vol_points``: mean distance of the
volatilities, in points of 0.01; ``r2`` of the prices; ``inside``: share of the prices within bid and ask."""


def score_forecasts(chains: OptionChains, forecasts: pd.DataFrame, price: Pricer) -> pd.DataFrame:
    """Price every forecast and compare it with the day's quotes.

    Parameters
    ----------
    chains : OptionChains
        Quotes and forwards of the days that were forecast.
    forecasts : pandas.DataFrame
        As :func:`ml_assets.chains.forecasts.forecast_walk` returns them.
    price : callable
        What prices an option at a volatility.

    Returns
    -------
    pandas.DataFrame
        ``group`` (all, underlying, moneyness, expiry, moneyness and expiry, day), ``bucket``, ``model``,
        ``options`` and :data:`FIGURES`. A forecast without a volatility (a price of yesterday below today's
        intrinsic value) does not enter ``vol_points``.
    """
    rows = forecasts.merge(chains.quotes, on=list(KEY), how="left", validate="one_to_one")
    rows = rows.merge(
        chains.forwards[[*EXPIRY_KEY, "tau", "forward", "discount"]], on=list(EXPIRY_KEY), how="left"
    )
    bid, ask = rows["bid"].to_numpy(), rows["ask"].to_numpy()
    mid = 0.5 * (bid + ask)
    terms = contract_terms(rows)
    quoted = implied_volatility(mid, *terms)
    buckets = list(_buckets(rows))
    table = []
    for model in MODELS:
        values = rows[model].to_numpy()
        if model == LAST_PRICE:
            found, sigma = values, implied_volatility(values, *terms)
        else:
            found, sigma = price(priced(rows, values)), values
        error, inside = found - mid, (found >= bid) & (found <= ask)
        points = 100.0 * np.abs(sigma - quoted)
        for group, bucket, at in buckets:
            figures = _figures(error[at], mid[at], points[at], inside[at])
            table.append((group, bucket, model, at.size, *figures))
    return pd.DataFrame(table, columns=["group", "bucket", "model", "options", *FIGURES])


def bucket_labels(edges: tuple[float, ...], unit: str = "") -> list[str]:
    """Name the intervals between edges."""
    return [f"{low:g}-{high:g}{unit}" for low, high in pairwise(edges)]


def _buckets(rows: pd.DataFrame) -> Iterator[tuple[str, str, npt.NDArray[np.intp]]]:
    """Yield each group's buckets with the positions of their rows; empty ones are left out."""
    ratio = (rows["strike"] / rows["forward"]).to_numpy()
    moneyness = _labels(ratio, MONEYNESS_EDGES, "")
    expiry = _labels((rows["tau"] * 365.0).to_numpy(), EXPIRY_EDGES, " d")
    by: dict[str, npt.NDArray[np.str_]] = {
        "all": np.full(len(rows), "all"),
        "underlying": rows["underlying"].to_numpy(dtype=str),
        "moneyness": moneyness,
        "expiry": expiry,
        "moneyness and expiry": np.char.add(np.char.add(moneyness, ", "), expiry),
        "day": rows["date"].dt.strftime("%Y-%m-%d").to_numpy(dtype=str),
    }
    for group, labels in by.items():
        for label in dict.fromkeys(sorted(labels) if group in ("day", "underlying") else labels):
            yield group, str(label), np.flatnonzero(labels == label)


def _labels(values: Floats, edges: tuple[float, ...], unit: str) -> npt.NDArray[np.str_]:
    """The name of each value's interval; beyond the outer edges the outer intervals go on."""
    names = np.array(bucket_labels(edges, unit))
    place = np.clip(np.searchsorted(np.array(edges), values, side="right") - 1, 0, len(names) - 1)
    return names[place]


def _figures(error: Floats, mid: Floats, points: Floats, inside: npt.NDArray[np.bool_]) -> tuple[float, ...]:
    spread = float(np.sum((mid - mid.mean()) ** 2))
    r2 = 1.0 - float(np.sum(error**2)) / spread if spread > 0.0 else np.nan
    known = points[np.isfinite(points)]
    return (
        float(np.mean(np.abs(error))),
        float(np.sqrt(np.mean(error**2))),
        float(known.mean()) if known.size else np.nan,
        r2,
        float(np.mean(inside)),
    )
