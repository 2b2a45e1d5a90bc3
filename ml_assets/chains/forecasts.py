"""Five answers to one question: what will this option cost tomorrow, given tomorrow's forward?"""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml_assets.chains.chains import OptionChains
from ml_assets.chains.cleaning import KEY
from ml_assets.chains.panel import STATED, WalkRules, build_panel, day_pairs, priced
from ml_assets.chains.parity import EXPIRY_KEY
from ml_assets.chains.smile import COEFFICIENTS, SmileLearner, smile_design
from ml_assets.pinn.european.closed_form import value_closed_form

__all__ = ["LAST_PRICE", "MODELS", "VOL_MODELS", "forecast_walk"]

Floats = npt.NDArray[np.float64]

LAST_PRICE = "last_price"
VOL_MODELS = ("flat", "sticky_moneyness", "sticky_strike", "smile")
MODELS = (LAST_PRICE, *VOL_MODELS)
"""``last_price``: yesterday's mid. ``flat``: yesterday's volatility at the forward, for every strike of the
expiry. ``sticky_moneyness``: yesterday's volatility at today's ln(K / F). ``sticky_strike``: the option's own
volatility of yesterday. ``smile``: see :mod:`ml_assets.chains.smile`."""


def forecast_walk(chains: OptionChains, rules: WalkRules | None = None) -> pd.DataFrame:
    """Forecast every day from the day before.

    Parameters
    ----------
    chains : OptionChains
    rules : WalkRules, optional
        Which options are scored.

    Returns
    -------
    pandas.DataFrame
        One row per option that is quoted, and scored by the rules, on two successive days of quotes: the
        option's key with the day that is forecast, a volatility per year under the name of each model of
        :data:`VOL_MODELS`, ``last_price`` in currency, and the learnt coefficients ``clock``, ``carry`` and
        ``skew`` that the day's forecast used.
    """
    panel = build_panel(chains, rules or WalkRules())
    learners: dict[str, SmileLearner] = {}
    days = []
    for yesterday, today in day_pairs(panel):
        if today.empty:
            continue
        learner = learners.setdefault(str(today["underlying"].iloc[0]), SmileLearner())
        stated = today[[*KEY, *STATED, "before"]]
        design = smile_design(yesterday, stated)
        days.append(_forecast(yesterday, stated, design, learner.coefficients()))
        # Only now is today's market looked at: what it teaches serves the days after.
        vol = days[-1]["sticky_strike"].to_numpy()
        half_spread = 0.5 * (today["ask"] - today["bid"]).to_numpy()
        vega = value_closed_form(priced(stated, vol))["vega"]
        learner.learn(design, today["vol"].to_numpy() - vol, vega, half_spread)
    columns = [*KEY, *VOL_MODELS, LAST_PRICE, *COEFFICIENTS]
    return pd.concat(days, ignore_index=True) if days else pd.DataFrame(columns=columns)


def _forecast(
    yesterday: pd.DataFrame, today: pd.DataFrame, design: Floats, coefficients: Floats
) -> pd.DataFrame:
    """All models for one day; of today only what is stated."""
    before = today["before"].to_numpy()
    own = yesterday["vol"].to_numpy()[before]
    flat, moneyness = _interpolated(yesterday, today)
    forecasts = {
        "flat": flat,
        "sticky_moneyness": moneyness,
        "sticky_strike": own,
        "smile": np.maximum(own + design @ coefficients, 0.1 * own),
        LAST_PRICE: yesterday["mid"].to_numpy()[before],
        **dict(zip(COEFFICIENTS, coefficients, strict=True)),
    }
    return today[list(KEY)].assign(**forecasts)


def _interpolated(yesterday: pd.DataFrame, today: pd.DataFrame) -> tuple[Floats, Floats]:
    """Yesterday's smile of each expiry, at the forward and at today's moneyness; flat beyond its ends."""
    group = list(EXPIRY_KEY[1:])
    smiles: dict[Hashable, pd.DataFrame] = {
        key: rows.sort_values("k") for key, rows in yesterday.groupby(group, sort=False)
    }
    flat, moneyness = np.empty(len(today)), np.empty(len(today))
    k = today["k"].to_numpy()
    for key, rows in today.groupby(group, sort=False).indices.items():
        smile = smiles[key]
        known, vol = smile["k"].to_numpy(), smile["vol"].to_numpy()
        flat[rows], moneyness[rows] = np.interp(0.0, known, vol), np.interp(k[rows], known, vol)
    return flat, moneyness
