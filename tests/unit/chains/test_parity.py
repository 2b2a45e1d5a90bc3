"""The parity regression finds planted forwards, also among bad quotes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_assets.chains import fit_forwards
from tests.unit.chains.makers import market_chains, parity_quotes


@settings(max_examples=30, deadline=None)
@given(
    forward=st.floats(2900.0, 3100.0),
    discount=st.floats(0.955, 1.005),
    seed=st.integers(0, 1000),
    bad=st.integers(0, 4),
    size=st.floats(3.0, 500.0),
)
def test_planted_forward_and_discount_with_outliers(
    forward: float, discount: float, seed: int, bad: int, size: float
) -> None:
    rng = np.random.default_rng(seed)
    strikes = np.arange(2800.0, 3200.0, 10.0)
    noise = np.zeros(strikes.size)
    inner = np.flatnonzero(np.abs(strikes / forward - 1) < 0.04)
    noise[rng.choice(inner, bad, replace=False)] = size * rng.choice([-1, 1], bad)
    forwards, refused = fit_forwards(parity_quotes(forward, discount, strikes, noise=noise))
    assert refused.empty
    assert forwards["forward"].iloc[0] == pytest.approx(forward, abs=1e-6)
    assert forwards["discount"].iloc[0] == pytest.approx(discount, abs=1e-8)
    assert forwards["outliers"].iloc[0] == bad
    assert forwards["residual"].iloc[0] < 1e-6
    assert forwards["own_rate"].all()


def test_plain_least_squares_would_have_been_moved() -> None:
    """The planted quote is bad enough to matter: without robustness the forward is dollars off."""
    noise = np.zeros(40)
    noise[3] = 200.0
    quotes = parity_quotes(noise=noise)
    middle = quotes["bid"] + 0.5
    calls, puts = (middle[quotes["call"] == kind].to_numpy() for kind in (True, False))
    slope, level = np.polyfit(quotes.loc[quotes["call"], "strike"], calls - puts, 1)
    assert abs(level / -slope - 3010.0) > 2.0


def test_a_dead_quote_far_away_is_not_taken_for_the_money() -> None:
    """A strike at which call and put seem to cost the same, thirty per cent below the forward."""
    quotes = parity_quotes(strikes=np.arange(2000.0, 3600.0, 25.0))
    dead = quotes["strike"] == 2100.0
    quotes.loc[dead, ["bid", "ask"]] = 0.05, 0.10
    forwards, _ = fit_forwards(quotes)
    assert forwards["forward"].iloc[0] == pytest.approx(3010.0, abs=1e-6)


def test_the_simulated_market_s_forwards_are_found() -> None:
    chains = market_chains()
    spot = chains.quotes.groupby("date")["spot"].first()
    truth = chains.forwards["date"].map(spot) * np.exp(0.015 * chains.forwards["tau"])
    assert np.abs(chains.forwards["forward"] / truth - 1).max() < 2e-5
    assert np.abs(chains.forwards["discount"] - np.exp(-0.03 * chains.forwards["tau"])).max() < 1e-3


def test_an_expiry_with_few_pairs_borrows_the_rate_of_the_last_days() -> None:
    rich = parity_quotes(discount=0.99, date="2019-05-06")
    poor = parity_quotes(discount=0.99, date="2019-05-07", strikes=np.array([3000.0]))
    forwards, refused = fit_forwards(pd.concat([rich, poor], ignore_index=True))
    assert refused.empty
    borrowed = forwards[forwards["date"] == "2019-05-07"].iloc[0]
    assert not borrowed["own_rate"]
    rate = -np.log(0.99) / (102 / 365)
    assert borrowed["discount"] == pytest.approx(np.exp(-rate * 101 / 365), abs=1e-9)


def test_a_rate_is_not_borrowed_from_the_future() -> None:
    poor = parity_quotes(date="2019-05-07", strikes=np.array([3000.0]))
    rich = parity_quotes(date="2019-05-08")
    forwards, refused = fit_forwards(pd.concat([poor, rich], ignore_index=True))
    assert refused["reason"].tolist() == ["too few pairs, and no rate to borrow"]
    assert len(forwards) == 1


@pytest.mark.parametrize(
    ("quotes", "reason"),
    [
        (lambda: parity_quotes().query("call"), "no strike has both a call and a put"),
        (lambda: parity_quotes(strikes=[3000.0]), "too few pairs, and no rate to borrow"),
        (lambda: parity_quotes(discount=1.2), "discount factor out of range"),
        (lambda: parity_quotes(discount=0.8), "discount factor out of range"),
        (lambda: parity_quotes().assign(spot=30.0), "forward far from the spot"),
    ],
)
def test_an_expiry_without_a_credible_line_is_refused(quotes: object, reason: str) -> None:
    forwards, refused = fit_forwards(quotes().reset_index(drop=True))  # type: ignore[operator]
    assert forwards.empty
    assert refused["reason"].tolist() == [reason]
    if "out of range" in reason:
        assert refused["value"].iloc[0] in (pytest.approx(1.2), pytest.approx(0.8))
