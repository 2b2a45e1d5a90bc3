"""Baselines and the score of a model."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ml_assets.forecasts.direction import DIRECTION_SCORING, PROMOTION_BASELINES, forecasters, hit_rate
from ml_assets.forecasts.direction.forecasters import Logistic, Trees, fit_line, fit_logistic, majority_rises
from ml_assets.forecasts.forecaster import FoldRows
from ml_assets.forecasts.statistics import pesaran_timmermann
from ml_assets.forecasts.walk_forward import walk_forward
from ml_assets.gates._verdict import Violation
from ml_assets.gates.core import GateResult
from ml_assets.gates.forecasts import _direction_baselines
from ml_assets.gates.forecasts.direction_figures import direction_figures
from ml_assets.windows.sequences import SequenceConfig, build_sequences
from tests.unit.forecasts.direction_makers import Fixed, folds, market, rows, scored

RETURNS = st.lists(st.floats(-0.2, 0.2), min_size=3, max_size=40).map(np.array)


def test_majority_is_what_was_more_frequent_in_training() -> None:
    assert majority_rises(np.array([0.1, 0.1, -0.1]))
    assert not majority_rises(np.array([-0.1, 0.0, 0.1]))
    assert majority_rises(np.array([-0.1, 0.1]))  # a tie


@given(RETURNS, RETURNS)
def test_ar1_is_the_least_squares_line(train: np.ndarray, last: np.ndarray) -> None:
    assume(train.std() > 1e-4)
    following = np.roll(train, 1) * 0.5 + 0.001
    design = np.column_stack([np.ones_like(train), train - train.mean()])
    level, slope = np.linalg.lstsq(design, following, rcond=None)[0]
    value = level + slope * (last - train.mean())
    clear = np.abs(value) > 1e-9  # on zero itself rounding decides
    assert (fit_line(train, following).rises(last) == (value > 0))[clear].all()


def test_ar1_of_constant_returns_is_their_mean() -> None:
    flat = np.full(5, 0.01)
    assert fit_line(flat, np.full(5, 0.02)).rises(flat).all()
    assert not fit_line(flat, np.full(5, -0.02)).rises(flat).any()


def test_hit_rate_counts_an_unchanged_price_as_not_up() -> None:
    assert hit_rate(np.array([True, False, True, False]), np.array([0.1, -0.1, 0.0, 0.0])) == 0.75


@pytest.mark.parametrize("horizon", [1, 3])
def test_score_looks_at_the_sealed_days_alone(horizon: int) -> None:
    prices, _ = market(horizon)
    report = scored(horizon)
    (score,), close = report.scores, prices.frame["close"]
    test = np.concatenate([part.as_of("test") for part in folds(horizon)])[::horizon]
    assert score.dates == [str(day) for day in test]
    assert score.horizon == horizon
    positions = close.index.get_indexer(test.astype("datetime64[ns]"))
    realized = close.to_numpy()[positions + horizon] / close.to_numpy()[positions] - 1
    np.testing.assert_allclose(score.realized, realized, rtol=1e-12)
    forecast, up = np.array(score.forecast) > 0.5, realized > 0
    assert score.level == np.mean(forecast == up)
    assert score.p_value == pesaran_timmermann(forecast, up)
    assert score.levels["always_up"] == np.mean(up)
    past = close.to_numpy()[positions] > close.to_numpy()[positions - horizon]
    assert score.levels["persistence"] == np.mean(past == up)
    assert set(score.baselines) == {*PROMOTION_BASELINES, "boosting"}
    assert score.baseline_level == max(score.levels[name] for name in PROMOTION_BASELINES)
    assert score.gain == score.level - score.baseline_level
    assert hit_rate(np.array(score.baseline_forecast) > 0.5, realized) == score.baseline_level
    figures = {name: figure["model"] for name, figure in score.figures.items()}
    assert figures["interval_low"] < score.level < figures["interval_high"]
    assert [fold.number for fold in report.folds] == [1, 2]
    assert sum(fold.days for fold in report.folds) == score.days
    for levels, whole in (("levels", score.level), ("baseline_levels", score.baseline_level)):
        mean = sum(getattr(fold, levels)[0] * fold.days for fold in report.folds) / score.days
        assert mean == pytest.approx(whole)


@pytest.mark.parametrize("horizon", [2, 3, 5])
def test_outcomes_of_a_long_horizon_do_not_overlap(horizon: int) -> None:
    prices, _ = market(horizon)
    report = scored(horizon)
    positions = prices.frame.index.get_indexer(np.array(report.dates, dtype="datetime64[ns]"))
    assert (np.diff(positions) >= horizon).all()
    assert len(report.dates) == -(-sum(len(part.positions("test")) for part in folds(horizon)) // horizon)


def test_baselines_do_not_depend_on_the_forecast() -> None:
    prices, _ = market()

    class Other(Fixed):
        def forecast(self, rows: FoldRows) -> np.ndarray:
            return np.random.default_rng(0).random((rows.days.size, 1))

    other = walk_forward(DIRECTION_SCORING, Other(), prices.frame, rows())
    assert other.scores[0].baselines == scored().scores[0].baselines


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

    def logistic(X: np.ndarray, up: np.ndarray, Z: np.ndarray) -> np.ndarray:
        return fit_logistic(X, up).logits(Z) > 0

    def boosting(X: np.ndarray, up: np.ndarray, Z: np.ndarray) -> np.ndarray:
        return Trees(X, up).probability(Z) > 0.5

    for forecast, up, least in ((logistic, linear, 0.95), (boosting, linear, 0.9), (boosting, squared, 0.9)):
        assert np.mean(forecast(X[:600], up[:600], X[600:]) == up[600:]) > least
    assert np.mean(logistic(X[:600], squared[:600], X[600:]) == squared[600:]) < 0.6
    for constant in (np.ones(600, bool), np.zeros(600, bool)):
        for forecast in (logistic, boosting):
            assert (forecast(X[:600], constant, X[600:]) == constant[0]).all()


Fit = Callable[[np.ndarray, np.ndarray], Logistic]


def on_the_fence(X: np.ndarray, up: np.ndarray) -> Logistic:
    """As good a fit as any, but the training day nearest to even odds is called the other way."""
    best = fit_logistic(X, up)
    logits = best.logits(X)
    nearest = float(logits[np.argmin(np.abs(logits))])
    return Logistic(best.intercept - 2.0 * nearest, best.weights)


def careless(X: np.ndarray, up: np.ndarray) -> Logistic:
    """Weights that a search which stops early may leave: a third of the way is missing."""
    best = fit_logistic(X, up)
    return Logistic(best.intercept, [w * 2 / 3 for w in best.weights])


def told(fit: Fit, monkeypatch: pytest.MonkeyPatch, *, gate: bool = True) -> GateResult:
    """The gate on a report whose logistic regression is fitted so; the same fit proposes, if wanted."""
    prices, _ = market()
    monkeypatch.setattr(forecasters, "fit_logistic", fit)
    report = walk_forward(DIRECTION_SCORING, Fixed(), prices.frame, rows())
    monkeypatch.setattr(_direction_baselines, "fit_logistic", fit if gate else fit_logistic)
    return direction_figures(prices, folds(), report)


def test_a_fit_that_ends_a_hair_apart_is_as_good(monkeypatch: pytest.MonkeyPatch) -> None:
    """As for HP, 2013 to 2018: 0.5 was reported, by Newton's method it is 0.493, and both are right."""
    X, up = (lambda f: (f.normalize(f.features)[f.positions("train")], f.y("train") > 0))(folds()[1])
    assert np.sum((fit_logistic(X, up).logits(X) > 0) != (on_the_fence(X, up).logits(X) > 0)) == 1
    result = told(on_the_fence, monkeypatch)
    assert result.passed, result.message


def test_a_poor_fit_is_refused_in_the_report_alone_and_in_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """A baseline that is worse than it could be makes the model look good."""
    result = told(careless, monkeypatch)
    assert not result.passed
    assert "SIM fold 1: logistic regression as fitted has a loss of" in result.message
    turned: Fit = lambda X, up: Logistic(-fit_logistic(X, up).intercept, [0.0] * X.shape[1])  # noqa: E731
    alone = told(turned, monkeypatch, gate=False)
    assert not alone.passed
    assert "logistic" in alone.message


def test_a_fit_on_days_that_are_all_alike_is_the_one_agreed_on() -> None:
    X, up = np.ones((5, 2)), np.ones(5, bool)
    _direction_baselines.require_logistic("SIM", X, up, np.array([1.0, 0.0, 0.0]))
    with pytest.raises(Violation, match="all days are alike"):
        _direction_baselines.require_logistic("SIM", X, up, np.array([1.0, 0.1, 0.0]))
