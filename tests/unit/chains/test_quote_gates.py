"""Each gate on quotes passes on a clean market and fails on what it is there for."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from ml_assets.chains import OptionChains, fit_forwards
from ml_assets.gates.core import GateResult
from ml_assets.gates.quotes.chains import (
    accounting,
    no_arbitrage,
    no_future,
    parity,
    schema,
)
from tests.unit.chains.makers import market_chains, parity_quotes

Change = Callable[[pd.DataFrame], pd.DataFrame]
TODAY = dt.date(2024, 12, 31)


def future(chains: OptionChains) -> GateResult:
    return no_future(chains, today=TODAY)


GATES = [schema, accounting, parity, no_arbitrage, future]


@pytest.mark.parametrize("gate", GATES)
def test_a_clean_market_passes(gate: Callable[[OptionChains], GateResult]) -> None:
    result = gate(market_chains())
    assert result.passed, result.message
    assert result.checked > 0


@pytest.mark.parametrize("gate", GATES)
def test_no_quotes_are_no_pass(gate: Callable[[OptionChains], GateResult]) -> None:
    chains = market_chains()
    empty = OptionChains(
        chains.quotes.head(0), chains.forwards.head(0), chains.refused, chains.report, chains.simulated
    )
    assert not gate(empty).passed


def put(row: int, **values: object) -> Change:
    """Change cells of one row."""

    def change(quotes: pd.DataFrame) -> pd.DataFrame:
        changed = quotes.copy()
        for name, value in values.items():
            changed.loc[row, name] = value
        return changed

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (put(7, bid=0.0), "a finite positive bid"),
        (put(7, bid=np.nan), "a finite positive bid"),
        (put(7, ask=0.01), "an ask above its bid"),
        (put(7, strike=-5.0), "a finite positive strike"),
        (put(7, expiry=pd.Timestamp("2023-01-06")), "an expiry after its day"),
        (lambda quotes: pd.concat([quotes, quotes.head(1)], ignore_index=True), "a key of its own"),
        (lambda quotes: quotes.iloc[::-1].reset_index(drop=True), "order"),
    ],
)
def test_schema_names_the_broken_rule_and_the_option(change: Change, said: str) -> None:
    chains = market_chains()
    result = schema(chains.with_quotes(change(chains.quotes)))
    assert not result.passed
    assert said in result.message
    assert "SIMULATED 2024-01-02" in result.message or said == "order"


def test_accounting_misses_a_row() -> None:
    chains = market_chains()
    lost = chains.with_quotes(chains.quotes.drop(index=5).reset_index(drop=True))
    assert "there are" in accounting(lost).message
    assert not accounting(lost).passed


def test_accounting_misses_a_reason() -> None:
    chains = market_chains()
    report = replace(chains.report, dropped={})
    result = accounting(replace(chains, report=report))
    assert not result.passed
    assert "a row has no fate" in result.message


def test_accounting_misses_an_expiry() -> None:
    chains = market_chains()
    result = accounting(replace(chains, forwards=chains.forwards.iloc[1:]))
    assert not result.passed
    assert "have a forward" in result.message


def test_parity_catches_forwards_that_are_not_the_quotes() -> None:
    chains = market_chains()
    moved = chains.forwards.assign(forward=chains.forwards["forward"] + 10.0)
    result = parity(replace(chains, forwards=moved))
    assert not result.passed
    assert "residual 9." in result.message
    assert "half-spreads" in result.message


def test_parity_catches_calls_and_puts_of_different_moments() -> None:
    chains = market_chains()
    rng = np.random.default_rng(0)
    shift = np.where(chains.quotes["call"], rng.normal(0.0, 20.0, len(chains.quotes)), 0.0)
    noisy = chains.with_quotes(
        chains.quotes.assign(bid=chains.quotes["bid"] + shift, ask=chains.quotes["ask"] + shift)
    )
    assert not parity(noisy).passed


def test_parity_refuses_made_up_quotes_with_the_discount_that_they_show() -> None:
    """Intrinsic values inflated by a fifth, as in a generated file that we met."""
    quotes = parity_quotes(discount=1.2)
    fake = OptionChains(quotes, *fit_forwards(quotes), market_chains().report, False)
    result = parity(fake)
    assert not result.passed
    assert "discount factor out of range (1.2;" in result.message


def test_thin_chains_are_not_called_bad() -> None:
    rich, lonely = parity_quotes(), parity_quotes(expiry="2019-09-20").query("call")
    quotes = pd.concat([rich, lonely], ignore_index=True)
    chains = OptionChains(quotes, *fit_forwards(quotes), market_chains().report, False)
    assert len(chains.refused) == 1
    assert parity(chains).passed


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"call": 1.5, "put": 1.0}, "too steep"),
        ({"call": 0.0, "put": 0.0}, "not monotone"),
        ({"smile": 1.0}, "not convex"),
    ],
)
def test_arbitrage_between_neighbors_is_found(values: dict[str, float], said: str) -> None:
    quotes = market_chains().quotes
    strike = quotes["strike"].to_numpy()
    if "smile" in values:  # concave in the strike, within the slopes allowed
        price = (
            400.0 - (strike - 3000.0) ** 2 / 3000.0 + 0.5 * np.where(quotes["call"], -1, 1) * (strike - 3000)
        )
    elif values["call"]:
        price = np.where(quotes["call"], 5000.0 - 1.5 * strike + 1e3, strike - 2000.0)
    else:
        price = np.where(quotes["call"], strike - 2000.0, 6000.0 - strike)
    bad = market_chains().with_quotes(quotes.assign(bid=price - 0.001, ask=price + 0.001))
    result = no_arbitrage(bad)
    assert not result.passed
    assert result.figures[said] > 0
    assert "for nothing" in result.message


def test_what_the_spread_allows_is_no_arbitrage() -> None:
    quotes = market_chains().quotes
    rng = np.random.default_rng(0)
    shift = rng.uniform(-0.3, 0.3, len(quotes))
    wide = quotes.assign(bid=quotes["bid"] + shift - 0.31, ask=quotes["ask"] + shift + 0.31)
    assert no_arbitrage(market_chains().with_quotes(wide)).figures["share"] == 0.0


def test_a_quote_of_tomorrow_is_refused() -> None:
    result = no_future(market_chains(), today=dt.date(2024, 1, 4))
    assert not result.passed
    assert "2024-01-05" in result.message
    assert "date_format" in result.message
