"""Causal indicators: row i is computed from the prices up to and including day i, and from nothing else.

Three properties hold for every column, and gates G1 and G5 check them on every symbol of every run:

* causal: cutting or changing the future changes no bit of a row (see `ml_assets.windows.rolling` for how);
* scale-free: multiplying all prices, or all volumes, by a constant changes nothing;
* calendar-free: neither the date nor the position in the history enters.

Every column looks back over at most `FEATURE_MEMORY` closes. Rows without enough past are NaN and are
dropped later; nothing is ever filled. On flat stretches, where an indicator is 0/0, the column takes the
value that says "no information" (0 for signed columns, 0.5 for shares), so a flat day stays a tradable day.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from ml_assets.windows.rolling import (
    Floats,
    TrailingSums,
    lag,
    window_max,
    window_mean,
    window_min,
    window_sum,
)

__all__ = ["FEATURE_MEMORY", "WARM_UP", "expanding_mean", "extract_features", "feature_names"]

FEATURE_MEMORY = 61
"""Closes that the longest feature reads, today included."""
WARM_UP = FEATURE_MEMORY - 1
"""Leading rows in which at least one feature is NaN."""

CLOSE_FEATURES = (
    "return_1",
    "return_1_lag_1",
    "return_1_lag_2",
    "return_1_lag_3",
    "return_3",
    "return_5",
    "return_10",
    "return_20",
    "return_60",
    "gap_to_mean_5",
    "gap_to_mean_10",
    "gap_to_mean_20",
    "gap_to_mean_50",
    "volatility_5",
    "volatility_20",
    "volatility_60",
    "volatility_ratio_5_60",
    "shock_20",
    "up_share_5",
    "up_share_14",
    "strength_14",
    "range_position_20",
    "drawdown_60",
    "skew_20",
    "autocorrelation_20",
)
RANGE_FEATURES = (
    "overnight_return",
    "range_1",
    "close_location",
    "parkinson_20",
    "garman_klass_20",
)
VOLUME_FEATURES = (
    "volume_ratio_5",
    "volume_ratio_20",
    "volume_ratio_60",
    "volume_ratio_20_lag_1",
    "signed_volume",
    "up_volume_share_20",
)
_RANGE_COLUMNS = frozenset({"open", "high", "low"})
_KNOWN_COLUMNS = _RANGE_COLUMNS | {"close", "volume"}
Prices = pd.DataFrame | pd.Series | Sequence[float] | ArrayLike


def extract_features(prices: Prices) -> Floats:
    """Compute the causal indicators of a price history.

    Parameters
    ----------
    prices : list, 1-D array, Series of closes, or DataFrame
        A DataFrame needs the column ``close``; ``open``, ``high`` and ``low`` (all three) and ``volume``
        add further columns. Prices are positive, volumes zero or more. A close is never missing; the other
        columns may be NaN on some days, which then count for nothing in their window.

    Returns
    -------
    ndarray, shape (n, 25) for closes alone, up to (n, 36)
        One row per day, named by `feature_names`; NaN in the warm-up rows.

    Raises
    ------
    ValueError
        If there is no price, a close is missing, or a value is infinite or not positive; the message names
        the row.

    Examples
    --------
    >>> import numpy as np
    >>> closes = 100 * np.exp(np.cumsum(np.random.default_rng(0).normal(0, 0.01, 200)))
    >>> extract_features(closes).shape
    (200, 25)
    >>> np.array_equal(extract_features(closes[:150]), extract_features(closes)[:150], equal_nan=True)
    True
    """
    given = _columns(prices)
    columns = _close_features(given["close"])
    if given.keys() >= _RANGE_COLUMNS:
        columns |= _range_features(given["open"], given["high"], given["low"], given["close"])
    if "volume" in given:
        columns |= _volume_features(columns["return_1"], columns["volatility_20"], given["volume"])
    return np.array([columns[name] for name in feature_names(list(given))]).T


def feature_names(prices: Prices | Iterable[str] | None = None) -> tuple[str, ...]:
    """Names of the columns that `extract_features` returns, in order.

    Parameters
    ----------
    prices : as for `extract_features`, or the names of its columns, optional
        Closes alone, or nothing, give the 25 names of the close features.

    Returns
    -------
    tuple of str
    """
    columns: set[str] = set()
    if isinstance(prices, pd.DataFrame):
        columns = set(prices.columns)
    elif prices is not None and not isinstance(prices, pd.Series | np.ndarray):
        columns = {item for item in prices if isinstance(item, str)}  # type: ignore[union-attr]
    names: tuple[str, ...] = CLOSE_FEATURES
    names += RANGE_FEATURES if columns >= _RANGE_COLUMNS else ()
    names += VOLUME_FEATURES if "volume" in columns else ()
    return names


def expanding_mean(data: ArrayLike) -> Floats:
    """Mean of everything up to and including each row: the causal stand-in for a mean over all rows.

    Parameters
    ----------
    data : array_like, shape (n,) or (n, k)
        A NaN is left out of the mean; leading NaN rows stay NaN.

    Returns
    -------
    ndarray, same shape, float64

    Examples
    --------
    >>> expanding_mean([1.0, 3.0, 5.0])
    array([1., 2., 3.])
    """
    values = np.asarray(data, dtype=np.float64)
    if values.ndim not in (1, 2):
        raise ValueError(f"expanding_mean takes a 1-D or 2-D array, got {values.ndim} dimensions")
    known = ~np.isnan(values)
    count = np.cumsum(known, axis=0)
    total = np.cumsum(np.where(known, values, 0.0), axis=0)
    return _ratio(total, count.astype(np.float64), empty=np.nan)


def _close_features(close: Floats) -> dict[str, Floats]:
    # Logarithms are taken of ratios, never of prices: a common factor then cancels before it is rounded.
    step = np.log(close / lag(close, 1))
    size, energy = np.abs(step), step * step
    rise = np.where(np.isnan(step), np.nan, step > 0)
    out = {"return_1": step}
    out |= {f"return_1_lag_{k}": lag(step, k) for k in (1, 2, 3)}
    out |= {f"return_{k}": np.log(close / lag(close, k)) for k in (3, 5, 10, 20, 60)}
    closes, energies = TrailingSums(close), TrailingSums(energy)
    out |= {f"gap_to_mean_{w}": close / closes.mean(w) - 1.0 for w in (5, 10, 20, 50)}
    # Root mean squares: a daily mean is negligible beside its noise, and no digits cancel.
    vol = {w: np.sqrt(energies.mean(w)) for w in (5, 20, 60)}
    out |= {f"volatility_{w}": v for w, v in vol.items()}
    out["volatility_ratio_5_60"] = _ratio(vol[5], vol[60])
    out["shock_20"] = _ratio(step, vol[20])
    out |= {f"up_share_{w}": window_mean(rise, w) for w in (5, 14)}
    # Wilder's relative strength index (1978) divided by 100, with plain instead of smoothed sums.
    out["strength_14"] = _ratio(window_sum(np.maximum(step, 0.0), 14), window_sum(size, 14), empty=0.5)
    low, high = window_min(close, 20), window_max(close, 20)
    out["range_position_20"] = _ratio(close - low, high - low, empty=0.5)
    out["drawdown_60"] = close / window_max(close, 60) - 1.0
    out["skew_20"] = _ratio(window_mean(energy * step, 20), vol[20] ** 3)
    out["autocorrelation_20"] = _ratio(window_sum(step * lag(step, 1), 20), energies.sum(20))
    return out


def _range_features(opening: Floats, high: Floats, low: Floats, close: Floats) -> dict[str, Floats]:
    gap, spread, body = np.log(opening / lag(close, 1)), np.log(high / low), np.log(close / opening)
    # Parkinson (1980) and Garman and Klass (1980): variance from the day's extremes.
    parkinson = _known_mean(spread * spread, 20) / (4.0 * np.log(2.0))
    garman_klass = _known_mean(0.5 * spread * spread - (2.0 * np.log(2.0) - 1.0) * body * body, 20)
    return {
        "overnight_return": np.concatenate([gap[:1], _or_neutral(gap[1:])]),
        "range_1": _or_neutral(spread),
        "close_location": _or_neutral(_ratio(close - low, high - low, empty=0.5), 0.5),
        "parkinson_20": np.sqrt(parkinson),
        "garman_klass_20": np.sqrt(np.maximum(garman_klass, 0.0)),
    }


def _volume_features(step: Floats, vol: Floats, volume: Floats) -> dict[str, Floats]:
    ratio = {w: _log_ratio(volume, _known_mean(volume, w)) for w in (5, 20, 60)}
    rising = np.where(np.isnan(step), np.nan, np.where(step > 0, _or_neutral(volume), 0.0))
    return {
        **{f"volume_ratio_{w}": r for w, r in ratio.items()},
        "volume_ratio_20_lag_1": lag(ratio[20], 1),
        "signed_volume": _ratio(step, vol) * ratio[20],
        "up_volume_share_20": _ratio(window_sum(rising, 20), window_sum(_or_neutral(volume), 20), empty=0.5),
    }


def _ratio(part: Floats, whole: Floats, empty: float = 0.0) -> Floats:
    """Divide; where the whole is exactly zero the answer is `empty`. NaN stays NaN."""
    safe = np.where(whole == 0.0, 1.0, whole)
    return np.where((whole == 0.0) & ~np.isnan(part), empty, part / safe)


def _or_neutral(values: Floats, neutral: float = 0.0) -> Floats:
    """Put the value that says nothing where the source has none: a gap in a side column is no lost day."""
    return np.where(np.isnan(values), neutral, values)


def _known_mean(values: Floats, window: int) -> Floats:
    """Mean of the known values among the last `window`; 0 where none is known."""
    known = (~np.isnan(values)).astype(np.float64)
    return _ratio(window_sum(_or_neutral(values), window), window_sum(known, window))


def _log_ratio(value: Floats, mean: Floats) -> Floats:
    """Logarithm of value / mean, 0 where unknown, with a floor of 1e-3 which a day without trades gets."""
    ratio = np.log(np.maximum(_ratio(value, mean, empty=1.0), 1e-3))
    return np.where(np.isnan(value) & ~np.isnan(mean), 0.0, ratio)


def _columns(prices: Prices) -> dict[str, Floats]:
    """Turn any accepted form into checked float64 columns."""
    if isinstance(prices, pd.DataFrame):
        if "close" not in prices.columns:
            raise ValueError(f"prices need a column 'close'; got {list(prices.columns)}")
        index: pd.Index | None = prices.index
        used = [c for c in prices.columns if c in _KNOWN_COLUMNS]
        frame = prices if len(used) == prices.shape[1] else prices[used]
        # The table at once: to ask pandas for one column after another takes longer than most features.
        table = np.ascontiguousarray(frame.to_numpy(dtype=np.float64).T)
        columns = dict(zip(used, table, strict=True))
    else:
        index = prices.index if isinstance(prices, pd.Series) else None
        columns = {"close": np.asarray(prices, dtype=np.float64)}
        if columns["close"].ndim != 1:
            raise ValueError(
                f"closes must be one-dimensional, got shape {columns['close'].shape}; "
                "give a DataFrame with a column 'close' for several columns"
            )
    if not len(columns["close"]):
        raise ValueError("the price history is empty; give at least one close")
    for name, values in columns.items():
        _check_column(name, values, index)
    return columns


def _check_column(name: str, values: Floats, index: pd.Index | None) -> None:
    bad: NDArray[np.bool_] = np.isinf(values) | (values < 0 if name == "volume" else values <= 0)
    bad |= np.isnan(values) & (name == "close")
    if bad.any():
        row = int(np.argmax(bad))
        where = f"row {row}" if index is None else f"row {row} ({index[row]})"
        allowed = "zero or more" if name == "volume" else "positive"
        raise ValueError(
            f"column {name!r} holds {values[row]} in {where}, {int(bad.sum())} such rows in all: values "
            "must be "
            f"finite and {allowed}. Clean the prices first (ml_assets.prices); a missing day is left out, "
            "never "
            "filled"
        )
