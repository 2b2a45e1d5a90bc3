"""Forecasts against a market whose truth is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from ml_assets.chains import OptionChains, SimulatedMarket, simulate_chains
from ml_assets.chains.cleaning import KEY
from ml_assets.chains.figures import score_forecasts
from ml_assets.chains.forecasts import MODELS, VOL_MODELS, forecast_walk
from ml_assets.chains.panel import WalkRules, build_panel, day_pairs
from ml_assets.chains.parity import EXPIRY_KEY
from ml_assets.chains.smile import PRIOR, SmileLearner, smile_design
from ml_assets.chains.times import sessions_to_expiry, years_to_expiry
from ml_assets.pinn.european.closed_form import value_closed_form
from ml_assets.pinn.quotes import Quotes
from tests.unit.chains.makers import black, market_chains

# Fine ticks: what is left are the models' own errors.
FINE = SimulatedMarket(days=10, tick=1e-6, half_spread=1e-3)


def price(quotes: Quotes) -> np.ndarray:
    return value_closed_form(quotes)["price"]


def true_vols(market: SimulatedMarket, options: pd.DataFrame, days_before: int = 0) -> np.ndarray:
    """The market's own volatility of each option, on its day or some days of quotes before."""
    dates, spot, front = market.paths()
    at = np.searchsorted(dates, options["date"].to_numpy()) - days_before
    when = (dates[at], options["expiry"].to_numpy(), options["at_open"].to_numpy())
    strike = options["strike"].to_numpy()
    return market.surface(spot[at], front[at], sessions_to_expiry(*when), years_to_expiry(*when), strike)


def overall(chains: OptionChains, forecasts: pd.DataFrame) -> pd.DataFrame:
    figures = score_forecasts(chains, forecasts, price)
    return figures[figures["group"] == "all"].set_index("model")


def test_sticky_strike_error_is_the_known_one() -> None:
    """Priced from the market's truth of the day before, without chains, parity or inversion."""
    chains = simulate_chains(FINE)
    forecasts = forecast_walk(chains)
    rows = forecasts.merge(chains.forwards, on=list(EXPIRY_KEY)).merge(chains.quotes, on=list(KEY))
    spot, tau, discount = rows["spot"], rows["tau"], np.exp(-0.03 * rows["tau"])
    inputs = (spot * np.exp(0.015 * tau), rows["strike"], tau, discount)
    yesterday, today = (black(*inputs, true_vols(FINE, rows, n), rows["call"]) for n in (1, 0))
    known = np.abs(yesterday - today)
    found = overall(chains, forecasts).loc["sticky_strike"]
    assert found["mae"] == pytest.approx(known.mean(), rel=2e-3)
    assert found["rmse"] == pytest.approx(np.sqrt(np.mean(known**2)), rel=2e-3)
    assert known.mean() > 0.3


def test_volatilities_of_the_panel_are_the_markets() -> None:
    panel = build_panel(simulate_chains(FINE), WalkRules())
    assert np.abs(panel["vol"] - true_vols(FINE, panel)).max() < 2e-4


def test_without_shocks_forward_variances_stay_and_the_smile_model_knows() -> None:
    """No smile and no shock: what is left is the clock of sessions and the carry, which are soon learnt."""
    calm = simulate_chains(replace(FINE, shock=0.0, skew=0.0, curvature=0.0))
    forecasts = forecast_walk(calm)
    late = forecasts[forecasts["date"] > calm.days[5]]
    errors = overall(calm, late)["mae"]
    assert errors["smile"] < 0.15 * errors["sticky_strike"]
    last = late.iloc[-1]
    assert last["clock"] == pytest.approx(1.0, abs=0.1)
    assert last["carry"] == pytest.approx(1.0, abs=0.25)


def test_a_smile_that_moves_with_the_index_is_sticky_in_moneyness() -> None:
    moving = replace(FINE, shock=0.0, follow=1.0)
    errors = overall(simulate_chains(moving), forecast_walk(simulate_chains(moving)))["mae"]
    assert errors["sticky_moneyness"] < 0.5 * errors["sticky_strike"]


def test_on_the_default_market_each_model_has_its_place() -> None:
    chains = market_chains(days=20)
    errors = overall(chains, forecast_walk(chains))["mae"]
    assert errors["smile"] < errors["sticky_strike"] < errors["sticky_moneyness"] < errors["last_price"]
    assert errors["last_price"] < errors["flat"]


def test_every_forecast_is_of_an_option_quoted_on_both_days() -> None:
    chains = market_chains()
    forecasts = forecast_walk(chains)
    days = chains.days
    assert forecasts["date"].nunique() == len(days) - 1
    assert set(days[1:]) == set(forecasts["date"])
    assert np.isfinite(forecasts[[*VOL_MODELS, "last_price"]]).all().all()
    previous = dict(zip(days[1:], days[:-1], strict=True))
    before = forecasts.assign(date=forecasts["date"].map(previous)).merge(chains.quotes, on=list(KEY))
    assert len(before) == len(forecasts)
    np.testing.assert_array_equal(before["last_price"], 0.5 * (before["bid"] + before["ask"]))


