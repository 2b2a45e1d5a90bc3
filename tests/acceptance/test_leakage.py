"""Acceptance: nothing of the validation part or of the future reaches training."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd

from ml_assets.gates import augmented_ledger, augmented_non_interference, causal, ledger, non_interference
from ml_assets.prices.simulated import price_history, simulate
from ml_assets.windows.augmentation import augment_data, augment_sequences, augmentation_parents
from ml_assets.windows.features import extract_features, feature_names
from ml_assets.windows.sequences import build_sequences, create_sequences, split_sequences
from ml_assets.windows.steps import Steps

PRICES = simulate("ar1", 900, seed=42).prices
CLOSES = PRICES.frame["close"].to_numpy()


def test_augmentation_after_split() -> None:
    """R1: the split comes first; only training rows are augmented; each copy knows its parent."""
    X, y = create_sequences(CLOSES)
    X_train, X_val, y_train, y_val = split_sequences(X, y, split=0.8)
    X_aug, y_aug = augment_data(X_train, y_train)
    cut = int(len(X) * 0.8)

    assert np.array_equal(X_val, X[cut:])
    assert np.array_equal(y_val, y[cut:])
    assert len(X_aug) == len(y_aug) > len(X_train)
    assert np.array_equal(X_aug[: len(X_train)], X_train)
    parents = augmentation_parents(len(X_train))
    assert parents.max() < len(X_train)
    assert np.array_equal(y_aug, y_train[parents])
    # No augmented row is nearer to a validation row than to its own parent.
    sample = np.arange(len(X_train), len(X_aug), 37)
    scale = X_train.std(axis=(0, 1))
    to_parent = np.abs((X_aug[sample] - X_train[parents[sample]]) / scale).mean(axis=(1, 2))
    to_validation = [np.abs((row - X_val) / scale).mean(axis=(1, 2)).min() for row in X_aug[sample]]
    assert (to_parent < to_validation).all()

    sequences = build_sequences(PRICES)
    assert augmented_ledger(sequences, augment_sequences(sequences)).passed


def test_no_data_leakage_in_validation() -> None:
    """R1: training knows no day that validation reads, and other validation prices change no bit of it."""
    X, y = create_sequences(CLOSES)
    X_train, _, _, _ = split_sequences(X, y)
    purged = int(len(X) * 0.8) - len(X_train)
    assert purged == 60 + 1 - 1, (
        "window and label of the last training row end before validation begins to read"
    )

    sequences = build_sequences(PRICES)
    rows = sequences.ledger.set_index("split")
    assert rows.loc["train", "label_end"].max() < rows.loc["validation", "first_day"].min()
    assert rows.loc["validation", "label_end"].max() < rows.loc["test", "first_day"].min()

    frame = PRICES.frame.copy()
    after = frame.index > pd.Timestamp(sequences.train_end)
    frame.loc[after] *= np.exp(np.random.default_rng(0).normal(0, 0.2, (after.sum(), 1)))
    before, changed = (
        augment_sequences(sequences),
        augment_sequences(build_sequences(price_history(PRICES.symbol, frame))),
    )
    for field in ("X", "y", "step_returns", "parent", "center", "scale"):
        assert np.array_equal(getattr(before, field), getattr(changed, field)), field
    assert not np.array_equal(before.X_val, changed.X_val)

    assert ledger(PRICES, sequences).passed
    assert non_interference(PRICES, sequences, build_sequences).passed
    assert augmented_non_interference(sequences, before, augment_sequences).passed


def test_no_future_data_in_features() -> None:
    """R2: feature row i follows from prices[:i+1] alone, and the gate turns red as soon as it does not."""
    full = extract_features(CLOSES)
    assert full.shape[1] == len(feature_names(CLOSES)) == 25
    for i in [*range(0, 90), 200, 500, 777, len(CLOSES) - 1]:
        np.testing.assert_allclose(extract_features(CLOSES[: i + 1])[i], full[i], rtol=1e-9)
    future = CLOSES.copy()
    future[500:] *= 3.0
    assert np.array_equal(extract_features(future)[:500], full[:500], equal_nan=True)
    assert np.isnan(full[:60]).any(axis=1).all(), "warm-up rows are not filled"

    assert causal(PRICES, build_sequences(PRICES), build_sequences).passed
    leak = partial(
        build_sequences, steps=Steps(features=lambda f: extract_features(f) - np.nanmean(f["close"]))
    )
    assert not causal(PRICES, leak(PRICES), leak).passed
