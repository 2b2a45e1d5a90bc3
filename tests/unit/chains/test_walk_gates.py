"""The walk's gates pass on the honest walk; each planted leak, loss or slip is caught."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from ml_assets.chains import OptionChains, forecasts
from ml_assets.chains.cleaning import KEY
from ml_assets.chains.forecasts import forecast_walk
from ml_assets.chains.panel import WalkRules, build_panel
from ml_assets.chains.smile import SmileLearner, smile_design
from ml_assets.chains.walk_forward import OptionWalkForward, Versions, walk_chains
from ml_assets.gates.quotes.walk_forward import (
    certified_versions,
    every_day_scored,
    figures_recomputed,
    no_look_ahead,
)
from ml_assets.pinn.european.closed_form import value_closed_form
from ml_assets.pinn.european.greeks import value_quotes
from ml_assets.pinn.quotes import make_quotes
from ml_assets.pinn.serving.pricer import NetworkPricer
from ml_assets.reports.option_walk import walk_pages
from tests.pinn_fixtures import random_weights
from tests.unit.chains.makers import market_chains

VERSIONS = Versions("a" * 64, "b" * 64)


@pytest.fixture(scope="module")
def chains() -> OptionChains:
    """Every third strike of 33 days: quick, and long enough for the gates."""
    whole = market_chains(days=33)
    quotes = whole.quotes[whole.quotes["strike"] % 75 == 0].reset_index(drop=True)
    return whole.with_quotes(quotes)


def walked(chains: OptionChains) -> OptionWalkForward:
    return walk_chains(chains, lambda quotes: value_closed_form(quotes)["price"], VERSIONS)


@pytest.fixture(scope="module")
def walk(chains: OptionChains) -> OptionWalkForward:
    return walked(chains)


def test_the_honest_walk_passes(walk: OptionWalkForward, chains: OptionChains) -> None:
    for result in (
        no_look_ahead(walk, chains),
        every_day_scored(walk, chains),
        figures_recomputed(walk, chains),
        certified_versions(walk, VERSIONS),
    ):
        assert result.passed, result.message
        assert result.checked > 0


def test_the_walk_keeps_its_bytes(walk: OptionWalkForward) -> None:
    data = walk.to_bytes()
    again = OptionWalkForward.from_bytes(data)
    assert again.to_bytes() == data
    pd.testing.assert_frame_equal(again.forecasts, walk.forecasts)
    pd.testing.assert_frame_equal(again.figures, walk.figures)
    assert (again.versions, again.name) == (VERSIONS, "SIMULATED_option_walk_forward")


# ------------------------------------------------------------------ leaks: each is a walk with one fault

Pairs = list[tuple[pd.DataFrame, pd.DataFrame]]


def _with_pairs(chains: OptionChains, change: Callable[[Pairs], None]) -> pd.DataFrame:
    """Walk with the pairs of days changed before they are used."""
    honest = forecasts.day_pairs

    def changed(panel: pd.DataFrame) -> Pairs:
        pairs = honest(panel)
        change(pairs)
        return pairs

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(forecasts, "day_pairs", changed)
        return forecast_walk(chains)


def smoothed_with_today(chains: OptionChains) -> pd.DataFrame:
    """Yesterday's volatilities averaged with today's: smoothing across days, not only across strikes."""

    def mix(pairs: Pairs) -> None:
        for yesterday, today in pairs:
            at = today["before"].to_numpy()
            own = yesterday["vol"].to_numpy()[at]
            yesterday.loc[at, "vol"] = 0.99 * own + 0.01 * today["vol"].to_numpy()

    return _with_pairs(chains, mix)


def coefficients_of_all_days(chains: OptionChains) -> pd.DataFrame:
    """Beta fitted on every pair of days, then used for each of them."""
    taught = SmileLearner()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(forecasts, "SmileLearner", lambda: taught)
        forecast_walk(chains)
        final = taught.coefficients()
        patch.setattr(SmileLearner, "coefficients", lambda _: final)
        return forecast_walk(chains)


def learnt_a_day_early(chains: OptionChains) -> pd.DataFrame:
    """Off by one: each day's own change is learnt before the day is forecast."""
    lessons: list[tuple[np.ndarray, ...]] = []
    learn, coefficients = SmileLearner.learn, SmileLearner.coefficients

    def note(pairs: Pairs) -> None:
        for yesterday, today in pairs:
            change = today["vol"].to_numpy() - yesterday["vol"].to_numpy()[today["before"].to_numpy()]
            size = np.full(len(today), 300.0)
            lessons.append((smile_design(yesterday, today), change, size, size / 1000))

    def eager(self: SmileLearner) -> np.ndarray:
        learn(self, *lessons[len(self._design)])
        return coefficients(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SmileLearner, "coefficients", eager)
        patch.setattr(SmileLearner, "learn", lambda *_: None)
        return _with_pairs(chains, note)


