"""Baselines and the score of a model."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ml_assets.skill import (
    ar1_forecast,
    hit_rate,
    majority_forecast,
    persistence_forecast,
    pesaran_timmermann,
    score,
)
from tests.unit.skill.makers import market, predict, scored

RETURNS = st.lists(st.floats(-0.2, 0.2), min_size=3, max_size=40).map(np.array)


def test_majority_is_what_was_more_frequent_in_training() -> None:
    assert majority_forecast(np.array([0.1, 0.1, -0.1]), 2).tolist() == [True, True]
    assert majority_forecast(np.array([-0.1, 0.0, 0.1]), 2).tolist() == [False, False]
    assert majority_forecast(np.array([-0.1, 0.1]), 1).tolist() == [True]  # a tie


def test_persistence_repeats_the_last_direction() -> None:
    assert persistence_forecast(np.array([0.01, -0.01, 0.0])).tolist() == [True, False, False]


@given(RETURNS, RETURNS)
def test_ar1_is_the_least_squares_line(train: np.ndarray, last: np.ndarray) -> None:
    assume(train.std() > 1e-4)
    following = np.roll(train, 1) * 0.5 + 0.001
    design = np.column_stack([np.ones_like(train), train - train.mean()])
    level, slope = np.linalg.lstsq(design, following, rcond=None)[0]
    value = level + slope * (last - train.mean())
    clear = np.abs(value) > 1e-9  # on zero itself rounding decides
    assert (ar1_forecast(train, following, last) == (value > 0))[clear].all()


def test_ar1_of_constant_returns_is_their_mean() -> None:
    flat = np.full(5, 0.01)
    assert ar1_forecast(flat, np.full(5, 0.02), flat).all()
    assert not ar1_forecast(flat, np.full(5, -0.02), flat).any()


def test_hit_rate_counts_an_unchanged_price_as_not_up() -> None:
    assert hit_rate(np.array([True, False, True, False]), np.array([0.1, -0.1, 0.0, 0.0])) == 0.75


@pytest.mark.parametrize("horizon", [1, 3])
def test_score_looks_at_the_sealed_days_alone(horizon: int) -> None:
    prices, sequences = market(horizon)
    report = scored(horizon)
    close = prices.frame["close"]
    test = sequences.as_of("test")[::horizon]
    assert report.dates == [str(day) for day in test]
    assert report.horizon == horizon
    positions = close.index.get_indexer(test.astype("datetime64[ns]"))
    realized = close.to_numpy()[positions + horizon] / close.to_numpy()[positions] - 1
    np.testing.assert_allclose(report.realized, realized, rtol=1e-12)
    forecast, up = np.array(report.probability) > 0.5, realized > 0
    assert report.accuracy == np.mean(forecast == up)
    assert report.p_value == pesaran_timmermann(forecast, up)
    assert report.baselines["always_up"] == np.mean(up)
    past = close.to_numpy()[positions] > close.to_numpy()[positions - horizon]
    assert report.baselines["persistence"] == np.mean(past == up)
    assert set(report.baselines) == {"majority", "persistence", "ar1", "always_up"}
    assert report.best_baseline[1] == max(report.baselines.values())


@pytest.mark.parametrize("horizon", [2, 3, 5])
def test_outcomes_of_a_long_horizon_do_not_overlap(horizon: int) -> None:
    prices, sequences = market(horizon)
    report = scored(horizon)
    positions = prices.frame.index.get_indexer(np.array(report.dates, dtype="datetime64[ns]"))
    assert (np.diff(positions) >= horizon).all()
    assert report.days == -(-len(sequences.positions("test")) // horizon)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_baselines_do_not_depend_on_the_forecast(seed: int) -> None:
    _, sequences = market()
    random = np.random.default_rng(seed).random(len(sequences.positions("test")))
    assert score(sequences, random).baselines == scored().baselines


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda p: p[:-1], "predictions for"),
        (lambda p: np.append(p, 0.5), "predictions for"),
        (lambda p: p[:, None], "predictions for"),
        (lambda p: np.where(np.arange(p.size) == 3, np.nan, p), "predictions for"),
        (lambda p: p + 1, "outside"),
        (lambda p: p - 1, "outside"),
    ],
)
def test_bad_predictions_are_refused_with_the_symbol(spoil, message: str) -> None:  # type: ignore[no-untyped-def]
    _, sequences = market()
    with pytest.raises(ValueError, match=f"SIM: .*{message}"):
        score(sequences, spoil(predict(sequences.X("test"))))
