"""QLIKE is least at the true variance; the test keeps its size and has power."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_assets.forecasts.variance import diebold_mariano, qlike, squared_error
from tests.unit.forecasts.variance_makers import garch_returns


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.floats(1e-8, 1e-2), min_size=1, max_size=30).map(np.array),
    st.floats(0.2, 5.0).filter(lambda ratio: abs(ratio - 1) > 1e-3),
)
def test_both_losses_are_least_at_the_mean_of_noisy_outcomes(outcomes: np.ndarray, ratio: float) -> None:
    mean = outcomes.mean()
    for loss in (qlike, squared_error):
        assert loss(mean, outcomes).mean() < loss(mean * ratio, outcomes).mean()


def test_a_day_without_a_move_has_a_finite_loss() -> None:
    assert qlike(np.array([1e-4]), np.array([0.0])) == pytest.approx(np.log(1e-4))


def _persistent(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Errors of a forecast that last: AR(1), coefficient 0.9, deviation 0.3."""
    noise, out = rng.standard_normal(shape) * 0.3 * np.sqrt(1 - 0.81), np.zeros(shape)
    for t in range(1, shape[1]):
        out[:, t] = 0.9 * out[:, t - 1] + noise[:, t]
    return out


@pytest.mark.parametrize("horizon", [1, 5])
def test_equally_good_forecasts_are_told_apart_as_rarely_as_promised(horizon: int) -> None:
    rng, n, runs = np.random.default_rng(1), 800, 1000
    moves = rng.standard_normal((runs, n + horizon)) ** 2
    outcome = sum(moves[:, k : k + n] for k in range(horizon))
    losses = [qlike(horizon * np.exp(_persistent(rng, (runs, n))), outcome) for _ in range(2)]
    p = np.array([diebold_mariano(*pair) for pair in zip(*losses, strict=True)])
    # 5 %, plus three standard errors of 1000 runs and room for dependence that 800 days show only in part.
    assert 0.03 < np.mean(p < 0.05) < 0.08
    assert np.mean(p < 0.01) < 0.025
    assert 0.45 < np.mean(p < 0.5) < 0.55


def test_the_true_variance_beats_a_constant_and_not_the_reverse() -> None:
    returns, variance = garch_returns(1000, 1e-5, 0.15, 0.8, seed=5)
    true, flat = qlike(variance, returns**2), qlike(np.full(1000, 2e-4), returns**2)
    assert diebold_mariano(true, flat) < 0.01
    assert diebold_mariano(flat, true) > 0.99


def test_what_cannot_be_told_apart_has_p_one() -> None:
    loss = np.random.default_rng(0).normal(size=100)
    assert diebold_mariano(loss, loss) == 1.0
    assert diebold_mariano(loss, loss + 0.1) == 1.0  # a constant difference has no variance to compare with
    assert diebold_mariano(loss[:20], loss[:20] + np.arange(20)) == 1.0


@pytest.mark.parametrize(
    ("rival", "message"), [(np.zeros(5), "same days"), (np.full(40, np.nan), "loss 0 is not finite")]
)
def test_losses_that_do_not_match_are_refused(rival: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        diebold_mariano(np.zeros(40), rival)
