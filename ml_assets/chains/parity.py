"""Forward and discount factor of each expiry, from put-call parity.

For European options of one expiry ``C - P = D (F - K)`` (Stoll 1969): a straight line in the strike whose
slope is minus the discount factor and whose root is the forward. No rate and no dividend need be known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml_assets.chains.times import years_to_expiry

__all__ = ["EXPIRY_KEY", "ParityRules", "fit_forwards", "parity_pairs"]

EXPIRY_KEY = ("date", "underlying", "expiry", "at_open")
"""What names one expiry on one day."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ParityRules:
    """Which pairs of a call and a put speak, and which answers are believed.

    Parameters
    ----------
    near, wide : float
        Pairs are taken whose strike lies within this share of the money; the wide one where the near one
        holds too few. Far in the money the spreads are too wide to tell anything.
    minimum_pairs : int
        An expiry with fewer borrows its rate: the weighted median of the rates that the pairs of the last
        ``rate_days`` days show, this day included.
    outlier : float
        A pair is left out if it lies further from the robust line than this many robust deviations *and*
        than its own half-spreads.
    rate_low, rate_high : float
        Range of the rate per year; ``slack`` is allowed besides, since a short expiry shows its rate badly.
    far_from_spot : float
        Largest |ln(F / spot)|, where the spot is known.
    """

    near: float = 0.08
    wide: float = 0.20
    minimum_pairs: int = 5
    rate_days: int = 20
    outlier: float = 4.0
    rate_low: float = -0.05
    rate_high: float = 0.20
    slack: float = 0.02
    far_from_spot: float = 0.25


def parity_pairs(quotes: pd.DataFrame) -> pd.DataFrame:
    """Join the call and the put of each strike.

    Returns
    -------
    pandas.DataFrame
        :data:`EXPIRY_KEY`, ``strike``, ``difference`` (mid of the call less mid of the put), ``half`` (sum of
        both half-spreads), ``spot``; currency.
    """
    key = [*EXPIRY_KEY, "strike"]
    sides = [quotes.loc[quotes["call"] == call, [*key, "bid", "ask", "spot"]] for call in (True, False)]
    both = sides[0].merge(sides[1].drop(columns="spot"), on=key, suffixes=("_call", "_put"))
    mids = [0.5 * (both[f"bid_{side}"] + both[f"ask_{side}"]) for side in ("call", "put")]
    halves = [0.5 * (both[f"ask_{side}"] - both[f"bid_{side}"]) for side in ("call", "put")]
    return both[[*key, "spot"]].assign(difference=mids[0] - mids[1], half=halves[0] + halves[1])


