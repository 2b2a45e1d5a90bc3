"""Drift of a variance model: found where it lost against its baseline, not where the market is rough."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import binom, ttest_ind

from ml_assets.forecasts.drift import LevelDrift
from ml_assets.forecasts.variance import qlike
from ml_assets.forecasts.variance.drift import loss_drift
from tests.unit.forecasts.variance_makers import garch_returns

REPORTED, BLOCK, LOOKS = 1000, 60, 12
DAYS = REPORTED + BLOCK * LOOKS
Errors = Callable[[np.random.Generator], tuple[np.ndarray, np.ndarray]]


def market(seed: int, horizon: int) -> tuple[np.ndarray, np.ndarray]:
    """Expected and realized variance over a horizon of each day, by GARCH."""
    omega, alpha, beta = 3e-6, 0.07, 0.90
    returns, variance = garch_returns(DAYS + horizon + 100, omega, alpha, beta, seed)
    returns, variance = returns[100:], variance[100:]
    level = omega / (1 - alpha - beta)
    expected = sum(level + (alpha + beta) ** k * (variance[1 : DAYS + 1] - level) for k in range(horizon))
    realized = sum(returns[1 + k : DAYS + 1 + k] ** 2 for k in range(horizon))
    return np.asarray(expected), np.asarray(realized)


def lasting(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Errors of both forecasts that last for weeks, as those of real ones do."""
    noise = 0.3 * np.sqrt(1 - 0.97**2) * rng.standard_normal((2, DAYS))
    errors = np.zeros((2, DAYS))
    for t in range(1, DAYS):
        errors[:, t] = 0.97 * errors[:, t - 1] + noise[:, t]
    return np.exp(errors[0]), np.exp(errors[1])


