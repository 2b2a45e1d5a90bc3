"""The two simulated symbols: always the same, hidden from nobody, in nobody's way."""

from __future__ import annotations

import numpy as np
import pytest

from ml_assets.forecasts.controls import (
    CONTROLS,
    DIRECTION_CONTROLS,
    EDGE,
    VARIANCE,
    VARIANCE_CONTROLS,
    WALK,
    ControlledSource,
    asked_for,
    control_failures,
)
from ml_assets.prices import PriceSourceError
from ml_assets.prices.simulated import LEVERAGE, simulate
from tests.integration.project import Market


def prices(*symbols: str) -> Market:
    return Market({s: simulate("random_walk", 300, seed=n, symbol=s).prices for n, s in enumerate(symbols)})


def test_controls_join_the_symbols_of_the_source() -> None:
    source = ControlledSource(prices("AAA", "ZZZ"))
    assert source.symbols() == ["AAA", EDGE, WALK, "ZZZ"]
    assert source.load("AAA").symbol == "AAA"
    assert source.problems() == []
    with pytest.raises(PriceSourceError):
        source.load("BBB")


def test_controls_are_always_the_same() -> None:
    one, other = ControlledSource(prices("AAA")), ControlledSource(prices("BBB"))
    for symbol in CONTROLS:
        assert one.load(symbol).to_bytes() == other.load(symbol).to_bytes()
        assert one.load(symbol).symbol == symbol
    assert one.load(EDGE) != one.load(WALK)


def test_an_empty_source_stays_empty() -> None:
    assert ControlledSource(prices()).symbols() == []


def test_a_reserved_name_is_refused_with_the_remedy() -> None:
    with pytest.raises(ValueError, match="CONTROL-WALK is the name of a simulated control; rename"):
        ControlledSource(prices("AAA", WALK)).symbols()


def test_the_edge_is_there_and_no_line_through_the_last_returns_sees_it() -> None:
    market = simulate("product", 20_000, best_accuracy=0.7, seed=5)
    close = market.prices.frame["close"].to_numpy()
    returns = np.diff(np.log(close))
    up = returns[2:] > 0
    assert np.mean((market.probability[2:-1] > 0.5) == up) == pytest.approx(0.7, abs=0.01)
    product = np.sign(returns[1:-1] * returns[:-2])
    assert np.mean((product > 0) == up) == pytest.approx(0.7, abs=0.01)
    for lag in (returns[1:-1], returns[:-2]):
        assert abs(np.corrcoef(np.sign(lag), np.sign(returns[2:]))[0, 1]) < 0.03


def test_the_planted_variance_is_there_and_sizes_of_moves_do_not_show_it() -> None:
    returns = np.diff(np.log(simulate("leverage", 20_000, seed=5).prices.frame["close"].to_numpy()))
    squares, fell = returns[1:] ** 2, returns[:-1] < 0
    low, high = LEVERAGE
    assert squares[fell].mean() / squares[~fell].mean() == pytest.approx((high / low) ** 2, rel=0.05)
    assert abs(np.corrcoef(returns[:-1] ** 2, squares)[0, 1]) < 0.03


def test_each_target_is_asked_about_its_own_controls() -> None:
    everyone = ["AAA", EDGE, VARIANCE, WALK]
    assert asked_for(everyone, DIRECTION_CONTROLS) == ["AAA", EDGE, WALK]
    assert asked_for(everyone, VARIANCE_CONTROLS) == ["AAA", VARIANCE, WALK]


@pytest.mark.parametrize(
    ("verdicts", "why"),
    [
        ({WALK: "REJECT", EDGE: "PROMOTE"}, None),
        ({WALK: "RETRAIN", EDGE: "PROMOTE"}, None),
        ({WALK: "PROMOTE", EDGE: "PROMOTE"}, "leak"),
        ({WALK: "REJECT", EDGE: "REJECT"}, "training is broken"),
        ({WALK: "REJECT"}, "CONTROL-EDGE"),
        ({}, "not judged"),
    ],
)
def test_what_makes_a_run_void(verdicts: dict[str, str], why: str | None) -> None:
    found = control_failures(verdicts)
    assert found is None if why is None else why in str(found)