def fit_forwards(quotes: pd.DataFrame, rules: ParityRules | None = None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Fit every expiry of every day.

    Parameters
    ----------
    quotes : pandas.DataFrame
        As :func:`ml_assets.chains.cleaning.clean_quotes` returns them.
    rules : ParityRules, optional

    Returns
    -------
    forwards : pandas.DataFrame
        :data:`EXPIRY_KEY`, ``tau`` (years), ``forward``, ``discount``, ``residual`` (root mean square of the
        pairs used, currency), ``half_spread`` (their median), ``pairs``, ``outliers``, ``own_rate`` (whether
        the discount is the expiry's own).
    refused : pandas.DataFrame
        :data:`EXPIRY_KEY`, the ``reason``, and the ``value`` that was out of range (NaN if none was).

    Notes
    -----
    The line is found twice: by Theil-Sen, which up to 29 % of bad pairs cannot move, then by least squares
    with weights ``1 / half**2`` on the pairs that lie near it.
    """
    rules = rules or ParityRules()
    expiries = quotes[list(EXPIRY_KEY)].drop_duplicates(ignore_index=True)
    expiries["tau"] = years_to_expiry(
        expiries["date"].to_numpy(), expiries["expiry"].to_numpy(), expiries["at_open"].to_numpy()
    )
    groups = dict(iter(parity_pairs(quotes).groupby(list(EXPIRY_KEY), sort=False)))
    keys = list(expiries[list(EXPIRY_KEY)].itertuples(index=False, name=None))
    lines = [_own_line(groups.get(key), rules) for key in keys]
    rates = _borrowed_rates(expiries, lines, rules)
    rows = [
        _fit(groups.get(key), tau, line, rate, rules)
        for key, tau, line, rate in zip(keys, expiries["tau"], lines, rates, strict=True)
    ]
    table = pd.concat([expiries, pd.DataFrame(rows, columns=[*_FIGURES, "reason"])], axis=1)
    good = table["reason"] == ""
    forwards = table.loc[good, [*EXPIRY_KEY, "tau", *_FIGURES]].reset_index(drop=True)
    types = {"pairs": "int64", "outliers": "int64", "own_rate": "bool"}
    refused = table.loc[~good, [*EXPIRY_KEY, "reason", "forward"]].rename(columns={"forward": "value"})
    return forwards.astype(types), refused.reset_index(drop=True)


_FIGURES = ("forward", "discount", "residual", "half_spread", "pairs", "outliers", "own_rate")


@dataclass(frozen=True)
class _Line:
    """The pairs that an expiry shows near the money, and their line where there are enough."""

    strike: Floats
    difference: Floats
    half: Floats
    discount: float = np.nan
    weight: float = 0.0
    outliers: int = 0
    total: int = 0


def _own_line(pairs: pd.DataFrame | None, rules: ParityRules) -> _Line:
    """Choose the pairs near the money, leave out bad ones, take the slope of the rest."""
    if pairs is None:
        return _Line(np.empty(0), np.empty(0), np.empty(0))
    strike, y, half = (pairs[name].to_numpy() for name in ("strike", "difference", "half"))
    # Where calls begin to cost less than puts, by counting: no single quote can move it far.
    center = np.sort(strike)[min(int(np.sum(y > 0.0)), strike.size - 1)]
    for width in (rules.near, rules.wide):
        inside = np.abs(strike / center - 1.0) < width
        if inside.sum() >= rules.minimum_pairs:
            break
    strike, y, half = strike[inside], y[inside], half[inside]
    total = strike.size
    if total >= rules.minimum_pairs:
        good = _near_robust_line(strike, y, half, rules.outlier)
        strike, y, half = strike[good], y[good], half[good]
    if np.unique(strike).size < 2:
        return _Line(strike, y, half, total=total)
    slope, weight = _weighted_slope(strike, y, half)
    return _Line(strike, y, half, -slope, weight, total - strike.size, total)


def _near_robust_line(strike: Floats, y: Floats, half: Floats, outlier: float) -> npt.NDArray[np.bool_]:
    """Tell which pairs lie near the Theil-Sen line (Sen 1968)."""
    first, second = np.triu_indices(strike.size, 1)
    slope = np.median((y[second] - y[first]) / (strike[second] - strike[first]))
    residual = y - slope * strike
    residual = np.abs(residual - np.median(residual))
    scale = 1.4826 * np.median(residual)
    near: npt.NDArray[np.bool_] = residual <= np.maximum(outlier * scale, half)
    return near


def _weighted_slope(strike: Floats, y: Floats, half: Floats) -> tuple[float, float]:
    """Slope by least squares, and its weight (the inverse of its variance, up to a factor)."""
    weight = 1.0 / half**2
    centered = strike - np.average(strike, weights=weight)
    information = float(weight @ centered**2)
    return float(weight @ (centered * y)) / information, information


def _borrowed_rates(expiries: pd.DataFrame, lines: list[_Line], rules: ParityRules) -> Floats:
    """Rate per expiry for those with too few pairs: what the last days' pairs show, NaN if nothing."""
    discount, weight = (np.array([getattr(line, name) for line in lines]) for name in ("discount", "weight"))
    tau = expiries["tau"].to_numpy()
    few = np.array([0 < line.total < rules.minimum_pairs for line in lines])
    with np.errstate(invalid="ignore", divide="ignore"):
        rate = -np.log(discount) / tau
    known = np.isfinite(rate) & (rate > rules.rate_low) & (rate < rules.rate_high)
    names, dates = expiries["underlying"].to_numpy(), expiries["date"].to_numpy()
    result = np.full(len(lines), np.nan)
    for date, name in dict.fromkeys(zip(dates[few], names[few], strict=True)):
        days = np.unique(dates[(dates <= date) & (names == name)])[-rules.rate_days :]
        recent = known & (names == name) & (dates >= days[0]) & (dates <= date)
        if recent.any():
            here = few & (dates == date) & (names == name)
            result[here] = _weighted_median(rate[recent], (weight * tau**2)[recent])
    return result


def _weighted_median(values: Floats, weights: Floats) -> float:
    order = np.argsort(values)
    share = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(share, 0.5 * share[-1])])


def _fit(
    pairs: pd.DataFrame | None, tau: float, line: _Line, rate: float, rules: ParityRules
) -> tuple[Any, ...]:
    """Figures of one expiry, or the reason for which it is refused."""
    if pairs is None:
        return _refusal("no strike has both a call and a put")
    own = line.total >= rules.minimum_pairs
    discount = line.discount if own else float(np.exp(-rate * tau))
    if not np.isfinite(discount):
        return _refusal("too few pairs, and no rate to borrow")
    low, high = np.exp(-rules.rate_high * tau) - rules.slack, np.exp(-rules.rate_low * tau) + rules.slack
    if not low < discount < high:
        return _refusal("discount factor out of range", discount)
    weight = 1.0 / line.half**2
    forward = float(np.average(line.strike + line.difference / discount, weights=weight))
    spot = float(pairs["spot"].median())
    if forward <= 0 or (np.isfinite(spot) and abs(np.log(forward / spot)) > rules.far_from_spot):
        return _refusal("forward far from the spot", forward)
    residual = line.difference - discount * (forward - line.strike)
    rms = float(np.sqrt(np.mean(residual**2)))
    return forward, discount, rms, float(np.median(line.half)), line.strike.size, line.outliers, own, ""


def _refusal(reason: str, value: float = np.nan) -> tuple[Any, ...]:
    return (value, *(np.nan,) * 3, 0, 0, False, reason)