def level_of_today(chains: OptionChains) -> pd.DataFrame:
    """The flat volatility taken from the day that is forecast."""
    panel = build_panel(chains, WalkRules())
    return forecast_walk(chains).assign(flat=lambda f: f["date"].map(panel.groupby("date")["vol"].median()))


def price_of_today(chains: OptionChains) -> pd.DataFrame:
    """Yesterday's price mixed with today's."""
    rows = forecast_walk(chains).merge(chains.quotes, on=list(KEY))
    mixed = 0.999 * rows["last_price"] + 0.0005 * (rows["bid"] + rows["ask"])
    return rows.assign(last_price=mixed).drop(columns=["bid", "ask", "spot"])


def easy_options_only(chains: OptionChains) -> pd.DataFrame:
    """The options that moved most left out: a choice that only hindsight can make."""
    rows = forecast_walk(chains).merge(chains.quotes, on=list(KEY))
    moved = np.abs(np.log(0.5 * (rows["bid"] + rows["ask"]) / rows["last_price"]))
    return rows[moved < moved.median()].drop(columns=["bid", "ask", "spot"])


def scaled_by_the_whole_sample(chains: OptionChains) -> pd.DataFrame:
    """Volatilities pulled towards a mean that all days, the coming ones too, enter."""
    rows = forecast_walk(chains)
    return rows.assign(smile=0.9 * rows["smile"] + 0.1 * rows["smile"].mean())


LEAKS = [
    smoothed_with_today,
    coefficients_of_all_days,
    learnt_a_day_early,
    level_of_today,
    price_of_today,
    easy_options_only,
    scaled_by_the_whole_sample,
]


@pytest.mark.parametrize("leak", LEAKS, ids=lambda leak: leak.__name__)
def test_a_planted_leak_is_caught(
    leak: Callable[[OptionChains], pd.DataFrame], walk: OptionWalkForward, chains: OptionChains
) -> None:
    result = no_look_ahead(replace(walk, forecasts=leak(chains)), chains, leak)
    assert not result.passed
    assert "SIMULATED 2024-" in result.message
    assert "redrawn" in result.message or "true future" in result.message


def test_forecasts_that_the_code_does_not_make_are_caught(
    walk: OptionWalkForward, chains: OptionChains
) -> None:
    edited = walk.forecasts.assign(smile=walk.forecasts["smile"] * 1.0001)
    assert not no_look_ahead(replace(walk, forecasts=edited), chains).passed


# ------------------------------------------------------------------ losses and slips


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda rows: rows.drop(index=10), "1 options are missing"),
        (lambda rows: rows[rows["date"] != rows["date"].max()], "are missing"),
        (lambda rows: pd.concat([rows, rows.head(1)]), "twice"),
        (lambda rows: pd.concat([rows, rows.head(1).assign(strike=1.0)]), "1 are beyond the rules"),
    ],
)
def test_every_option_must_be_scored(
    change: Callable[[pd.DataFrame], pd.DataFrame], said: str, walk: OptionWalkForward, chains: OptionChains
) -> None:
    result = every_day_scored(replace(walk, forecasts=change(walk.forecasts)), chains)
    assert not result.passed
    assert said in result.message


