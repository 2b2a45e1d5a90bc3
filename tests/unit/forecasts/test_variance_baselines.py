"""Baselines find what was planted, agree with other ways to compute them, and see no future."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from threadpoolctl import threadpool_limits

from ml_assets.forecasts.variance import qlike
from ml_assets.forecasts.variance.baselines import (
    START_DAYS,
    ewma_forecast,
    fit_decay,
    fit_har,
    fit_har_qlike,
    har_design,
    har_forecast,
    recursion,
    squared_returns,
)
from ml_assets.forecasts.variance.forecasters import known_rows, range_variances
from ml_assets.forecasts.variance.garch import Garch, fit_garch, garch_forecast
from ml_assets.gates.forecasts._variance_fits import garch_loss
from ml_assets.windows.labels import forward_variance
from tests.unit.forecasts.variance_makers import HORIZONS, awkward, closes, folds, garch_returns, market

PRICES = st.lists(st.floats(0.9, 1.1), min_size=2, max_size=40).map(lambda moves: 50.0 * np.cumprod(moves))


@settings(max_examples=50, deadline=None)
@given(PRICES, st.integers(1, 7))
def test_label_is_the_sum_of_the_coming_squares_and_of_nothing_else(prices: np.ndarray, horizon: int) -> None:
    labels, logs = forward_variance(prices, horizon), np.log(prices)
    for t in range(len(prices)):
        if t + horizon < len(prices):
            due = sum((logs[t + k] - logs[t + k - 1]) ** 2 for k in range(1, horizon + 1))
            assert labels[t] == pytest.approx(due, rel=1e-9, abs=1e-18)
        else:
            assert np.isnan(labels[t])


def test_label_needs_a_day_ahead() -> None:
    with pytest.raises(ValueError, match="at least 1 day"):
        forward_variance([1.0, 2.0], 0)


def test_garch_recovers_the_parameters_of_a_simulated_market() -> None:
    returns, variance = garch_returns(8000, 2e-6, 0.08, 0.90, seed=1)
    found = fit_garch(returns)
    assert found.alpha == pytest.approx(0.08, abs=0.02)
    assert found.beta == pytest.approx(0.90, abs=0.03)
    assert found.omega / (1 - found.alpha - found.beta) == pytest.approx(1e-4, rel=0.25)
    forecast = garch_forecast(np.square(returns), found, 1)[START_DAYS:-1]
    assert np.abs(np.log(forecast / variance[START_DAYS + 1 :])).mean() < 0.05


def test_garch_is_that_of_the_package_arch_where_returns_are_ordinary() -> None:
    from arch import arch_model

    returns, _ = garch_returns(4000, 2e-6, 0.08, 0.90, seed=2)
    found = fit_garch(returns)
    model = arch_model(100 * returns, mean="Zero", vol="GARCH", p=1, q=1, rescale=False)
    theirs = model.fit(disp="off").params
    np.testing.assert_allclose(
        [1e4 * found.omega, found.alpha, found.beta], theirs[["omega", "alpha[1]", "beta[1]"]], rtol=1e-3
    )


@given(st.floats(1e-7, 1e-4), st.floats(0.01, 0.3), st.floats(0.3, 0.69), st.integers(1, 22))
@settings(max_examples=30, deadline=None)
def test_a_longer_horizon_adds_up_the_expected_variances(
    omega: float, alpha: float, beta: float, horizon: int
) -> None:
    """In closed form: h times the unconditional variance, plus the distance from it, fading geometrically."""
    squares = np.abs(np.random.default_rng(2).normal(0, 1e-4, 70))
    persistence = alpha + beta
    level = omega / (1 - persistence)
    one = garch_forecast(squares, Garch(omega, alpha, beta), 1)
    due = horizon * level + (one - level) * (1 - persistence**horizon) / (1 - persistence)
    np.testing.assert_allclose(garch_forecast(squares, Garch(omega, alpha, beta), horizon), due, rtol=1e-9)


def test_the_recursion_is_the_loop_that_it_stands_for() -> None:
    squares = np.random.default_rng(0).random(200)
    value, found = squares[1 : START_DAYS + 1].mean(), recursion(squares, 0.1, 0.2, 0.7)
    assert np.isnan(found[:START_DAYS]).all()
    for t in range(START_DAYS + 1, 200):
        value = 0.1 + 0.2 * squares[t] + 0.7 * value
        assert found[t] == pytest.approx(value, rel=1e-12)
    assert np.isnan(recursion(squares[:10], 0.1, 0.2, 0.7)).all()


def test_the_fitted_decay_is_the_best_of_a_grid() -> None:
    returns, _ = garch_returns(4000, 1e-6, 0.05, 0.94, seed=4)
    prices = np.exp(np.cumsum(returns))
    squares, labels, rows = squared_returns(prices), forward_variance(prices), np.arange(100, 3900)
    losses = {
        decay: float(np.mean(qlike(ewma_forecast(squares, 1, decay)[rows], labels[rows])))
        for decay in np.linspace(0.7, 0.999, 60)
    }
    assert fit_decay(squares, labels, rows, 1) == pytest.approx(
        min(losses, key=losses.__getitem__), abs=0.006
    )


def test_har_is_least_squares_where_no_coefficient_wants_to_be_negative() -> None:
    rng = np.random.default_rng(3)
    days = rng.exponential(1e-4, 3000)
    design = har_design(days)
    rows = np.arange(50, 2900)
    labels = design @ [2e-5, 0.2, 0.3, 0.3] + 1e-6 * rng.standard_normal(3000)
    expected = np.linalg.lstsq(design[rows], labels[rows], rcond=None)[0]
    np.testing.assert_allclose(fit_har(days, labels, rows), expected, rtol=1e-6)


def test_har_by_qlike_finds_the_planted_rule_and_is_least() -> None:
    rng = np.random.default_rng(3)
    days = rng.exponential(1e-4, 20_000)
    rows = np.arange(50, 19_900)
    mean = har_design(days) @ [2e-5, 0.2, 0.3, 0.3]
    labels = mean * rng.chisquare(1, 20_000)
    found = fit_har_qlike(days, labels, rows)
    np.testing.assert_allclose(found, [2e-5, 0.2, 0.3, 0.3], rtol=0.25)

    def loss(weights: np.ndarray) -> float:
        return float(qlike(har_design(days)[rows] @ weights, labels[rows]).mean())

    for i in range(4):
        for factor in (0.97, 1.03):
            assert loss(found) <= loss(np.where(np.arange(4) == i, found * factor, found)) + 1e-9


def test_no_forecast_is_negative_or_zero() -> None:
    days = np.concatenate([np.full(100, 1e-4), np.zeros(100)])
    forecast = har_forecast(days, np.array([0.0, 0.5, 0.3, 0.1]), 1e-4)
    assert (forecast[30:] >= 1e-7).all()


@pytest.mark.parametrize("horizon", HORIZONS)
def test_baselines_are_fitted_on_what_was_known_before_the_test_windows(horizon: int) -> None:
    for fold in folds()[0]:
        rows, last = known_rows(fold, horizon)
        assert rows[-1] + horizon == last < fold.positions("test")[0] - fold.window + 1
        assert rows[0] == fold.positions("train")[0]


def test_the_day_measure_of_ranges_is_less_noisy_and_falls_back_to_squares() -> None:
    prices, _ = market()
    frame = prices.frame.copy()
    squares = squared_returns(closes())
    measured = range_variances(frame)
    assert np.nanstd(measured) < np.nanstd(squares)
    frame.iloc[7, frame.columns.get_loc("high")] = np.nan
    again = range_variances(frame)
    assert again[7] == squares[7]


def test_what_is_fitted_does_not_depend_on_the_threads_of_the_process() -> None:
    """Models start from it: else their bytes would differ between command, worker and UI."""
    prices = 50.0 * np.exp(np.cumsum(garch_returns(6000, 2e-6, 0.08, 0.90, seed=1)[0]))
    squares = squared_returns(prices)
    rows, labels = np.arange(START_DAYS, 5900), forward_variance(prices, 1)
    found = []
    for threads in (1, 2):
        with threadpool_limits(limits=threads, user_api="blas"):
            weights = fit_har_qlike(squares, labels, rows)
            forecast = har_forecast(squares, weights, float(np.mean(labels[rows])))
            garch = fit_garch(np.diff(np.log(prices)))
            found.append(
                (weights.tobytes(), fit_har(squares, labels, rows).tobytes(), garch, forecast.tobytes())
            )
    assert found[0] == found[1]


@pytest.mark.parametrize("kind", ["big", "flat", "both", "5", "3"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_fits_are_no_worse_than_a_dense_search(kind: str, seed: int) -> None:
    returns = awkward(kind, seed)
    prices = np.exp(np.cumsum(returns))
    squares, labels, rows = squared_returns(prices), forward_variance(prices), np.arange(100, 890)

    def loss(decay: float) -> float:
        return float(np.mean(qlike(ewma_forecast(squares, 1, decay)[rows], labels[rows])))

    least = min(loss(decay) for decay in 1 - np.geomspace(0.3, 0.001, 500))
    assert loss(fit_decay(squares, labels, rows, 1)) <= least + 1e-6

    found, energy = fit_garch(returns), np.square(returns)
    mean = float(energy.mean())
    dense = min(
        garch_loss(energy, level * mean * (1 - p), p * share, p * (1 - share))
        for level in np.geomspace(0.01, 3, 12)
        for p in 1 - np.geomspace(0.9, 0.0005, 16)
        for share in np.concatenate([[0.0], np.geomspace(0.002, 1, 12)])
    )
    assert garch_loss(energy, found.omega, found.alpha, found.beta) <= dense + 1e-6


@pytest.mark.parametrize("kind", ["big", "flat", "both", "3"])
@pytest.mark.parametrize("horizon", HORIZONS)
def test_har_by_qlike_is_no_worse_than_a_search_from_anywhere(kind: str, horizon: int) -> None:
    """One start, and even one per vertex, ends in another minimum on some of these series."""
    for seed in range(10):
        prices = np.exp(np.cumsum(awkward(kind, seed)))
        squares, labels = squared_returns(prices), forward_variance(prices, horizon)
        rows = np.arange(100, 880)
        outcome, design = labels[rows] / labels[rows].mean(), har_design(squares)[rows]
        size = design.mean(axis=0)

        def loss(weights: np.ndarray, X: np.ndarray = design / size, x: np.ndarray = outcome) -> float:
            return float(np.mean(qlike(X @ weights, x)))

        rng = np.random.default_rng(0)
        bounds = [(1e-3, None), *[(0.0, None)] * 3]
        starts = np.maximum(rng.dirichlet([0.5] * 4, 20), [1e-3, 0, 0, 0])
        dense = min(minimize(loss, s, method="L-BFGS-B", bounds=bounds).fun for s in starts)
        found = fit_har_qlike(squares, labels, rows) * size / labels[rows].mean()
        assert found.min() >= 0
        assert found[0] >= 1e-3 * (1 - 1e-12)
        assert loss(found) <= dense + 1e-6, seed
