from __future__ import annotations

import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_assets.prices.simulated import simulate
from ml_assets.windows.features import (
    FEATURE_MEMORY,
    WARM_UP,
    expanding_mean,
    extract_features,
    feature_names,
)
from ml_assets.windows.rolling import lag, window_max, window_mean, window_min, window_sum

FRAME = simulate("gated", 400, seed=3).prices.frame
CLOSES = FRAME["close"].to_numpy()


def same(a: np.ndarray, b: np.ndarray) -> bool:
    return bool(np.array_equal(a, b, equal_nan=True))


def test_closes_alone_give_exactly_25_named_features():
    assert extract_features(CLOSES).shape == (400, 25)
    assert len(set(feature_names(CLOSES))) == 25
    assert same(extract_features(CLOSES), extract_features(FRAME[["close"]]))
    assert same(extract_features(list(CLOSES)), extract_features(FRAME["close"]))


def test_further_columns_add_features_and_leave_the_first_25_alone():
    assert extract_features(FRAME).shape[1] == len(feature_names(FRAME)) == 36
    assert feature_names(FRAME)[:25] == feature_names(None) == feature_names(["close"])
    assert same(extract_features(FRAME)[:, :25], extract_features(CLOSES))
    assert extract_features(FRAME[["close", "volume"]]).shape[1] == 31
    assert extract_features(FRAME.drop(columns=["open"])).shape[1] == 31, "a range needs open, high and low"


def test_warm_up_is_nan_and_everything_after_it_is_finite():
    features = extract_features(FRAME)
    complete = np.isfinite(features).all(axis=1)
    assert not complete[:WARM_UP].any()
    assert complete[WARM_UP:].all()


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 400), st.integers(0, 2**32 - 1))
def test_rows_do_not_change_when_the_future_is_cut_or_redrawn(cut: int, seed: int):
    full = extract_features(FRAME)
    assert same(extract_features(FRAME.iloc[:cut]), full[:cut])
    other = FRAME.copy()
    noise = np.exp(np.random.default_rng(seed).normal(0, 0.5, (len(FRAME) - cut, FRAME.shape[1])))
    other.iloc[cut:] *= noise
    assert same(extract_features(other)[:cut], full[:cut])


@settings(max_examples=40, deadline=None)
@given(st.floats(1e-4, 1e4), st.floats(1e-4, 1e4))
def test_price_and_volume_levels_do_not_matter(price: float, volume: float):
    other = FRAME * pd.Series({c: volume if c == "volume" else price for c in FRAME})
    np.testing.assert_allclose(extract_features(other), extract_features(FRAME), rtol=1e-9, atol=1e-12)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 300))
def test_a_row_reads_only_its_last_61_closes(start: int):
    """Neither the position in the history nor the calendar enters."""
    part = extract_features(FRAME.reset_index(drop=True).iloc[start:])
    assert same(part[FEATURE_MEMORY:], extract_features(FRAME)[start + FEATURE_MEMORY :])


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(0.01, 1e6), min_size=62, max_size=120))
def test_any_positive_prices_give_finite_features(prices: list[float]):
    assert np.isfinite(extract_features(prices)[WARM_UP:]).all()


def test_flat_prices_are_tradable_days_without_information():
    features = extract_features(np.full(120, 7.3))[WARM_UP:]
    named = dict(zip(feature_names(), features.T, strict=True))
    assert np.isfinite(features).all()
    for name in ("return_1", "volatility_20", "shock_20", "skew_20", "autocorrelation_20", "drawdown_60"):
        assert (named[name] == 0.0).all()
    for name in ("strength_14", "range_position_20"):
        assert (named[name] == 0.5).all()


def test_a_missing_volume_or_range_costs_no_day():
    other = FRAME.copy()
    other.iloc[200, other.columns.get_loc("volume")] = np.nan
    other.iloc[210, [other.columns.get_loc(c) for c in ("open", "high", "low")]] = np.nan
    features = extract_features(other)
    assert np.isfinite(features[WARM_UP:]).all()
    assert same(features[271:], extract_features(FRAME)[271:]), "a hole is forgotten after 61 days"


