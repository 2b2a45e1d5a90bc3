"""Rows, training and forecasts of a variance model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ml_assets.forecasts.variance import VolatilityWeights, variance_rows
from ml_assets.forecasts.variance.training import predict_variance, train_volatility
from ml_assets.gates.models.training import untrained_arrays
from ml_assets.mamba import MambaConfig, MambaWeights, TrainingRecipe
from ml_assets.prices.simulated import LEVERAGE, simulate
from ml_assets.windows.sequences import SequenceConfig, build_sequences
from tests.unit.forecasts.variance_makers import HORIZONS, QUICK, TINY, closes, folds, market, scored, trained


def test_a_longer_horizon_purges_the_rows_that_would_reach_the_next_part() -> None:
    for fold, rows in zip(*folds(), strict=True):
        for name, later in (("train", "validation"), ("validation", "test")):
            own, kept = fold.positions(name), getattr(rows, name)
            begins = fold.positions(later)[0] - fold.window + 1
            np.testing.assert_array_equal(kept, own[: len(own) - 4])  # 5 days instead of the ledger's 1
            assert kept[-1] + 5 < begins
            assert kept[-1] + 6 >= begins  # and no more than needed
        assert str(fold.dates[rows.train[-1] + 5]) == rows.trained_until < rows.known_until


def test_a_shorter_horizon_than_the_ledgers_purges_nothing() -> None:
    prices, _ = market()
    sequences = build_sequences(prices, SequenceConfig(window=30, horizon=5, test_days=200))
    rows = variance_rows(sequences, closes(), (1, 3))
    np.testing.assert_array_equal(rows.train, sequences.positions("train"))
    np.testing.assert_array_equal(rows.validation, sequences.positions("validation"))


def test_the_rows_hold_nothing_after_the_last_validation_row() -> None:
    for fold, rows in zip(*folds(), strict=True):
        last = rows.validation[-1]
        assert last < fold.positions("test")[0]
        for values in (rows.days, rows.labels, rows.start):
            assert np.isfinite(values[last]).all()
            assert np.isnan(values[last + 1 :]).all()


def test_too_long_a_horizon_and_too_few_closes_are_refused() -> None:
    _, sequences = market()
    with pytest.raises(ValueError, match=r"SIM: a horizon of 900 days leaves .* shorter horizon"):
        variance_rows(sequences, closes(), (900,))
    with pytest.raises(ValueError, match="SIM: 50 closes for"):
        variance_rows(sequences, closes()[:50], (1,))


def test_an_untrained_model_forecasts_its_start() -> None:
    weights, fold = trained(2), folds()[0][1]
    at = fold.positions("test")
    fresh = predict_variance(replace(weights, arrays=untrained_arrays(weights)), fold, closes(), at)
    np.testing.assert_allclose(fresh, folds()[1][1].rule.forecast(closes())[at], rtol=1e-6)


def test_the_bytes_of_one_target_are_not_those_of_another() -> None:
    weights = trained(2)
    back = VolatilityWeights.from_bytes(weights.to_bytes())
    assert (back.rule, back.horizons, back.config) == (weights.rule, HORIZONS, TINY)
    with pytest.raises(ValueError, match="holds 'volatility_weights', not 'mamba_weights'"):
        MambaWeights.from_bytes(weights.to_bytes())


def test_forecasts_need_the_features_of_the_training() -> None:
    prices, _ = market()
    weights = trained(2)
    other = build_sequences(prices, SequenceConfig(window=25, test_days=240))
    with pytest.raises(ValueError, match="SIM: trained on windows of 30 days"):
        predict_variance(weights, other, closes(), other.positions("test"))


@pytest.mark.parametrize(
    ("config", "recipe", "message"),
    [
        (MambaConfig(), QUICK, "variance_heads is 0, but there are 2 horizons"),
        (TINY, TrainingRecipe(burn_in=40), "the window of 30 days leaves no step"),
    ],
)
def test_settings_that_cannot_work_are_refused(
    config: MambaConfig, recipe: TrainingRecipe, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        train_volatility(folds()[1][1], config, recipe)


def test_rows_that_are_not_finite_are_refused_with_their_day() -> None:
    rows = folds()[1][1]
    labels = rows.labels.copy()
    labels[rows.train[3], 1] = np.nan
    with pytest.raises(ValueError, match=f"SIM {rows.dates[rows.train[3]]}: labels are not finite"):
        train_volatility(replace(rows, labels=labels), TINY, QUICK)


def test_report_scores_every_day_with_an_outcome() -> None:
    _, sequences = market()
    sealed = [str(day) for fold in folds()[0] for day in fold.as_of("test")]
    one, five = scored().scores
    assert one.dates == sealed
    assert five.dates == sealed[:-4]
    assert len(sealed) == 2 * len(sequences.positions("test"))
    for score in (one, five):
        assert score.best_baseline == min(score.baselines, key=score.baselines.__getitem__)
        assert set(score.figures["mse"]) == set(score.levels)


@pytest.mark.slow
def test_the_model_sees_what_no_baseline_sees() -> None:
    """Variance that follows the last move's sign: the model finds a good part of it, on sealed days."""
    prices = simulate("leverage", 2500, seed=1, ohlcv=False, symbol="EDGE").prices
    sequences = build_sequences(prices, SequenceConfig(window=30, test_days=500))
    values = prices.frame["close"].to_numpy()
    rows = variance_rows(sequences, values, (1,))
    weights = train_volatility(
        rows, MambaConfig(variance_heads=1), TrainingRecipe(epochs=12, learning_rate=1e-3)
    )
    at = sequences.positions("test")
    forecast = predict_variance(weights, sequences, values, at)[:, 0]
    fell = values[at] < values[at - 1]
    found = float(np.log(forecast[fell].mean() / forecast[~fell].mean()))
    assert found > 0.5 * np.log((LEVERAGE[1] / LEVERAGE[0]) ** 2)
    start = rows.rule.forecast(values)[at, 0]
    assert abs(np.log(start[fell].mean() / start[~fell].mean())) < 0.1
