"""Training on one symbol: it learns, repeats bit for bit, looks only where it may, and says why it stops."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_assets.mamba import (
    MambaConfig,
    TrainingRecipe,
    model_from_weights,
    predict_direction,
    predict_returns,
)
from ml_assets.mamba import train_mamba as train
from ml_assets.mamba.examples import check_windows, drawn_rows, standardized_targets
from ml_assets.mamba.figures import direction_figures
from ml_assets.mamba.trainer import compiled_trainer
from ml_assets.training import TrainingError
from tests.unit.mamba.sample import QUICK, TINY, augmented, market, sequences


def test_it_reaches_most_of_the_possible_edge():
    """AR(1) whose best possible accuracy is 75 %: at least 80 % of the edge, on the sealed test days."""
    data = sequences(seed=1, days=3000)
    weights = train(augmented(seed=1, days=3000), recipe=TrainingRecipe(epochs=40))
    up = data.y("test") > 0
    best = np.mean((market(seed=1, days=3000).probability[data.positions("test")] > 0.5) == up)
    probability = predict_direction(weights, data.X("test"))
    accuracy = np.mean((probability > 0.5) == up)
    assert accuracy - 0.5 >= 0.8 * (best - 0.5)
    # The recorded figures are those of the validation rows, beside honest baselines.
    figures = weights.validation
    assert figures["loss"] < figures["majority_loss"] - 0.1
    assert figures["accuracy"] > max(figures["untrained_accuracy"], figures["majority_accuracy"]) + 0.1
    # Probabilities mean what they say, and forecast returns point the same way.
    sure = probability > 0.7
    assert np.mean(up[sure]) > 0.65
    assert np.corrcoef(predict_returns(weights, data.X("test")), data.y("test"))[0, 1] > 0.5
    assert len(weights.history) <= 40
    assert weights.seconds > 0


def test_equal_seeds_give_equal_bytes_also_after_another_symbol():
    first = train(augmented(), TINY, QUICK, seed=5)
    train(augmented(seed=2), TINY, QUICK, seed=6)
    again = train(augmented(), TINY, QUICK, seed=5)
    assert again.to_bytes() == first.to_bytes()
    assert train(augmented(), TINY, QUICK, seed=6).to_bytes() != first.to_bytes()


def test_validation_and_training_see_only_their_own_rows():
    """Validation labels change no step of the weights while no early stopping depends on them."""
    recipe = replace(QUICK, epochs=1)
    data = augmented()
    weights = train(data, TINY, recipe)
    other = train(replace(data, X_val=data.X_val[::-1], y_val=-data.y_val), TINY, recipe)
    for path, values in weights.arrays.items():
        np.testing.assert_array_equal(other.arrays[path], values)
    moved = train(replace(data, step_returns=-data.step_returns, y=-data.y), TINY, recipe)
    assert any(not np.array_equal(moved.arrays[p], v) for p, v in weights.arrays.items())


def test_best_weights_are_restored_not_the_last():
    seen = []
    weights = train(
        augmented(), TINY, replace(QUICK, epochs=12, patience=2, learning_rate=0.1), progress=seen.append
    )
    losses = [entry["validation_loss"] for entry in weights.history]
    assert list(weights.history) == seen
    assert weights.validation["best_epoch"] == 1 + int(np.argmin(losses))
    assert len(losses) < 12, "it should have stopped early at this rate"


def test_stops_at_so_many_rises_in_a_row_and_not_before():
    patient = replace(QUICK, epochs=12, patience=12, rises=12, learning_rate=0.1)
    whole = train(augmented(), TINY, patient).history
    stopped = train(augmented(), TINY, replace(patient, rises=2)).history
    rising = np.diff([entry["validation_loss"] for entry in whole]) > 0
    first = int(np.argmax(rising[:-1] & rising[1:])) + 3  # epochs, counted from 1
    assert stopped == whole[:first]
    assert len(stopped) < len(whole) == 12


def test_restarts_from_the_best_weights_when_the_loss_is_no_number(caplog):
    """A batch of poison: epoch 2 onward the trainer's weights are broken once, as an overflow would."""
    trainer = compiled_trainer(TINY, QUICK, 60, len(augmented().feature_names))
    broken = []

    def poison(entry):
        if entry["epoch"] == 1 and not broken:
            broken.append(True)
            trainer.model.head.bias.assign([np.nan, np.nan])

    weights = train(augmented(), TINY, QUICK, progress=poison)
    assert np.isnan(weights.history[1]["loss"])
    assert np.isfinite(weights.validation["loss"])
    assert weights.validation["best_epoch"] == 1
    assert "NaN loss detected at epoch 2" in caplog.text
    assert "restarting from epoch 1 at rate 5.0e-04" in caplog.text


