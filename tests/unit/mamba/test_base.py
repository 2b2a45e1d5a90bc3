"""The base model: it learns what symbols share, repeats bit for bit, and may be refused as a start."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from ml_assets.mamba import (
    BASE_RECIPE,
    MambaBaseWeights,
    MambaConfig,
    MambaModel,
    pool_sequences,
    predict_direction,
    train_base,
    train_mamba,
)
from ml_assets.storage.artifact import Artifact
from tests.unit.mamba.sample import QUICK, TINY, augmented, market, sequences

FAST = replace(BASE_RECIPE, epochs=12, jit_compile=False)


@cache
def pooled(kind="ar1"):
    return pool_sequences([sequences(seed=seed, kind=kind) for seed in (11, 12, 13)])


@cache
def base(kind="ar1"):
    return train_base(pooled(kind), TINY, FAST, seed=3)


def share_of_edge(weights, seed):
    data = sequences(seed=seed)
    up = data.y("test") > 0
    best = np.mean((market(seed=seed).probability[data.positions("test")] > 0.5) == up)
    return (np.mean((predict_direction(weights, data.X("test")) > 0.5) == up) - 0.5) / (best - 0.5)


def test_a_new_symbol_starts_from_what_others_have_taught():
    """AR(1) of 75 %: after one epoch of its own rows a symbol has an edge that it cannot find alone."""
    recipe = replace(QUICK, epochs=1)
    alone, started = (
        train_mamba(augmented(), TINY, recipe),
        train_mamba(augmented(), TINY, recipe, base=base()),
    )
    assert started.origin in ("base", "fine_tuned")
    assert started.candidates[started.origin] < started.candidates["scratch"]
    assert alone.candidates == {"scratch": pytest.approx(started.candidates["scratch"])}
    assert share_of_edge(started, 0) > 0.8 > share_of_edge(alone, 0)
    figures = base().validation
    assert figures["loss"] < figures["untrained_loss"] - 0.05


def test_where_symbols_differ_in_sign_the_base_model_is_refused():
    """Momentum against a base model that has learned reversal: trained from scratch, on validation."""
    opposite = replace(
        base(), arrays={p: -v if p.startswith("feature_skip") else v for p, v in base().arrays.items()}
    )
    weights = train_mamba(augmented(), TINY, replace(QUICK, epochs=15), base=opposite)
    assert weights.origin == "scratch"
    assert weights.candidates["scratch"] < weights.candidates["fine_tuned"]
    assert weights.base_sha256 is not None, "what was tried is part of the record"


def test_equal_seeds_give_equal_bytes_also_after_another_training():
    again = train_base(pooled(), TINY, FAST, seed=3)
    assert again.to_bytes() == base().to_bytes()
    assert train_base(pooled(), TINY, replace(FAST, epochs=1), seed=4).to_bytes() != base().to_bytes()


def test_validation_rows_decide_when_to_stop_and_nothing_else():
    one = replace(FAST, epochs=1)
    flipped = pooled().targets.copy()
    flipped[pooled().validation] = flipped[pooled().validation][::-1]
    first, other = train_base(pooled(), TINY, one), train_base(replace(pooled(), targets=flipped), TINY, one)
    for path, values in first.arrays.items():
        np.testing.assert_array_equal(other.arrays[path], values)


def test_it_is_an_artifact_that_keras_opens_and_damage_is_refused(tmp_path):
    data = base().to_bytes()
    assert isinstance(base(), Artifact)
    again = MambaBaseWeights.from_bytes(data)
    assert again.to_bytes() == data
    assert (again.members, again.boundary, again.config) == (base().members, base().boundary, TINY)
    (tmp_path / "base.weights.h5").write_bytes(data)
    model = MambaModel(TINY)
    model.build((None, 60, len(base().feature_names)))
    model.load_weights(tmp_path / "base.weights.h5")
    np.testing.assert_array_equal(model.to_arrays()["embed/vars/0"], base().arrays["embed/vars/0"])
    with pytest.raises(ValueError, match="holds 'mamba_weights', not 'mamba_base_weights'"):
        MambaBaseWeights.from_bytes(train_mamba(augmented(), TINY, QUICK).to_bytes())
    with pytest.raises(ValueError, match="not a readable HDF5"):
        MambaBaseWeights.from_bytes(data[:100])
    missing = replace(base(), arrays={p: v for p, v in base().arrays.items() if p != "head/vars/1"})
    with pytest.raises(ValueError, match="head/vars/1 has shape none"):
        MambaBaseWeights.from_bytes(missing.to_bytes())


def test_layers_that_see_features_are_left_out_where_features_differ():
    renamed = replace(base(), feature_names=tuple(reversed(base().feature_names)))
    weights = train_mamba(augmented(), TINY, replace(QUICK, epochs=1), base=renamed)
    assert "base" not in weights.candidates, "half a base model is no candidate before it is trained"


def test_it_says_why_a_symbol_cannot_start_from_it():
    data = augmented()
    assert base().unfit_for(data, TINY) is None
    late = replace(base(), boundary="2999-01-01")
    assert "trained on days before 2999-01-01" in str(late.unfit_for(data, TINY))
    assert "chosen by days until 2999" in str(replace(base(), known_until="2999-01-01").unfit_for(data, TINY))
    assert base().unfit_for(data, MambaConfig()) == "it has another configuration"
    assert "window" in str(replace(base(), window=30).unfit_for(data, TINY))


def test_a_window_within_the_burn_in_is_refused():
    with pytest.raises(ValueError, match="no step after the burn-in of 60"):
        train_base(pooled(), TINY, replace(FAST, burn_in=60))