def test_too_few_days_are_no_walk() -> None:
    short = market_chains()
    result = every_day_scored(walked(short), short)
    assert not result.passed
    assert "5 days are scored, 30 are needed" in result.message


@pytest.mark.parametrize("name", ["mae", "rmse", "vol_points", "r2", "inside", "options"])
def test_a_wrong_figure_is_found(name: str, walk: OptionWalkForward, chains: OptionChains) -> None:
    figures = walk.figures.copy()
    row = len(figures) // 2
    figures[name] = figures[name].astype(float)
    figures.loc[row, name] = figures.loc[row, name] * 0.99 - 0.01 * (name == "inside")
    result = figures_recomputed(replace(walk, figures=figures), chains)
    assert not result.passed
    assert f"{name} " in result.message
    assert "recomputed" in result.message


def test_a_lost_bucket_is_found(walk: OptionWalkForward, chains: OptionChains) -> None:
    result = figures_recomputed(replace(walk, figures=walk.figures.iloc[:-5]), chains)
    assert not result.passed


def test_a_pricer_that_is_off_by_a_hundredth_of_a_cent_is_found(chains: OptionChains) -> None:
    wrong = walk_chains(chains, lambda quotes: value_closed_form(quotes)["price"] + 1e-4, VERSIONS)
    result = figures_recomputed(wrong, chains)
    assert not result.passed
    assert "mae" in result.message


@pytest.mark.parametrize("what", ["quotes", "network"])
def test_another_version_is_found(what: str, walk: OptionWalkForward) -> None:
    result = certified_versions(walk, replace(VERSIONS, **{what: "c" * 64}))
    assert not result.passed
    assert what in result.message


def test_nothing_to_forecast_says_what_is_missing() -> None:
    chains = market_chains()
    one = chains.with_quotes(chains.quotes[chains.quotes["date"] == chains.days[0]])
    with pytest.raises(ValueError, match="two successive days"):
        walked(one)


# ------------------------------------------------------------------ the page


def test_the_page_says_what_it_shows(walk: OptionWalkForward) -> None:
    pricer = NetworkPricer(random_weights(0))
    pages = walk_pages(walk, pricer)
    assert [name.rpartition("/")[2] for name in pages] == [
        f"SIMULATED_option_walk_forward{end}" for end in (".md", "_by_day.png", "_by_kind.png")
    ]
    page = pages["options/SIMULATED_option_walk_forward.md"].decode()
    errors = walk.errors()
    for part in (
        "# SIMULATED: ",
        "smile model",
        f"| {errors['smile']:.3f} |",
        "measures the forecast",
        "a" * 12,
    ):
        assert part in page
    for name in pages:
        assert name.endswith(".md") or (
            name.rpartition("/")[2] in page and pages[name].startswith(b"\x89PNG")
        )
    assert pages == walk_pages(walk, pricer)


def test_real_quotes_are_not_called_simulated(walk: OptionWalkForward) -> None:
    pages = walk_pages(replace(walk, simulated=False), NetworkPricer(random_weights(0)))
    assert not any("SIMULATED" in name for name in pages)
    text = pages["options/option_walk_forward.md"].decode()
    assert "SIMULATED" not in text.replace(walk.source, "")


def test_the_pricer_counts_what_the_network_answers() -> None:
    weights = random_weights(0)
    pricer = NetworkPricer(weights)
    inside = make_quotes(100.0, [100.0, 100.0], 0.5, 0.02, [0.2, 9.0])
    np.testing.assert_array_equal(pricer(inside), value_quotes(weights, inside)[0]["price"])
    assert pricer.network_share == 0.5
    assert pricer.largest_error > 0.0
