"""The gates where symbols cross: each passes the real thing and catches the leak that it is there for."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from ml_assets.gates.models.pooling import (
    base_before_validation,
    base_learned,
    calendar_boundary,
    pooled_non_interference,
)
from ml_assets.gates.models.training import weights_finite_and_complete
from ml_assets.mamba import pool_sequences, pooled, train_base, train_mamba
from tests.unit.mamba.sample import QUICK, TINY, augmented, sequences
from tests.unit.mamba.test_base import FAST

LATE = 200  # days by which one member's calendar is moved on, so that its training outlasts the boundary


@cache
def sets():
    moved = sequences(seed=22)
    ledger = moved.ledger.copy()
    for day in ("first_day", "as_of", "label_end"):
        ledger[day] = ledger[day] + np.timedelta64(LATE, "D")
    return (
        sequences(seed=21),
        replace(moved, symbol="LATE", dates=moved.dates + np.timedelta64(LATE, "D"), ledger=ledger),
    )


@cache
def base():
    return train_base(pool_sequences(sets()), TINY, FAST)


def unbounded(given):
    """Pool all training rows of every symbol, as if each had its own calendar."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            pooled, "_rows", lambda s, split, before: s.positions(split)[: -1 if split == "train" else None]
        )
        return pool_sequences(given)


def scaled_by_own_center(given):
    """Normalize with each symbol's own center and scale, which know days after the boundary."""
    with pytest.MonkeyPatch.context() as patch:
        by_features = {s.features.tobytes(): s for s in given}

        def own(features, _):
            found = next(s for f, s in by_features.items() if f.startswith(features.tobytes()))
            return found.center, found.scale

        patch.setattr(pooled, "fit_scale", own)
        return pool_sequences(given)


def filled_from_the_future(given):
    """Boundary kept, but each window's features are those of one day later."""
    shifted = [replace(s, features=np.roll(s.features, -300, axis=0)) for s in given]
    return pool_sequences(shifted)


def test_the_real_base_model_passes():
    pooled_set = pool_sequences(sets())
    results = [
        calendar_boundary(base(), sets(), pool_sequences),
        pooled_non_interference(sets(), pool_sequences),
        weights_finite_and_complete(base()),
        base_learned(base(), pooled_set),
    ]
    assert [result.message for result in results if not result.passed] == []
    assert "2 symbols" in results[0].message
    assert results[0].figures["training_rows"] == base().training_rows
    # LATE trains until long after the boundary, or there were nothing to catch.
    assert sets()[1].train_end > pooled_set.boundary


def test_a_row_after_another_symbols_validation_start_is_caught():
    leaked = train_base(unbounded(sets()), TINY, replace(FAST, epochs=1))
    result = calendar_boundary(leaked, sets(), unbounded)
    assert not result.passed
    assert result.message.startswith("LATE: a label ends on ")
    assert "when the validation of SIM-AR1-21 starts" in result.message


def test_a_model_trained_on_other_data_than_was_read_is_caught():
    leaked = train_base(unbounded(sets()), TINY, replace(FAST, epochs=1))
    result = calendar_boundary(leaked, sets(), pool_sequences)
    assert "trained on data" in result.message
    assert "not among the sequences read" in calendar_boundary(base(), sets()[:1], pool_sequences).message
    lied = calendar_boundary(replace(base(), boundary="1999-01-01"), sets(), pool_sequences)
    assert "recorded are the days 1999-01-01" in lied.message


def test_forged_days_and_labels_are_caught():
    def moved_back(given):
        honest = unbounded(given)
        days = np.timedelta64(2 * LATE, "D")
        return replace(honest, dates=honest.dates - days, label_ends=honest.label_ends - days)

    def flipped(given):
        honest = pool_sequences(given)
        return replace(honest, targets=-honest.targets)

    for forged in (moved_back, flipped):
        leaked = train_base(forged(sets()), TINY, replace(FAST, epochs=1))
        result = calendar_boundary(leaked, sets(), forged)
        assert not result.passed
        assert "not those of the certified sequences" in result.message


@pytest.mark.parametrize("days", [1, 2, 5])
def test_features_that_look_ahead_by_less_than_the_horizon_are_caught(days):
    def ahead(given):
        shifted = [np.concatenate([s.features[days:], s.features[-days:]]) for s in given]
        return pool_sequences([replace(s, features=f) for s, f in zip(given, shifted, strict=True)])

    leaked = train_base(ahead(sets()), TINY, replace(FAST, epochs=1))
    result = calendar_boundary(leaked, sets(), ahead)
    assert not result.passed
    assert "its features are not those of the certified sequences" in result.message


def test_normalization_by_days_after_the_training_is_caught_by_the_rows_too():
    leaked = train_base(scaled_by_own_center(sets()), TINY, replace(FAST, epochs=1))
    assert "its features are not those" in calendar_boundary(leaked, sets(), scaled_by_own_center).message


@pytest.mark.parametrize("leak", [unbounded, scaled_by_own_center, filled_from_the_future])
def test_what_depends_on_later_days_is_caught(leak):
    result = pooled_non_interference(sets(), leak)
    assert not result.passed
    assert "change with days from" in result.message


def test_rows_from_elsewhere_are_caught():
    kept = pool_sequences(sets())
    result = pooled_non_interference(sets(), lambda _: kept)
    assert not result.passed
    assert "do not change when all days are redrawn" in result.message


def test_a_base_model_that_learned_nothing_or_lies_is_caught():
    pooled_set = pool_sequences(sets())
    arrays = {**base().arrays, "head/vars/1": np.array([4.0, 0.0], np.float32)}
    assert (
        "exceeds that of the untrained model"
        in base_learned(replace(base(), arrays=arrays), pooled_set).message
    )
    lied = replace(base(), validation={**base().validation, "loss": 0.1})
    assert "the recorded validation loss is 0.1" in base_learned(lied, pooled_set).message


def test_a_symbol_may_not_start_from_a_model_that_knows_its_future():
    data = augmented()
    start, end = str(data.as_of_val[0]), str(data.as_of_val[-1])
    fit_to_use = replace(base(), boundary=start, known_until=end)
    day_late = str(data.as_of_val[0] + 1)
    cases = {
        "the base model was trained on days before": replace(fit_to_use, boundary=day_late),
        "the base model was chosen by days until": replace(fit_to_use, known_until="2999-01-01"),
    }
    assert base_before_validation(train_mamba(data, TINY, QUICK, base=fit_to_use), data, fit_to_use).passed
    for message, bad in cases.items():
        result = base_before_validation(train_mamba(data, TINY, QUICK, base=bad), data, bad)
        assert not result.passed
        assert message in result.message


def test_a_symbol_may_start_only_from_the_base_model_that_was_read():
    data = augmented()
    fit_to_use = replace(base(), boundary=str(data.as_of_val[0]), known_until=str(data.as_of_val[-1]))
    weights = train_mamba(data, TINY, QUICK, base=fit_to_use)
    other = replace(fit_to_use, seed=9)
    assert "the certified one is" in base_before_validation(weights, data, other).message
    assert "none was read" in base_before_validation(weights, data, None).message
    assert base_before_validation(train_mamba(data, TINY, QUICK), data, fit_to_use).passed