def too_high(_: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Where a quiet stretch looks bad and sure: it lacks the days on which a high forecast is right."""
    return np.full(DAYS, 1.2), np.ones(DAYS)


def too_low(_: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    return np.full(DAYS, 0.8), np.ones(DAYS)


def looks(difference: np.ndarray, horizon: int) -> list[LevelDrift]:
    then, now = difference[:REPORTED], difference[REPORTED:]
    return [
        loss_drift(now[: BLOCK * k], then, horizon=horizon, block=BLOCK, false_alarms=0.05)
        for k in range(1, LOOKS + 1)
    ]


@pytest.mark.parametrize("horizon", [1, 5])
@pytest.mark.parametrize("errors", [lasting, too_high, too_low])
def test_no_false_alarm_over_all_looks_more_often_than_said(errors: Errors, horizon: int) -> None:
    alarms, models = 0, 200
    for seed in range(models):
        expected, realized = market(seed, horizon)
        model, baseline = (expected * e for e in errors(np.random.default_rng(seed)))
        found = looks(qlike(model, realized) - qlike(baseline, realized), horizon)
        alarms += any(look.found for look in found)
    assert alarms <= binom.ppf(0.999, models, 0.05)


def test_a_quiet_stretch_is_no_drift() -> None:
    """Fat tails: most blocks lack the days on which a high forecast is right, and look bad and sure."""
    alarms, models, rng = 0, 200, np.random.default_rng(5)
    for _ in range(models):
        squares = 0.6 * rng.standard_t(5, DAYS + 4) ** 2
        realized = np.convolve(squares, np.ones(5), mode="valid")
        high, right = np.full(DAYS, 1.2 * 5), np.full(DAYS, 5.0)
        alarms += any(look.found for look in looks(qlike(high, realized) - qlike(right, realized), 5))
    assert alarms <= binom.ppf(0.999, models, 0.05)


@pytest.mark.parametrize("horizon", [1, 5])
def test_a_rougher_market_that_both_follow_is_no_drift(horizon: int) -> None:
    """Ninefold variance since the report: the raw loss rises beyond doubt, the difference does not."""
    alarms, models = 0, 60
    for seed in range(models):
        expected, realized = market(seed, horizon)
        regime = np.where(np.arange(DAYS) < REPORTED, 1.0, 9.0)
        model, baseline = (regime * expected * e for e in lasting(np.random.default_rng(seed)))
        loss, rival = qlike(model, regime * realized), qlike(baseline, regime * realized)
        assert ttest_ind(loss[REPORTED:], loss[:REPORTED]).pvalue < 1e-6
        alarms += any(look.found for look in looks(loss - rival, horizon))
    assert alarms <= binom.ppf(0.999, models, 0.05)


@pytest.mark.parametrize("horizon", [1, 5])
@pytest.mark.parametrize("factor", [0.25, 4.0])
def test_a_model_gone_wrong_is_found(factor: float, horizon: int) -> None:
    found, models = 0, 40
    for seed in range(models):
        expected, realized = market(seed, horizon)
        model, baseline = (expected * e for e in lasting(np.random.default_rng(seed)))
        model[REPORTED:] *= factor
        found += any(
            look.found for look in looks(qlike(model, realized) - qlike(baseline, realized), horizon)
        )
    assert found >= 0.9 * models


def test_a_model_that_got_better_is_left_alone() -> None:
    expected, realized = market(1, 1)
    model, baseline = (expected * e for e in lasting(np.random.default_rng(1)))
    model[:REPORTED] *= 4.0
    found = looks(qlike(model, realized) - qlike(baseline, realized), 1)
    assert min(look.p_value for look in found) > 0.5


def test_the_statistic_is_that_of_independent_losses_where_they_are() -> None:
    """On white noise of equal deviation the p-values are nearly those of the usual test of two means."""
    rng, ours, theirs = np.random.default_rng(0), [], []
    for _ in range(200):
        now, then = rng.standard_normal(1000) + 0.05, rng.standard_normal(1000)
        ours.append(loss_drift(now, then, horizon=1, block=1000, false_alarms=0.05).p_value)
        theirs.append(ttest_ind(now, then, alternative="greater").pvalue)
    assert np.corrcoef(ours, theirs)[0, 1] > 0.95
    assert np.abs(np.median(ours) - np.median(theirs)) < 0.05


def test_only_full_blocks_count_and_the_limits_add_up() -> None:
    rng = np.random.default_rng(3)
    now, then = rng.standard_normal(199), rng.standard_normal(500)
    found = [loss_drift(now[:n], then, horizon=1, block=40, false_alarms=0.05) for n in (40, 79, 80, 199)]
    assert [(f.look, f.days) for f in found] == [(1, 40), (1, 40), (2, 80), (4, 160)]
    assert [f.limit for f in found] == [0.05 / 2, 0.05 / 2, 0.05 / 6, 0.05 / 20]
    assert found[0] == found[1]  # what lies beyond the last block changes nothing


@pytest.mark.parametrize(("days", "horizon"), [(20, 1), (60, 20), (29, 5)])
def test_too_few_days_prove_nothing(days: int, horizon: int) -> None:
    now, then = 9 + 0.1 * np.random.default_rng(4).standard_normal(days), np.arange(1000) % 2
    assert loss_drift(now, then, horizon=horizon, block=days, false_alarms=0.05).p_value == 1.0


def test_equal_losses_are_no_drift() -> None:
    assert loss_drift(np.zeros(60), np.zeros(500), horizon=1, block=60, false_alarms=0.05).p_value == 1.0


@pytest.mark.parametrize(
    ("now", "then", "what"),
    [
        (np.zeros(39), np.zeros(9), "39 live days"),
        (np.zeros(40), [], "a report of none"),
        (np.full(40, np.nan), np.zeros(9), "not finite"),
    ],
)
def test_nothing_to_test_is_an_error(now: np.ndarray, then: np.ndarray, what: str) -> None:
    with pytest.raises(ValueError, match=what):
        loss_drift(now, then, horizon=1, block=40, false_alarms=0.05)
