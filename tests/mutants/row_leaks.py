"""Labels, splits, scales and ledgers that are wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from ml_assets.prices.history import PriceHistory
from ml_assets.prices.simulated import price_history
from ml_assets.windows.labels import forward_returns
from ml_assets.windows.rows import split_column, tradable_rows
from ml_assets.windows.scaling import fit_scale
from ml_assets.windows.sequence_set import SequenceSet
from ml_assets.windows.sequences import build_sequences
from ml_assets.windows.splits import SequenceConfig, assign_splits
from ml_assets.windows.steps import Steps
from tests.mutants.pipeline import Mutant, Pipeline, with_steps

LABELS: dict[str, Callable[[Any, int], Any]] = {
    "label one day early": lambda close, h: np.concatenate([[np.nan], forward_returns(close, h)[:-1]]),
    "label one day late": lambda close, h: np.concatenate([forward_returns(close, h)[1:], [np.nan]]),
    "label of another horizon": lambda close, h: forward_returns(close, h + 1),
    "label from smoothed prices": lambda close, h: forward_returns(pd.Series(close).ewm(span=3).mean(), h),
    "label from filled prices": lambda close, h: forward_returns(
        pd.Series(np.where(np.arange(len(close)) % 50 == 7, np.nan, close)).ffill(), h
    ),
    "label from rounded prices": lambda close, h: forward_returns(np.round(close, 1), h),
    "logarithmic label": lambda close, h: np.log1p(forward_returns(close, h)),
    "label relative to the mean of all rows": lambda close, h: (
        forward_returns(close, h) - np.nanmean(forward_returns(close, h))
    ),
}


def _easy_rows(features: Any, returns: Any, window: int) -> Any:
    rows = tradable_rows(features, returns, window)
    return rows[np.abs(returns[rows]) < 0.04]


def _no_purge(rows: int, config: SequenceConfig) -> Any:
    names = assign_splits(rows, config).copy()
    first = int(np.argmax(names == "validation"))
    names[:first] = "train"
    return names


def _short_purge(rows: int, config: SequenceConfig) -> Any:
    names = assign_splits(rows, config).copy()
    names[int(np.argmax(names == "purged"))] = "train"
    return names


def _label_purge_only(rows: int, config: SequenceConfig) -> Any:
    names = assign_splits(rows, config).copy()
    first = int(np.argmax(names == "validation"))
    names[: first - config.horizon] = "train"
    return names


def _purged_from_validation(rows: int, config: SequenceConfig) -> Any:
    """Training keeps its rows; the validation part gives up its first ones."""
    names = assign_splits(rows, config).copy()
    first, purge = int(np.argmax(names == "validation")), config.window + config.horizon - 1
    names[:first] = "train"
    names[first : first + purge] = "purged"
    return names


def _no_purge_before_test(rows: int, config: SequenceConfig) -> Any:
    names = assign_splits(rows, config).copy()
    last = int(np.argmax(names == "test"))
    names[last - 10 : last] = "validation"
    return names


def _shuffled(rows: int, config: SequenceConfig) -> Any:
    return np.random.default_rng(0).permutation(assign_splits(rows, config))


def _short_test(rows: int, config: SequenceConfig) -> Any:
    names = assign_splits(rows, config).copy()
    names[-5:] = "purged"
    return names


def _hard_days_purged(prices: PriceHistory) -> SequenceSet:
    clean = build_sequences(prices)
    names = clean.ledger["split"].astype(str).to_numpy().copy()
    hard = np.abs(clean.returns[clean.ledger["position"]]) > 0.04
    names[hard & (names == "test")] = "purged"
    return replace(clean, ledger=clean.ledger.assign(split=split_column(names)))


def _split_by_future(prices: PriceHistory) -> SequenceSet:
    """The test span is as long as the quietest of three choices: chosen by looking at it."""
    move = np.abs(np.diff(np.log(prices.frame["close"].to_numpy())))
    days = min((120, 150, 180), key=lambda d: float(move[-d:].mean()))
    return build_sequences(prices, SequenceConfig(test_days=days))


def _split_by_rare_pattern(prices: PriceHistory) -> SequenceSet:
    """The test span is ten days longer if three certain days of it fell."""
    step = np.diff(prices.frame["close"].to_numpy())
    return build_sequences(prices, SequenceConfig(test_days=150 if (step[[-3, -7, -12]] < 0).all() else 140))


def _scale_with(days: Callable[[Any], Any]) -> Callable[[Any, Any], Any]:
    return lambda features, train: fit_scale(features, days(train) & np.isfinite(features).all(axis=1))


def _purge_included(train: Any) -> Any:
    wider = train.copy()
    wider[: int(np.flatnonzero(train)[-1]) + 30] = True
    return wider


def _validation_included(train: Any) -> Any:
    wider = train.copy()
    wider[: int(len(train) * 0.75)] = True
    return wider


SCALES: dict[str, Callable[[Any, Any], Any]] = {
    "scale fitted on all rows": _scale_with(np.ones_like),
    "scale fitted on training and validation": _scale_with(_validation_included),
    "scale fitted on the purged rows, too": _scale_with(_purge_included),
}


class _FrozenScale:
    """Fitted once on everything and kept as a constant."""

    def __init__(self) -> None:
        self.state: Any = None

    def __call__(self, features: Any, train: Any) -> Any:
        if self.state is None:
            self.state = fit_scale(features, np.isfinite(features).all(axis=1))
        return self.state


def _rolled(staged: SequenceSet) -> SequenceSet:
    """Every row holds the features of the next day."""
    return replace(staged, features=np.vstack([staged.features[1:], staged.features[-1:]]))


def _one_value(staged: SequenceSet) -> SequenceSet:
    features = staged.features.copy()
    features[-3, 2] += np.float32(1e-4)
    return replace(staged, features=features)


def _other_prices(prices: PriceHistory) -> SequenceSet:
    """A stale artifact, built before the last close was corrected."""
    frame = prices.frame.copy()
    frame.iloc[-2, frame.columns.get_loc("close")] *= 1.01
    return build_sequences(price_history(prices.symbol, frame))


def _ledger(change: Callable[[pd.DataFrame], pd.DataFrame]) -> Callable[[SequenceSet], SequenceSet]:
    return lambda staged: replace(staged, ledger=change(staged.ledger))


def _moved(column: str, days: int) -> Callable[[pd.DataFrame], pd.DataFrame]:
    return lambda rows: rows.assign(**{column: rows[column] + pd.Timedelta(days=days)})


def _twice(rows: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([rows, rows.iloc[-1:]], ignore_index=True)


STORED: dict[str, tuple[str, Callable[[SequenceSet], SequenceSet]]] = {
    "windows of the next day": ("causal", _rolled),
    "one feature value changed": ("causal", _one_value),
    "row kept twice": ("ledger", _ledger(_twice)),
    "last test row dropped": ("ledger", _ledger(lambda rows: rows.iloc[:-1])),
    "one test row dropped": (
        "ledger",
        _ledger(lambda rows: rows.drop(index=len(rows) - 9).reset_index(drop=True)),
    ),
    "as-of days moved": ("ledger", _ledger(_moved("as_of", 1))),
    "label ends moved": ("ledger", _ledger(_moved("label_end", -1))),
    "first days moved": ("ledger", _ledger(_moved("first_day", 7))),
    "positions moved": ("ledger", _ledger(lambda rows: rows.assign(position=rows["position"] - 1))),
    "dates moved": ("ledger", lambda s: replace(s, dates=s.dates + np.timedelta64(1, "D"))),
    "other symbol": ("ledger", lambda s: replace(s, symbol="OTHER")),
    "window of other length": ("ledger", lambda s: replace(s, window=s.window - 1)),
    "unknown labels set to zero": ("oracle", lambda s: replace(s, returns=np.nan_to_num(s.returns))),
    "center of other rows": ("causal", lambda s: replace(s, center=s.center * 1.001)),
}
SPLITS: dict[str, Callable[[int, SequenceConfig], Any]] = {
    "shuffled split": _shuffled,
    "no purge": _no_purge,
    "purge one row short": _short_purge,
    "purge of the label alone": _label_purge_only,
    "purge on the validation side": _purged_from_validation,
    "no purge before the test span": _no_purge_before_test,
    "end of the test span left out": _short_test,
}


def row_mutants() -> list[Mutant]:
    """All of them; those with a memory are made anew."""
    built = {
        "hard test days called purged": ("ledger", _hard_days_purged),
        "split chosen by three days of the test span": ("causal", _split_by_rare_pattern),
        "split chosen by the future": ("non_interference", _split_by_future),
    }
    mutants = [Mutant(name, "oracle", with_steps(Steps(labels=f))) for name, f in LABELS.items()]
    mutants += [Mutant(name, "ledger", with_steps(Steps(splits=f))) for name, f in SPLITS.items()]
    mutants += [Mutant(name, "non_interference", with_steps(Steps(scale=f))) for name, f in SCALES.items()]
    mutants += [Mutant(name, gate, Pipeline(build=build)) for name, (gate, build) in built.items()]
    mutants += [Mutant(name, gate, Pipeline(stored=change)) for name, (gate, change) in STORED.items()]
    return [
        *mutants,
        Mutant("hard days dropped", "ledger", with_steps(Steps(rows=_easy_rows))),
        Mutant("scale frozen on all rows", "non_interference", with_steps(Steps(scale=_FrozenScale()))),
        Mutant("stale artifact", "oracle", _stale()),
    ]


def _stale() -> Pipeline:
    seen: list[SequenceSet] = []

    def build(prices: PriceHistory) -> SequenceSet:
        seen.append(_other_prices(prices) if not seen else build_sequences(prices))
        return seen[-1]

    return Pipeline(build=build)
