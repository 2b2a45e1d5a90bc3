from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_assets.prices.simulated import simulate
from ml_assets.storage.artifact import Artifact
from ml_assets.windows.augmentation import (
    AugmentConfig,
    AugmentedSet,
    augment_data,
    augment_sequences,
    augmentation_parents,
)
from ml_assets.windows.sequences import build_sequences

SEQUENCES = build_sequences(simulate("ar1", 700, seed=5, ohlcv=False).prices)
AUGMENTED = augment_sequences(SEQUENCES)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 40),
    st.integers(1, 8),
    st.integers(1, 3),
    st.integers(1, 7),
    st.integers(0, 9),
    st.booleans(),
)
def test_originals_come_first_and_copies_follow_their_parents(
    n: int, window: int, copies: int, every: int, seed: int, flat: bool
):
    X = np.random.default_rng(1).normal(size=(n, 4) if flat else (n, window, 4)).astype(np.float32)
    y = np.arange(n, dtype=float)
    X_aug, y_aug = augment_data(X, y, copies=copies, every=every, seed=seed)
    parents = augmentation_parents(n, copies, every)
    assert len(X_aug) == len(y_aug) == len(parents) > n
    assert X_aug[:n].tobytes() == X.tobytes()
    assert np.array_equal(y_aug, y[parents])
    assert X_aug.dtype == X.dtype
    again, _ = augment_data(X, y, copies=copies, every=every, seed=seed)
    assert again.tobytes() == X_aug.tobytes()


def test_copies_differ_from_their_parents_by_little_and_from_seed_to_seed():
    X = np.random.default_rng(1).normal(size=(300, 10, 4)) * [1, 10, 0.01, 5]
    X_aug, _ = augment_data(X, np.zeros(300))
    apart = (X_aug[300:] - X).std(axis=(0, 1)) / X.std(axis=(0, 1))
    assert (apart > 0.05).all(), "noise is in units of each feature's own deviation"
    assert (apart < 0.3).all()
    assert not np.array_equal(augment_data(X, np.zeros(300), seed=1)[0][300:], X_aug[300:])


def test_a_constant_feature_stays_constant():
    X = np.ones((20, 5, 2))
    assert np.array_equal(augment_data(X, np.zeros(20))[0], np.ones((40, 5, 2)))


@pytest.mark.parametrize(
    ("X", "y", "options", "says"),
    [
        (np.ones((3, 2)), np.ones(2), {}, "label for each"),
        (np.ones((0, 2)), np.ones(0), {}, "at least one row"),
        (np.ones(3), np.ones(3), {}, "X is"),
        (np.array([[np.nan]]), np.ones(1), {}, "warm-up"),
        (np.ones((3, 2)), np.ones(3), {"copies": 0}, "at least 1"),
    ],
)
def test_bad_input_is_refused(X: np.ndarray, y: np.ndarray, options: dict, says: str):
    with pytest.raises(ValueError, match=says):
        augment_data(X, y, **options)
    with pytest.raises(ValueError, match="at least 1"):
        AugmentConfig(every=0)


def test_integers_are_accepted():
    X_aug, _ = augment_data([[1, 2], [3, 5]], [0, 1])
    assert X_aug.shape == (4, 2)
    assert X_aug[:2].tolist() == [[1, 2], [3, 5]]


def test_the_augmented_set_holds_training_rows_copies_and_untouched_validation_rows():
    a, n = AUGMENTED, len(SEQUENCES.positions("train"))
    assert len(a.X) == n + len(range(0, n, 4))
    assert a.X[:n].tobytes() == SEQUENCES.normalize(SEQUENCES.X("train")).tobytes()
    assert a.X_val.tobytes() == SEQUENCES.normalize(SEQUENCES.X("validation")).tobytes()
    assert np.array_equal(a.y, SEQUENCES.y("train")[a.parent])
    assert np.array_equal(a.step_returns[:, -1], a.y)
    assert np.array_equal(a.step_returns_val[:, -1], a.y_val)
    assert a.is_copy.sum() == len(a.X) - n
    assert a.as_of_train.max() < SEQUENCES.train_end < a.as_of_val.min() < a.as_of_val.max()
    assert a.as_of_val.max() < SEQUENCES.as_of("test").min()


def test_an_augmented_set_survives_its_bytes_and_stores_no_day_sixty_times():
    data = AUGMENTED.to_bytes()
    back = AugmentedSet.from_bytes(data)
    assert isinstance(back, Artifact)
    assert back.to_bytes() == data == augment_sequences(SEQUENCES).to_bytes()
    for name in vars(AUGMENTED):
        mine, theirs = getattr(AUGMENTED, name), getattr(back, name)
        assert np.array_equal(mine, theirs), name
    assert len(data) < 0.5 * (AUGMENTED.X.nbytes + AUGMENTED.X_val.nbytes)
    with pytest.raises(ValueError, match="augmented"):
        AugmentedSet.from_bytes(SEQUENCES.to_bytes())


def test_arrays_of_different_length_are_refused():
    with pytest.raises(ValueError, match="length"):
        AugmentedSet(**{**vars(AUGMENTED), "y": AUGMENTED.y[:-1]})