def test_the_first_day_is_forecast_with_the_prior() -> None:
    first = forecast_walk(market_chains()).iloc[0]
    assert tuple(first[["clock", "carry", "skew"]]) == PRIOR


def test_one_expiry_with_two_strikes_is_enough() -> None:
    """Sparse chains: the quadratic falls back to a line, nothing is NaN."""
    chains = market_chains()
    quotes = chains.quotes[chains.quotes["strike"].isin([2900.0, 3000.0])]
    forecasts = forecast_walk(chains.with_quotes(quotes.reset_index(drop=True)))
    assert len(forecasts) > 20
    assert np.isfinite(forecasts[list(VOL_MODELS)]).all().all()


def test_chains_of_one_day_give_no_forecast() -> None:
    chains = market_chains()
    first = chains.quotes[chains.quotes["date"] == chains.days[0]]
    forecasts = forecast_walk(chains.with_quotes(first))
    assert forecasts.empty
    assert list(KEY) == list(forecasts.columns[:6])


def test_two_underlyings_do_not_mix() -> None:
    """The same market under two names: each is forecast as if it were alone."""
    one = market_chains()
    twin = {
        name: pd.concat([frame, frame.assign(underlying="TWIN")], ignore_index=True)
        for name, frame in (("quotes", one.quotes), ("forwards", one.forwards))
    }
    both = forecast_walk(OptionChains(twin["quotes"], twin["forwards"], one.refused, one.report, True))
    alone = forecast_walk(one)
    for name in ("SIMULATED", "TWIN"):
        part = both[both["underlying"] == name].drop(columns="underlying").reset_index(drop=True)
        pd.testing.assert_frame_equal(part, alone.drop(columns="underlying"))


def test_the_learner_finds_planted_coefficients_and_forgets_its_prior() -> None:
    rng = np.random.default_rng(0)
    planted, learner = np.array([0.8, 0.4, 0.3]), SmileLearner()
    for _ in range(200):
        design = rng.normal(size=(50, 3)) * [0.01, 0.005, 0.01]
        noise = 0.002 * rng.standard_t(3, size=50)
        learner.learn(design, design @ planted + noise, np.full(50, 300.0), np.full(50, 0.1))
    np.testing.assert_allclose(learner.coefficients(), planted, atol=0.05)


def test_the_design_reads_of_today_what_is_stated_alone() -> None:
    yesterday, today = day_pairs(build_panel(market_chains(), WalkRules()))[3]
    stated = ["before", "forward", "tau", "sessions"]
    np.testing.assert_array_equal(smile_design(yesterday, today), smile_design(yesterday, today[stated]))


def test_figures_by_hand() -> None:
    """Two options of one day, prices and errors counted on paper."""
    quotes = pd.DataFrame(
        {
            "date": pd.Timestamp("2024-02-01"), "underlying": "X", "expiry": pd.Timestamp("2024-03-15"),
            "at_open": False, "strike": [95.0, 105.0], "call": [False, True], "bid": [2.0, 4.0],
            "ask": [2.4, 4.4], "spot": 100.0,
        }
    )  # fmt: skip
    forwards = pd.DataFrame(
        {
            "date": pd.Timestamp("2024-02-01"), "underlying": "X", "expiry": pd.Timestamp("2024-03-15"),
            "at_open": False, "tau": [43 / 365], "forward": 100.0, "discount": 1.0,
        }
    )  # fmt: skip
    report = market_chains().report
    chains = OptionChains(quotes, forwards, forwards[[]], report, False)
    forecasts = quotes[list(KEY)].assign(last_price=[2.3, 5.2], **dict.fromkeys(VOL_MODELS, 0.3))
    figures = score_forecasts(chains, forecasts, price)
    last = figures[(figures["model"] == "last_price") & (figures["group"] == "all")].iloc[0]
    assert last["options"] == 2
    assert last["mae"] == pytest.approx(0.55)  # 0.1 and 1.0
    assert last["rmse"] == pytest.approx(np.sqrt((0.01 + 1.0) / 2))
    assert last["r2"] == pytest.approx(1 - 1.01 / 2.0)  # mids 2.2 and 4.2
    assert last["inside"] == 0.5
    buckets = set(zip(figures["group"], figures["bucket"], strict=True))
    assert {("moneyness", "0.95-1"), ("moneyness", "1.05-1.15"), ("expiry", "30-91 d")} <= buckets
    assert len(figures) == len(buckets) * len(MODELS)
