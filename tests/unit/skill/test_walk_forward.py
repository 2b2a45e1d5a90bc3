"""Baselines and the score of a model."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ml_assets.forecasts.direction import (
    ar1_forecast,
    hit_rate,
    majority_forecast,
    persistence_forecast,
    pesaran_timmermann,
    score,
)
from ml_assets.forecasts.direction.baselines import boosting_forecast, logistic_forecast
from ml_assets.forecasts.direction.walk_forward import PROMOTION_BASELINES
from ml_assets.windows.sequences import SequenceConfig, build_sequences
from tests.unit.skill.makers import folds, market, predict, scored

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
    prices, _ = market(horizon)
    report = scored(horizon)
    close = prices.frame["close"]
    test = np.concatenate([part.as_of("test") for part in folds(horizon)])[::horizon]
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
    assert set(report.baselines) == {*PROMOTION_BASELINES, "boosting"}
    assert report.best_baseline[1] == max(report.baselines[name] for name in PROMOTION_BASELINES)
    assert report.interval[0] < report.accuracy < report.interval[1]
    assert [fold.number for fold in report.folds] == [1, 2]
    assert sum(fold.days for fold in report.folds) == report.days
    mean = sum(fold.accuracy * fold.days for fold in report.folds) / report.days
    assert mean == pytest.approx(report.accuracy)


@pytest.mark.parametrize("horizon", [2, 3, 5])
def test_outcomes_of_a_long_horizon_do_not_overlap(horizon: int) -> None:
    prices, _ = market(horizon)
    report = scored(horizon)
    positions = prices.frame.index.get_indexer(np.array(report.dates, dtype="datetime64[ns]"))
    assert (np.diff(positions) >= horizon).all()
    assert report.days == -(-sum(len(part.positions("test")) for part in folds(horizon)) // horizon)


@settings(max_examples=3, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_baselines_do_not_depend_on_the_forecast(seed: int) -> None:
    rng = np.random.default_rng(seed)
    random = [rng.random(len(part.positions("test"))) for part in folds()]
    assert score(folds(), random).baselines == scored().baselines


@pytest.mark.parametrize("horizon", [1, 3])
def test_every_fold_is_what_the_prices_up_to_it_give(horizon: int) -> None:
    """No day after a fold enters it: cut the prices there, build anew, and every byte is the same."""
    prices, sequences = market(horizon)
    for number in range(1, sequences.folds + 1):
        fold = sequences.fold(number)
        cut = dataclasses.replace(prices, frame=prices.frame.iloc[: len(fold.dates)])
        config = SequenceConfig(window=20, horizon=horizon, test_days=len(fold.positions("test")))
        again = dataclasses.replace(build_sequences(cut, config), folds=fold.folds)
        assert again.to_bytes() == fold.to_bytes()


@given(st.integers(400, 900), st.integers(1, 5), st.integers(1, 3), st.integers(40, 160))
@settings(max_examples=25, deadline=None)
def test_folds_cover_the_sealed_span_once_and_in_order(
    days: int, parts: int, horizon: int, sealed: int
) -> None:
    prices, _ = market()
    short = dataclasses.replace(prices, frame=prices.frame.iloc[:days])
    config = SequenceConfig(window=10, horizon=horizon, test_days=sealed, folds=parts)
    sequences = build_sequences(short, config)
    tests = [sequences.fold(number + 1).positions("test") for number in range(parts)]
    joined = np.concatenate(tests)
    expected = sequences.ledger["position"].to_numpy()[-(sealed // parts) * parts :]
    np.testing.assert_array_equal(joined, expected)
    assert sequences.fold(parts) is sequences
    with pytest.raises(ValueError, match="does not exist"):
        sequences.fold(parts + 1)


def test_models_without_memory_find_what_is_there_for_them() -> None:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((900, 4))
    linear, squared = X[:, 0] + 0.3 * X[:, 1] > 0, np.abs(X[:, 0]) > 0.67
    for forecast, up, least in (
        (logistic_forecast, linear, 0.95),
        (boosting_forecast, linear, 0.9),
        (boosting_forecast, squared, 0.9),
    ):
        assert np.mean(forecast(X[:600], up[:600], X[600:]) == up[600:]) > least
    assert np.mean(logistic_forecast(X[:600], squared[:600], X[600:]) == squared[600:]) < 0.6
    for constant in (np.ones(600, bool), np.zeros(600, bool)):
        for forecast in (logistic_forecast, boosting_forecast):
            assert (forecast(X[:600], constant, X[600:]) == constant[0]).all()


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
    first, last = folds()
    with pytest.raises(ValueError, match=f"SIM: .*{message}"):
        score([first, last], [predict(first.X("test")), spoil(predict(last.X("test")))])