def test_known_values_by_hand():
    prices = np.array([*np.full(60, 100.0), 110.0, 99.0])
    named = dict(zip(feature_names(), extract_features(prices)[-1], strict=True))
    assert named["return_1"] == pytest.approx(np.log(0.9))
    assert named["return_1_lag_1"] == pytest.approx(np.log(1.1))
    assert named["return_60"] == pytest.approx(np.log(0.99))
    assert named["gap_to_mean_5"] == pytest.approx(99 / np.mean([100, 100, 100, 110, 99]) - 1)
    assert named["volatility_5"] == pytest.approx(np.sqrt((np.log(1.1) ** 2 + np.log(0.9) ** 2) / 5))
    assert named["strength_14"] == pytest.approx(np.log(1.1) / (np.log(1.1) - np.log(0.9)))
    assert named["range_position_20"] == 0.0
    assert named["drawdown_60"] == pytest.approx(-0.1)
    assert named["up_share_5"] == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("prices", "says"),
    [
        ([], "empty"),
        ([1.0, np.nan, 2.0], "row 1"),
        ([1.0, 0.0], "positive"),
        ([1.0, -3.0], "-3.0"),
        ([1.0, np.inf], "inf"),
        ([[1.0, 2.0]], "one-dimensional"),
        (pd.DataFrame({"price": [1.0]}), "'close'"),
        (pd.DataFrame({"close": [1.0, 2.0], "volume": [1.0, -1.0]}), "zero or more"),
        (FRAME.assign(low=0.0), "2000-01-03"),
    ],
)
def test_bad_prices_are_refused_with_the_place(prices: object, says: str):
    with pytest.raises(ValueError, match=says):
        extract_features(prices)


def test_8000_days_take_less_than_300_ms():
    frame = simulate("random_walk", 8000).prices.frame
    best = []
    for _ in range(3):
        start = time.process_time()
        extract_features(frame)
        best.append(time.process_time() - start)
    assert min(best) < 0.3


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=70), st.integers(1, 70))
def test_windows_agree_with_the_plain_definition(values: list[float], window: int):
    x = np.array(values)
    for ours, plain in (
        (window_sum, np.sum),
        (window_mean, np.mean),
        (window_max, np.max),
        (window_min, np.min),
    ):
        due = [plain(x[i + 1 - window : i + 1]) if i + 1 >= window else np.nan for i in range(len(x))]
        np.testing.assert_allclose(ours(x, window), due, rtol=1e-9, atol=1e-9)


def test_a_nan_spoils_only_the_windows_that_hold_it():
    x = np.arange(20.0)
    x[8] = np.nan
    assert np.flatnonzero(np.isnan(window_sum(x, 5))).tolist() == [0, 1, 2, 3, 8, 9, 10, 11, 12]


def test_equal_windows_give_equal_bits_after_a_huge_past():
    """A running total would have lost the small values here."""
    x = np.random.default_rng(0).normal(size=80)
    assert same(window_sum(np.concatenate([np.full(40, 1e17), x]), 20)[60:], window_sum(x, 20)[20:])


def test_a_negative_lag_or_an_empty_window_is_refused():
    assert np.isnan(lag(np.ones(3), 5)).all()
    with pytest.raises(ValueError, match="future"):
        lag(np.ones(3), -1)
    with pytest.raises(ValueError, match="at least 1"):
        window_sum(np.ones(3), 0)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50))
def test_expanding_mean_is_the_mean_so_far(data: list[float]):
    due = [np.mean(data[: i + 1]) for i in range(len(data))]
    np.testing.assert_allclose(expanding_mean(data), due, rtol=1e-9, atol=1e-6)
    assert same(expanding_mean(data)[: len(data) // 2], expanding_mean(data[: len(data) // 2]))


def test_expanding_mean_leaves_nan_out():
    assert same(expanding_mean([np.nan, 2.0, np.nan, 4.0]), np.array([np.nan, 2.0, 2.0, 3.0]))
    assert expanding_mean(np.ones((4, 3))).shape == (4, 3)
    with pytest.raises(ValueError, match="1-D or 2-D"):
        expanding_mean(np.ones((2, 2, 2)))
