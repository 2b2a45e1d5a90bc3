from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from ml_assets.prices.simulated import KINDS, price_history, simulate


def accuracy(kind: str, best: float) -> float:
    market = simulate(kind, 30_000, best_accuracy=best, seed=1, ohlcv=False)
    up = np.diff(np.log(market.prices.frame["close"])) > 0
    return float(((market.probability[:-1] > 0.5) == up).mean())


@pytest.mark.parametrize("kind", ["ar1", "hidden_markov", "gated"])
@pytest.mark.parametrize("best", [0.55, 0.60, 0.75])
def test_the_best_forecast_has_the_accuracy_that_is_claimed(kind: str, best: float):
    """Six standard deviations of 30,000 days (fewer independent ones in a hidden state)."""
    assert accuracy(kind, best) == pytest.approx(best, abs=0.015)
    assert simulate(kind, 300, best_accuracy=best).best_accuracy == best


def test_nothing_forecasts_a_random_walk():
    market = simulate("random_walk", 20_000, seed=2, ohlcv=False)
    steps = np.diff(np.log(market.prices.frame["close"]))
    assert market.best_accuracy == 0.5
    assert (market.probability == 0.5).all()
    for k in (1, 2, 5):
        assert abs(np.corrcoef(steps[k:], steps[:-k])[0, 1]) < 0.03


def test_a_probability_is_honest():
    """Of the days with 70 to 80 per cent, 70 to 80 per cent rise."""
    market = simulate("gated", 30_000, best_accuracy=0.75, seed=4, ohlcv=False)
    up = np.diff(np.log(market.prices.frame["close"])) > 0
    likely = (market.probability[:-1] > 0.7) & (market.probability[:-1] < 0.8)
    assert up[likely].mean() == pytest.approx(0.75, abs=0.03)


@pytest.mark.parametrize("kind", KINDS)
def test_markets_are_seeded_daily_bars_on_business_days(kind: str):
    market = simulate(kind, 500, seed=9)
    frame = market.prices.frame
    assert frame.equals(simulate(kind, 500, seed=9).prices.frame)
    assert not frame["close"].equals(simulate(kind, 500, seed=8).prices.frame["close"])
    assert list(frame.columns) == ["open", "high", "low", "close", "volume"]
    assert (frame["high"] >= frame[["open", "close"]].max(axis=1)).all()
    assert (frame["low"] <= frame[["open", "close"]].min(axis=1)).all()
    assert (pd.DatetimeIndex(frame.index).day_of_week < 5).all()
    assert list(simulate(kind, 300, ohlcv=False, symbol="X").prices.frame.columns) == ["close"]


def test_the_start_may_be_a_holiday():
    frame = simulate("ar1", 10, start="2000-01-01").prices.frame
    assert str(frame.index[0].date()) == "2000-01-03"


def test_a_history_reports_that_every_row_was_kept():
    prices = simulate("ar1", 50).prices
    assert prices.report.kept == prices.report.rows_read == 50
    assert price_history("A", prices.frame, "elsewhere").report.source == "elsewhere"
