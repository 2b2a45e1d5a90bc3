"""What the gates on data say, and that they neither overlook rare leaks nor cry wolf."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest

from ml_assets.gates import causal, ledger, oracle
from ml_assets.gates._verdict import verdict
from ml_assets.gates.core import GateResult
from ml_assets.gates.data._changes import STYLES, redraw, redraw_after
from ml_assets.gates.data._cuts import hard_spots
from ml_assets.gates.data.gates import AUGMENTED_GATES, SEQUENCE_GATES, AugmentedEvidence, SequenceEvidence
from ml_assets.prices.history import PriceHistory
from ml_assets.prices.simulated import simulate
from ml_assets.windows.augmentation import AugmentedSet, augment_sequences
from ml_assets.windows.features import expanding_mean, extract_features, feature_names
from ml_assets.windows.sequence_set import SequenceSet
from ml_assets.windows.sequences import build_sequences
from ml_assets.windows.splits import SequenceConfig
from ml_assets.windows.steps import Steps
from tests.mutants.catalogue import mutant_market

PRICES = mutant_market()
STAGED = build_sequences(PRICES)


def all_gates(prices: PriceHistory, build: Callable[[PriceHistory], SequenceSet]) -> list[GateResult]:
    staged = SequenceSet.from_bytes(build(prices).to_bytes())
    augmented = AugmentedSet.from_bytes(augment_sequences(staged).to_bytes())
    results = [gate.run(staged, SequenceEvidence(prices, build)) for gate in SEQUENCE_GATES]
    evidence = AugmentedEvidence(staged, augment_sequences)
    return results + [gate.run(augmented, evidence) for gate in AUGMENTED_GATES]


def next_day(frame: pd.DataFrame) -> np.ndarray:
    close = frame["close"].to_numpy()
    return np.append(np.log(close[1:] / close[:-1]), 0.0)


def leaking_on(day: int) -> Callable[[PriceHistory], SequenceSet]:
    """A pipeline whose 'return_5' adds a thousandth of tomorrow's return, on one day of the history alone."""

    def features(frame: pd.DataFrame) -> np.ndarray:
        out = extract_features(frame)
        if len(frame) > day:
            out[day, 5] += 1e-3 * next_day(frame)[day]
        return out

    return partial(build_sequences, steps=Steps(features=features))


@pytest.mark.parametrize("day", [63, 119, 248, 305, 377, 444, 511, 598, 655, 704])
def test_a_leak_on_any_single_day_is_found_and_named(day: int):
    build = leaking_on(day)
    result = causal(PRICES, build(PRICES), build)
    assert not result.passed
    assert "MUTANT" in result.message
    assert "'return_5'" in result.message
    assert str(PRICES.frame.index[day].date()) in result.message
    assert f"{build(PRICES).features[day, 5]!s} as stored" in result.message


@pytest.mark.parametrize(
    "config",
    [
        SequenceConfig(window=20, horizon=5, split=0.7),
        SequenceConfig(test_days=100),
        SequenceConfig(window=1, split=0.5),
        SequenceConfig(window=5, horizon=10, split=0.9),
    ],
)
def test_no_false_alarm_on_other_settings(config: SequenceConfig):
    results = all_gates(PRICES, partial(build_sequences, config=config))
    assert [r.message for r in results if not r.passed] == []


def long_memory(frame: pd.DataFrame) -> np.ndarray:
    """Honest features that remember longer than the every-day test can reach, from online algorithms."""
    step = np.log(frame["close"] / frame["close"].shift(1))
    shocks = (step.abs() > 0.03).cumsum()
    extra = [
        step - expanding_mean(step),
        step.ewm(span=30).std(),
        step.rolling(20).std(),
        step.rolling(100).skew(),
        frame["close"] / frame["close"].cummax() - 1.0,
        shocks.groupby(shocks).cumcount(),
        step.expanding(30).rank(pct=True),
    ]
    return np.column_stack([extract_features(frame), *extra])


def test_no_false_alarm_on_honest_features_with_a_long_memory():
    build = partial(build_sequences, steps=Steps(features=long_memory))
    result = causal(PRICES, build(PRICES), build)
    assert result.passed, result.message
    assert result.figures["features_on_every_day"] < result.figures["features"] == 43


def test_a_rare_leak_in_a_feature_with_a_long_memory_is_found():
    def features(frame: pd.DataFrame) -> np.ndarray:
        out = long_memory(frame)
        friday = pd.DatetimeIndex(frame.index).day_of_week == 4
        out[:, 36] += np.where(friday, 1e-3 * next_day(frame), 0.0)
        return out

    build = partial(build_sequences, steps=Steps(features=features))
    assert not causal(PRICES, build(PRICES), build).passed


