from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ml_assets.prices.simulated import simulate
from ml_assets.storage.arrays import fold_windows, pack, unfold_windows, unpack
from ml_assets.storage.artifact import Artifact
from ml_assets.windows.features import WARM_UP, extract_features
from ml_assets.windows.labels import forward_returns
from ml_assets.windows.scaling import fit_scale, normalize
from ml_assets.windows.sequence_set import SequenceSet
from ml_assets.windows.sequences import build_sequences, create_sequences, split_sequences
from ml_assets.windows.splits import SequenceConfig, assign_splits, split_bounds
from ml_assets.windows.steps import Steps

PRICES = simulate("ar1", 700, seed=5).prices
CLOSES = PRICES.frame["close"].to_numpy()
SEQUENCES = build_sequences(PRICES)


def test_windows_and_labels_hold_what_they_say():
    X, y = create_sequences(CLOSES)
    features = extract_features(CLOSES).astype(np.float32)
    assert X.shape == (700 - WARM_UP - 59 - 1, 60, 25)
    assert np.isfinite(X).all()
    for row in (0, 17, len(X) - 1):
        as_of = WARM_UP + 59 + row
        assert np.array_equal(X[row], features[as_of - 59 : as_of + 1])
        assert y[row] == CLOSES[as_of + 1] / CLOSES[as_of] - 1


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 30), st.integers(1, 10))
def test_labels_reach_exactly_the_horizon(window: int, horizon: int):
    X, y = create_sequences(CLOSES[:200], window, horizon)
    first = WARM_UP + window - 1
    assert len(X) == len(y) == 200 - first - horizon
    np.testing.assert_allclose(y, CLOSES[first + horizon : 200] / CLOSES[first : 200 - horizon] - 1)


def test_the_pipeline_uses_the_public_functions():
    X, y = create_sequences(PRICES.frame)
    kept = [np.concatenate([SEQUENCES.X(s) for s in ("train", "validation", "test")])]
    rows = np.concatenate([SEQUENCES.positions(s) for s in ("train", "validation", "test")]) - WARM_UP - 59
    assert np.array_equal(kept[0], X[rows])
    assert np.array_equal(np.concatenate([SEQUENCES.y(s) for s in ("train", "validation", "test")]), y[rows])
    before = len(X) - len(SEQUENCES.positions("test")) - 60
    X_train, X_val, y_train, y_val = split_sequences(X[:before], y[:before])
    assert np.array_equal(SEQUENCES.X("train"), X_train)
    assert np.array_equal(SEQUENCES.X("validation"), X_val)
    assert np.array_equal(SEQUENCES.y("train"), y_train)
    assert np.array_equal(SEQUENCES.y("validation"), y_val)


@given(st.integers(1, 400), st.integers(1, 30), st.integers(1, 12), st.floats(0.05, 0.95))
def test_split_purges_the_training_side_and_nothing_else(n: int, window: int, horizon: int, split: float):
    X = np.arange(n * window, dtype=float).reshape(n, window, 1)
    y = np.arange(n, dtype=float)
    cut = int(n * split)
    if cut - (window + horizon - 1) < 1:
        with pytest.raises(ValueError, match="rows are enough"):
            split_sequences(X, y, split, horizon)
        return
    X_train, X_val, y_train, y_val = split_sequences(X, y, split, horizon)
    assert np.array_equal(X_val, X[cut:])
    assert np.array_equal(y_val, y[cut:])
    assert np.array_equal(X_train, X[: len(X_train)])
    # Row i reads days i ... i + window - 1; its label ends on day i + window - 1 + horizon.
    last_known = (len(y_train) - 1) + window - 1 + horizon
    first_read = cut
    assert last_known < first_read
    assert last_known + 1 == first_read, "one more training row would have fitted"


@given(st.integers(1, 100), st.floats(0.05, 0.95), st.integers(1, 20))
def test_the_rows_that_the_message_asks_for_are_enough(n: int, split: float, window: int):
    try:
        split_bounds(n, split, window, 1)
    except ValueError as error:
        enough = int(str(error).split("; ")[-1].split()[0])
        assert enough > n
        split_bounds(enough, split, window, 1)


@given(st.integers(1, 1500), st.integers(1, 60), st.integers(1, 5), st.none() | st.integers(1, 400))
def test_parts_come_in_order_with_a_purge_between(
    rows: int, window: int, horizon: int, test_days: int | None
):
    config = SequenceConfig(window, horizon, test_days=test_days)
    try:
        names = assign_splits(rows, config)
    except ValueError:
        assume(False)
    purge = window + horizon - 1
    count = {s: int((names == s).sum()) for s in ("train", "validation", "test")}
    order = ["train"] * count["train"] + ["purged"] * purge + ["validation"] * count["validation"]
    assert names.tolist() == order + ["purged"] * purge + ["test"] * count["test"]
    assert count["test"] == (test_days or min(1000, rows // 4))
    assert min(count.values()) > 0


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: create_sequences(CLOSES[:100]), "Give a longer history"),
        (lambda: create_sequences(CLOSES, horizon=0), "horizon"),
        (lambda: create_sequences(CLOSES, window=0), "window"),
        (lambda: split_sequences(np.ones((5, 2)), np.ones(4)), "each row needs its label"),
        (lambda: split_sequences(np.ones(5), np.ones(5)), "shape"),
        (lambda: split_sequences(np.ones((9, 2)), np.ones(9), split=1.0), "between 0 and 1"),
        (lambda: split_sequences(np.ones((9, 2)), np.ones(9), horizon=0), "horizon"),
        (lambda: SequenceConfig(test_days=0), "test_days"),
        (lambda: build_sequences(PRICES, SequenceConfig(test_days=560)), "smaller test_days"),
        (lambda: build_sequences(simulate("ar1", 300).prices), "longer history"),
        (lambda: forward_returns([1.0, 2.0], 0), "horizon"),
        (lambda: SEQUENCES.X("tests"), "choose one of"),
        (lambda: simulate("ar2"), "choose one of"),
        (lambda: simulate("hidden_markov", best_accuracy=0.7), "calibrated"),
        (lambda: simulate("ar1", best_accuracy=1.0), "below 1"),
    ],
)
def test_errors_say_what_to_do(call: object, says: str):
    with pytest.raises(ValueError, match=says):
        call()


