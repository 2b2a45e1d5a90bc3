"""Out-of-the-money options with their implied volatilities, and each one's yesterday."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml_assets.chains.chains import OptionChains
from ml_assets.chains.cleaning import KEY
from ml_assets.chains.implied import forward_quotes, implied_volatility
from ml_assets.chains.parity import EXPIRY_KEY
from ml_assets.chains.times import sessions_to_expiry
from ml_assets.pinn.european.closed_form import value_closed_form
from ml_assets.pinn.quotes import Quotes

__all__ = ["OPTION_KEY", "STATED", "WalkRules", "build_panel", "contract_terms", "day_pairs", "priced"]

OPTION_KEY = KEY[1:]
"""What names an option from day to day."""
STATED = ("forward", "discount", "tau", "sessions", "k")
"""What a forecast may know of the day that it is for: its forwards and discount factors, and the calendar."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class WalkRules:
    """Which options are forecast and scored.

    Parameters
    ----------
    least_days, most_years : float
        Time to expiry, exclusive; on both days, since it only shrinks.
    low, high : float
        Strike over forward, exclusive, on both days.
    shortest_days : float
        Options nearer to expiry than ``least_days`` but not than this still show the variance of the next
        session.
    """

    least_days: float = 6.0
    most_years: float = 1.05
    low: float = 0.8
    high: float = 1.15
    shortest_days: float = 0.5


def build_panel(chains: OptionChains, rules: WalkRules) -> pd.DataFrame:
    """Imply volatilities from the mids of all out-of-the-money options with a forward.

    Returns
    -------
    pandas.DataFrame
        The key of the option, ``bid``, ``ask``, ``mid``, ``forward``, ``discount``, ``tau`` (years),
        ``sessions`` (to expiry), ``k`` (ln strike / forward), ``vol`` (per year), ``weight`` (vega over
        spread: what a quote says about the volatility), ``scored`` (whether it lies inside the rules).
    """
    columns = [*EXPIRY_KEY, "tau", "forward", "discount"]
    quotes = chains.quotes.merge(chains.forwards[columns], on=list(EXPIRY_KEY), how="inner")
    otm = quotes["call"] == (quotes["strike"] >= quotes["forward"])
    ratio = quotes["strike"] / quotes["forward"]
    inside = (ratio > rules.low) & (ratio < rules.high) & (quotes["tau"] > rules.shortest_days / 365.0)
    panel = quotes[otm & inside & (quotes["tau"] < rules.most_years)].reset_index(drop=True)
    panel["mid"] = 0.5 * (panel["bid"] + panel["ask"])
    panel["k"] = np.log(panel["strike"] / panel["forward"])
    panel["sessions"] = sessions_to_expiry(
        panel["date"].to_numpy(), panel["expiry"].to_numpy(), panel["at_open"].to_numpy()
    )
    forward, strike, tau, discount, call = contract_terms(panel)
    panel["vol"] = implied_volatility(panel["mid"].to_numpy(), forward, strike, tau, discount, call)
    panel = panel[np.isfinite(panel["vol"])]  # an out-of-the-money mid above its bound has none
    vega = value_closed_form(priced(panel, panel["vol"].to_numpy()))["vega"]
    scored = panel["tau"] > rules.least_days / 365.0
    weight = vega / (panel["ask"] - panel["bid"]).to_numpy()
    result: pd.DataFrame = panel.assign(weight=weight, scored=scored).drop(columns="spot")
    return result.reset_index(drop=True)


def contract_terms(options: pd.DataFrame) -> tuple[Floats, Floats, Floats, Floats, npt.NDArray[np.bool_]]:
    """Forward, strike, years, discount factor and type of options, as arrays."""
    forward, strike, tau, discount = (
        options[name].to_numpy(np.float64) for name in ("forward", "strike", "tau", "discount")
    )
    return forward, strike, tau, discount, options["call"].to_numpy(dtype=bool)


def priced(options: pd.DataFrame, sigma: Floats) -> Quotes:
    """Describe options at given volatilities to whatever prices them."""
    forward, strike, tau, discount, call = contract_terms(options)
    return forward_quotes(forward, strike, tau, discount, sigma, call)


def day_pairs(panel: pd.DataFrame) -> list[tuple[pd.DataFrame, pd.DataFrame]]:
    """Pair each day of an underlying with its next quoted day.

    Returns
    -------
    list of (DataFrame, DataFrame)
        Yesterday's rows, all of them; and today's scored rows that were quoted yesterday, with ``before``:
        the position of the same option among yesterday's rows.
    """
    pairs = []
    for _, rows in panel.groupby("underlying"):
        days = [day.reset_index(drop=True) for _, day in rows.groupby("date")]
        for yesterday, today in pairwise(days):
            place = yesterday[list(OPTION_KEY)].assign(before=np.arange(len(yesterday)))
            matched = today[today["scored"]].merge(place, on=list(OPTION_KEY))
            pairs.append((yesterday, matched))
    return pairs
