"""The gates on trained weights: each passes a real training and can fail."""

from dataclasses import replace
from functools import cache

import numpy as np

from ml_assets.gates.models.training import (
    learned,
    training_rows_only,
    weights_finite_and_complete,
    weights_reload,
)
from ml_assets.mamba import MambaModel, train_mamba
from tests.unit.mamba.sample import QUICK, TINY, augmented

HEAD = "head/vars/1"


@cache
def trained():
    return train_mamba(augmented(), TINY, replace(QUICK, epochs=6), seed=4)


def with_array(path, values):
    return replace(trained(), arrays={**trained().arrays, path: values})


def test_a_real_training_passes_every_gate():
    data, weights = augmented(), trained()
    results = [
        weights_finite_and_complete(weights),
        weights_reload(weights.to_bytes(), data),
        training_rows_only(weights, data),
        learned(weights, data),
    ]
    assert [result.gate for result in results if not result.passed] == []
    assert all(result.checked > 0 and data.symbol in result.message for result in results)
    assert len({result.gate for result in results}) == 4
    assert results[3].figures["majority_accuracy"] > 0


def test_weights_must_be_finite_complete_and_trained():
    gate = weights_finite_and_complete
    bad = gate(with_array(HEAD, np.array([np.nan, 1.0], np.float32)))
    assert not bad.passed
    assert "head/vars/1 holds 1 of 2 values not finite" in bad.message
    assert "shape (3,), the configuration says (2,)" in gate(with_array(HEAD, np.zeros(3))).message
    missing = {path: v for path, v in trained().arrays.items() if path != HEAD}
    assert "head/vars/1 has shape None" in gate(replace(trained(), arrays=missing)).message
    model = MambaModel(TINY, seed=4)
    model.build((None, 60, len(augmented().feature_names)))
    untrained = gate(replace(trained(), arrays=model.to_arrays()))
    assert not untrained.passed
    assert "never changed block_0/mixer" in untrained.message


def test_reloaded_weights_must_predict_the_same():
    data = augmented()
    tiny_change = np.nextafter(trained().arrays[HEAD], np.float32(9))
    result = weights_reload(with_array(HEAD, tiny_change).to_bytes(), data)
    assert not result.passed
    assert result.checked > 0
    changed_rows = replace(data, X_val=data.X_val + np.float32(0.01))
    assert not weights_reload(trained().to_bytes(), changed_rows).passed
    damaged = weights_reload(trained().to_bytes()[:500], data)
    assert not damaged.passed
    assert "cannot be read" in damaged.message


def test_training_rows_must_be_the_certified_ones():
    data = augmented()
    leaked = replace(
        data,
        X=np.concatenate([data.X, data.X_val]),
        y=np.concatenate([data.y, data.y_val]),
        step_returns=np.concatenate([data.step_returns, data.step_returns_val]),
        parent=np.concatenate([data.parent, np.arange(len(data.X_val))]),
        is_copy=np.concatenate([data.is_copy, np.ones(len(data.X_val), bool)]),
    )
    result = training_rows_only(train_mamba(leaked, TINY, QUICK), data)
    assert not result.passed
    assert (
        f"training rows of the training: {len(leaked.X)}; of the certified set: {len(data.X)}"
        in result.message
    )
    X = data.X.copy()
    X[0, 0, 0] += 0.5
    swapped = training_rows_only(train_mamba(replace(data, X=X), TINY, QUICK), data)
    assert not swapped.passed
    assert "content sha256" in swapped.message
    assert not training_rows_only(trained(), augmented(seed=2)).passed


def test_a_model_worse_than_untrained_has_not_learned():
    data = augmented()
    worse = learned(with_array(HEAD, np.array([4.0, 0.0], np.float32)), data)
    assert not worse.passed
    assert "exceeds that of the untrained model" in worse.message
    lied = learned(replace(trained(), validation={**trained().validation, "loss": 0.1}), data)
    assert not lied.passed
    assert "the recorded validation loss is 0.1" in lied.message
    not_a_number = learned(with_array(HEAD, np.full(2, np.nan, np.float32)), data)
    assert not not_a_number.passed


def test_noise_is_no_failure_of_training():
    data = augmented(kind="random_walk")
    assert learned(train_mamba(data, TINY, replace(QUICK, epochs=10)), data).passed