def test_scale_is_fitted_on_the_days_of_training_windows_alone():
    last = int(SEQUENCES.positions("train").max())
    days = SEQUENCES.features[WARM_UP : last + 1].astype(float)
    np.testing.assert_allclose(SEQUENCES.center, days.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(SEQUENCES.scale, days.std(axis=0), rtol=1e-12)
    X = SEQUENCES.normalize(SEQUENCES.X("train"))
    assert X.dtype == np.float32
    assert np.abs(X).max() <= 5.0
    assert np.array_equal(X, SEQUENCES.normalized("train"))


def test_a_constant_feature_is_not_blown_up():
    center, scale = fit_scale(np.full((50, 2), 0.1, dtype=np.float32), np.ones(50, dtype=bool))
    assert scale.tolist() == [1.0, 1.0]
    assert np.abs(normalize(np.full((3, 2), 0.1), center, scale)).max() < 1e-6


def test_the_ledger_names_the_days_of_each_row():
    row = SEQUENCES.ledger.iloc[40]
    index = PRICES.frame.index
    assert row["as_of"] == index[row["position"]]
    assert row["first_day"] == index[row["position"] - 59]
    assert row["label_end"] == index[row["position"] + 1]
    train = SEQUENCES.ledger[SEQUENCES.ledger["split"] == "train"]
    assert pd.Timestamp(SEQUENCES.train_end) == train["label_end"].max()
    assert SEQUENCES.train_end < SEQUENCES.validation_end < SEQUENCES.dates[-1]


def test_step_labels_end_with_the_row_label():
    steps = SEQUENCES.step_returns("test")
    assert np.array_equal(steps[:, -1], SEQUENCES.y("test"))
    assert np.array_equal(steps[1:, 0], steps[:-1, 1])


def test_a_sequence_set_survives_its_bytes():
    data = SEQUENCES.to_bytes()
    back = SequenceSet.from_bytes(data)
    assert isinstance(back, Artifact)
    assert back.to_bytes() == data == build_sequences(PRICES).to_bytes()
    assert back.feature_names == SEQUENCES.feature_names
    assert np.array_equal(back.features, SEQUENCES.features, equal_nan=True)
    assert np.array_equal(back.returns, SEQUENCES.returns, equal_nan=True)
    pd.testing.assert_frame_equal(back.ledger, SEQUENCES.ledger)
    for split in ("train", "validation", "test"):
        assert np.array_equal(back.X(split), SEQUENCES.X(split))


@pytest.mark.parametrize(
    "data", [b"", b"no archive", pack({}, {"kind": "other"}), SEQUENCES.to_bytes()[:-500]]
)
def test_other_bytes_are_refused(data: bytes):
    with pytest.raises(ValueError, match=r"not a readable array file|not 'sequences'"):
        SequenceSet.from_bytes(data)


def test_arrays_are_read_only_and_the_callers_stay_writable():
    with pytest.raises(ValueError, match="read-only"):
        SEQUENCES.features[0, 0] = 1.0
    mine = np.ones(36)
    SequenceSet(**{**vars(SEQUENCES), "center": mine})
    mine[0] = 2.0
    assert mine[0] == 2.0


def test_shapes_that_disagree_are_refused():
    with pytest.raises(ValueError, match="feature names"):
        SequenceSet(**{**vars(SEQUENCES), "returns": SEQUENCES.returns[:-1]})


def test_a_step_cannot_change_the_prices_in_place():
    def vandal(frame: pd.DataFrame) -> np.ndarray:
        frame["close"] = 1.0 + np.arange(len(frame))
        return extract_features(frame)

    before = PRICES.frame.copy()
    staged = build_sequences(PRICES, steps=Steps(features=vandal))
    pd.testing.assert_frame_equal(PRICES.frame, before)
    assert np.array_equal(staged.returns, SEQUENCES.returns, equal_nan=True)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_folding_windows_loses_no_bit(data: st.DataObject):
    window = data.draw(st.integers(1, 6))
    days = np.random.default_rng(data.draw(st.integers(0, 99))).normal(size=(40, 3)).astype(np.float32)
    days[data.draw(st.integers(0, 39))] = data.draw(st.sampled_from([np.nan, 0.0, -0.0]))
    starts = np.array(data.draw(st.lists(st.integers(0, 40 - window), max_size=30)), dtype=np.int64)
    windows = unfold_windows(days, starts, window)
    strip, start = fold_windows(windows)
    assert unfold_windows(strip, start, window).tobytes() == windows.tobytes()
    assert len(strip) <= max(len(starts) * window, 0)


def test_packing_is_deterministic_and_keeps_order_of_nothing():
    a, b = np.arange(3), np.ones((2, 2), dtype=np.float32)
    data = pack({"a": a, "b": b}, {"x": 1, "y": [2]})
    assert data == pack({"b": b, "a": a}, {"y": [2], "x": 1})
    arrays, header = unpack(data)
    assert header == {"x": 1, "y": [2]}
    assert arrays["b"].dtype == np.float32
    assert np.array_equal(arrays["a"], a)