def test_gives_up_with_advice_after_the_allowed_restarts():
    trainer = compiled_trainer(TINY, QUICK, 60, len(augmented().feature_names))

    def poison(entry):
        trainer.model.head.bias.assign([np.nan, np.nan])

    recipe = replace(QUICK, epochs=9, max_restarts=1)
    trainer = compiled_trainer(TINY, recipe, 60, len(augmented().feature_names))
    with pytest.raises(TrainingError, match=r"NaN loss detected .* after 1 restarts.*learning_rate"):
        train(augmented(), TINY, recipe, progress=poison)
    with pytest.raises(TrainingError, match="no epoch of 1 gave a finite validation loss"):
        train(augmented(), TINY, replace(QUICK, epochs=1, learning_rate=1e30))


def test_refuses_what_it_cannot_train_on():
    data = augmented()
    X = data.X.copy()
    X[3, 5, 0] = np.nan
    with pytest.raises(ValueError, match="X row 3 is not finite"):
        train(replace(data, X=X), TINY, QUICK)
    none = replace(
        data, X_val=data.X_val[:0], y_val=data.y_val[:0], step_returns_val=data.step_returns_val[:0]
    )
    with pytest.raises(ValueError, match="X_val has no rows"):
        train(none, TINY, QUICK)
    with pytest.raises(ValueError, match="no step after the burn-in of 60"):
        train(data, TINY, replace(QUICK, burn_in=60))
    with pytest.raises(ValueError, match="no step after the burn-in has a return"):
        train(replace(data, step_returns=np.full_like(data.step_returns, np.nan)), TINY, QUICK)
    with pytest.raises(ValueError, match="all training returns are equal"):
        train(replace(data, y=np.zeros(len(data.y))), TINY, QUICK)


@given(
    n=st.integers(1, 300), every=st.integers(1, 5), stride=st.integers(1, 60), size=st.integers(1, 32),
    seed=st.integers(0, 99),
)  # fmt: skip
@settings(deadline=None)
def test_drawn_rows_are_training_rows_at_one_offset_in_full_batches(n, every, stride, size, seed):
    parent = np.concatenate([np.arange(n), np.arange(0, n, every)])
    rows = drawn_rows(parent, TrainingRecipe(stride=stride, batch_size=size), np.random.default_rng(seed))
    assert len(rows) % size == 0
    assert len(rows) > 0
    assert rows.min() >= 0
    assert rows.max() < len(parent)
    assert len(set(parent[rows] % min(stride, max(1, n // size)))) == 1


@given(gaps=st.lists(st.integers(1, 5), max_size=120), length=st.integers(2, 60), burn=st.integers(0, 59))
@settings(deadline=None)
def test_validation_windows_score_every_row_exactly_once(gaps, length, burn):
    burn = min(burn, length - 1)
    rows = np.cumsum([0, *gaps])
    ends, scored = check_windows(rows, length, burn)
    days = ends[:, None] + np.arange(1 - length, 1)
    np.testing.assert_array_equal(np.sort(days[scored]), rows)
    assert not scored[:, :burn].any()
    if not gaps or max(gaps) == 1:
        assert len(ends) == -(-len(rows) // (length - burn)), "no more windows than needed"


def test_unknown_returns_are_not_scored():
    targets = standardized_targets(np.array([[0.02, -0.01, 0.0, np.nan]]), 0.01, 0.01)
    np.testing.assert_array_equal(targets[0, :, 0], [1.0, 0.0, 0.0, np.nan])
    np.testing.assert_allclose(targets[0, :, 1], [1.0, -2.0, -1.0, np.nan], atol=1e-6)
    data = augmented()
    returns = np.where(np.arange(60) % 2, data.step_returns, np.nan)
    weights = train(replace(data, step_returns=returns), TINY, QUICK)
    assert np.isfinite([entry["loss"] for entry in weights.history]).all()
    assert weights.validation["best_epoch"] > 0


def test_figures_are_cross_entropy_and_accuracy():
    loss, accuracy = direction_figures(np.array([2.0, -1.0, 3.0]), np.array([True, False, False]))
    p = 1 / (1 + np.exp(-np.array([2.0, -1.0, 3.0])))
    assert loss == pytest.approx(-np.mean(np.log([p[0], 1 - p[1], 1 - p[2]])))
    assert accuracy == pytest.approx(2 / 3)


def test_predictions_take_raw_features_of_the_trained_shape():
    data, weights = sequences(), train(augmented(), TINY, QUICK)
    X = data.X("validation")[:7]
    probability = predict_direction(weights, X)
    logit = model_from_weights(weights)(data.normalize(X)).numpy()[:, 0]
    np.testing.assert_allclose(probability, 1 / (1 + np.exp(-logit)), rtol=1e-5)
    assert predict_direction(weights, X[:0]).shape == (0,)
    with pytest.raises(ValueError, match=r"trained on \(n, 60, "):
        predict_direction(weights, X[:, 1:])
    with pytest.raises(ValueError, match="NaN or infinity"):
        predict_direction(weights, np.full_like(X, np.nan))
    without = replace(weights, config=MambaConfig(return_head=False))
    with pytest.raises(ValueError, match="direction only"):
        predict_returns(without, X)