def test_labels_may_reach_their_horizon_but_not_beyond():
    def labels(closes: np.ndarray, horizon: int) -> np.ndarray:
        out = np.full(len(closes), np.nan)
        out[:-horizon] = closes[horizon:] / closes[:-horizon] - 1
        out[: -horizon - 2] += 1e-6 * np.sign(closes[horizon + 2 :] - closes[: -horizon - 2])
        return out

    build = partial(build_sequences, steps=Steps(labels=labels))
    result = causal(PRICES, build(PRICES), build)
    assert not result.passed
    assert "beyond its horizon" in result.message


def test_rows_that_depend_on_the_future_are_found():
    def rows(features: np.ndarray, returns: np.ndarray, window: int) -> np.ndarray:
        from ml_assets.windows.rows import tradable_rows

        kept = tradable_rows(features, returns, window)
        later = np.append(returns[1:], np.nan)[kept]
        return kept[~(later < -0.03)]

    build = partial(build_sequences, steps=Steps(rows=rows))
    result = causal(PRICES, build(PRICES), build)
    assert not result.passed
    assert "whether a day is used" in result.message


def test_code_that_fails_on_another_future_is_a_finding_not_a_crash():
    def features(frame: pd.DataFrame) -> np.ndarray:
        if frame["close"].iloc[-1] != PRICES.frame["close"].iloc[-1]:
            raise RuntimeError("unexpected")
        return extract_features(frame)

    build = partial(build_sequences, steps=Steps(features=features))
    result = causal(PRICES, build(PRICES), build)
    assert not result.passed
    assert "RuntimeError: unexpected" in result.message


def test_failures_name_symbol_date_and_both_values():
    returns = STAGED.returns.copy()
    returns[300] = 0.5
    result = oracle(PRICES, replace(STAGED, returns=returns))
    day, due = PRICES.frame.index[300].date(), STAGED.returns[300]
    assert not result.passed
    assert all(part in result.message for part in ("MUTANT", str(day), "0.5", str(due)))
    rows = STAGED.ledger.copy()
    rows.loc[7, "as_of"] = pd.Timestamp("1999-01-04")
    result = ledger(PRICES, replace(STAGED, ledger=rows))
    assert not result.passed
    assert all(part in result.message for part in ("MUTANT", "as_of", "1999-01-04"))


def test_a_gate_that_compared_nothing_has_not_passed():
    assert not verdict("idle", lambda tally: "all well").passed
    with pytest.raises(ValueError, match="compared nothing"):
        GateResult("idle", True, "", 0)


def test_hard_spots_are_among_the_cuts():
    spots = hard_spots(PRICES, STAGED, np.random.default_rng(0), 5)
    kinds = {"split boundary", "last days", "gap in the calendar", "week end", "month end", "largest moves"}
    assert set(spots.values()) >= kinds | {"random"}
    train_last = int(STAGED.positions("train").max())
    assert {train_last, train_last + 1, len(PRICES.frame) - 2} <= set(spots)
    assert max(spots) == len(PRICES.frame) - 2, "after the last day there is no future"
    gaps = np.diff(PRICES.frame.index.to_numpy().astype("datetime64[D]")).astype(int)
    assert int(np.argmax(gaps)) in spots


@pytest.mark.parametrize("style", STYLES)
def test_a_redrawn_future_is_another_one_and_the_past_is_kept(style: str):
    rng = np.random.default_rng(0)
    prices = simulate("gated", 400, seed=1).prices
    other = redraw_after(prices, 250, rng, style).frame
    assert other.iloc[:251].equals(prices.frame.iloc[:251])
    assert other.index.equals(prices.frame.index)
    assert (other.to_numpy() > 0).all()
    assert np.isfinite(other.to_numpy()).all()
    assert (other["close"].iloc[251:] != prices.frame["close"].iloc[251:]).all()
    assert (other["high"] >= other[["open", "close"]].max(axis=1)).all()
    before, first = prices.frame["close"].iloc[250:252]
    assert np.sign(other["close"].iloc[251] - before) == -np.sign(first - before)


def test_redrawn_stretches_end_where_the_true_prices_go_on():
    days = (np.arange(len(PRICES.frame)) % 50) < 10
    other = redraw(PRICES, days, np.random.default_rng(0), "wild").frame
    assert other[~days].equals(PRICES.frame[~days])
    assert (other["close"][days] != PRICES.frame["close"][days]).all()


def test_feature_names_are_not_invented_for_missing_columns():
    def features(frame: pd.DataFrame) -> np.ndarray:
        return np.column_stack([extract_features(frame), next_day(frame)])

    staged = build_sequences(PRICES, steps=Steps(features=features))
    assert staged.feature_names == (*feature_names(PRICES.frame), "extra_0")
