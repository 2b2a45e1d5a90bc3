"""G2: what was fitted, chosen or augmented knows nothing of the days after its own part.

Everything after the training end is redrawn: center, scale, chosen features, training rows and augmented
tensors stay bit-equal. Everything after the validation end is redrawn: the validation rows stay, too.
And the other way round, so that a constant smuggled in from elsewhere shows: when the training days are
redrawn, the fitted state has to move.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from ml_assets.gates._verdict import Tally, Violation, require, verdict
from ml_assets.gates.core import GateResult
from ml_assets.gates.data._changes import day, redraw, redraw_after
from ml_assets.gates.data._compare import (
    Rebuild,
    bit_equal,
    rebuilt,
    require_same_features,
    require_same_labels,
    unequal_bits,
)
from ml_assets.prices.history import PriceHistory
from ml_assets.windows.augmented_set import AugmentedSet
from ml_assets.windows.sequence_set import SequenceSet

__all__ = ["augmented_non_interference", "non_interference"]

_TRAINING_FIELDS = ("X", "y", "step_returns", "parent", "is_copy", "as_of_train", "center", "scale")
_VALIDATION_FIELDS = ("X_val", "y_val", "step_returns_val", "as_of_val")
_FITTED = ("center", "scale")
_ROUNDING = 1e-4  # of a mean over the same days in another order, in standardized units


def non_interference(
    prices: PriceHistory, staged: SequenceSet, rebuild: Rebuild, *, seed: int = 0
) -> GateResult:
    """Check that fitted state, chosen features and rows of a part do not depend on later days.

    Parameters
    ----------
    prices, staged, rebuild, seed
        As in `ml_assets.gates.data.causal.causal`.

    Returns
    -------
    GateResult
    """
    rng = np.random.default_rng(seed)

    def inspect(tally: Tally) -> str:
        for parts, last in _boundaries(staged):
            for style in ("wild", "calm", "mirror"):
                change = (
                    f"when the prices after the {parts[-1]} end {day(prices, last)} are redrawn ({style})"
                )
                other = rebuilt(rebuild, redraw_after(prices, last, rng, style), change)
                tally.checked += _same_sequences(prices, staged, other, parts, last, change)
        _reacts(prices, staged, rebuild, rng)
        return (
            f"{staged.symbol}: center, scale, features and rows up to {staged.train_end} and up to "
            f"{staged.validation_end} are bit-equal on three other futures each; {tally.checked} values "
            "compared"
        )

    return verdict("non_interference", inspect)


def augmented_non_interference(
    sequences: SequenceSet,
    staged: AugmentedSet,
    augment: Callable[[SequenceSet], AugmentedSet],
    *,
    seed: int = 0,
) -> GateResult:
    """Check that the augmented training set depends on training days alone.

    The sequences have passed `non_interference`, so it is enough to change their later days.

    Parameters
    ----------
    sequences : SequenceSet
        What the augmented set was made from.
    staged : AugmentedSet
        The artifact to be stored, after a round trip through its bytes.
    augment : callable
        ``augment(sequences) -> AugmentedSet``, the code that made `staged`.
    seed : int

    Returns
    -------
    GateResult
    """
    rng = np.random.default_rng(seed)

    def inspect(tally: Tally) -> str:
        every = _TRAINING_FIELDS + _VALIDATION_FIELDS
        tally.checked += _same_augmented(staged, augment(sequences), every, "when it is made again")
        for parts, last in _boundaries(sequences):
            change = f"when features and labels after the {parts[-1]} end {sequences.dates[last]} are redrawn"
            other = augment(_later_days_redrawn(sequences, last, rng))
            fields = every if "validation" in parts else _TRAINING_FIELDS
            tally.checked += _same_augmented(staged, other, fields, change)
        tally.checked += _labels_unread(sequences, staged, augment, rng)
        tally.checked += _own_window(sequences, staged, augment)
        return (
            f"{staged.symbol}: {len(staged.X)} augmented rows bit-equal with other features and labels after "
            f"{sequences.train_end}, {len(staged.X_val)} validation rows after {sequences.validation_end}; "
            f"{tally.checked} values compared"
        )

    return verdict("augmented_non_interference", inspect)


def _later_days_redrawn(sequences: SequenceSet, last: int, rng: np.random.Generator) -> SequenceSet:
    """Other features after the label end at position `last`, and other labels for all that end later."""
    later, unknown = slice(last + 1, None), slice(last + 1 - sequences.horizon, None)
    features, returns = sequences.features.copy(), sequences.returns.copy()
    noise = rng.standard_normal(features[later].shape) * 3.0 * sequences.scale
    features[later] = (-features[later] + noise).astype(np.float32)
    returns[unknown] = -returns[unknown] + 0.1 * rng.standard_normal(len(returns[unknown]))
    return replace(sequences, features=features, returns=returns)


def _labels_unread(
    sequences: SequenceSet,
    staged: AugmentedSet,
    augment: Callable[[SequenceSet], AugmentedSet],
    rng: np.random.Generator,
) -> int:
    """Draw all labels anew: no feature of any row, copies included, may follow."""
    noise = 0.02 * rng.standard_normal(len(sequences.returns))
    other = augment(replace(sequences, returns=np.where(np.isnan(sequences.returns), np.nan, noise)))
    change = "when all labels are redrawn: a copy's features must not depend on its label"
    return _same_augmented(staged, other, ("X", "X_val", "parent", "is_copy", *_FITTED), change)


def _own_window(
    sequences: SequenceSet, staged: AugmentedSet, augment: Callable[[SequenceSet], AugmentedSet]
) -> int:
    """Put the later half of the training days in reverse order: copies of earlier windows stay.

    Means and deviations over the training rows are the same in any order; what else comes from another
    row comes from its window.
    """
    positions = sequences.positions("train")
    copied = np.sort(staged.parent[staged.is_copy])
    middle, last = int(positions[copied[len(copied) // 2]]), int(positions[-1])
    features = sequences.features.copy()
    features[middle + 1 : last + 1] = features[middle + 1 : last + 1][::-1].copy()
    other = augment(replace(sequences, features=features))
    rows = staged.is_copy & (positions[np.where(staged.is_copy, staged.parent, 0)] <= middle)
    change = "when the later half of the training days is put in reverse order"
    require(other.X.shape == staged.X.shape, f"{staged.symbol}: X has another shape {change}")
    apart = np.abs(staged.X[rows] - other.X[rows])
    if (apart > _ROUNDING).any():
        k, step, column = (int(i) for i in np.argwhere(apart > _ROUNDING)[0])
        row = int(np.flatnonzero(rows)[k])
        raise Violation(
            f"{staged.symbol}: the copy X[{row}] of the window up to "
            f"{staged.as_of_train[staged.parent[row]]}, "
            f"feature {staged.feature_names[column]!r}, is {staged.X[row, step, column]} as stored but "
            f"{other.X[row, step, column]} {change}: it mixes rows"
        )
    return int(apart.size)


def _boundaries(sequences: SequenceSet) -> Iterator[tuple[tuple[str, ...], int]]:
    for parts in (("train",), ("train", "validation")):
        positions = sequences.positions(parts[-1])
        require(
            len(positions) > 0, f"{sequences.symbol}: the {parts[-1]} part is empty; give a longer history"
        )
        yield parts, int(positions.max()) + sequences.horizon


def _same_sequences(
    prices: PriceHistory,
    staged: SequenceSet,
    other: SequenceSet,
    parts: tuple[str, ...],
    last: int,
    change: str,
) -> int:
    symbol = staged.symbol
    require(
        staged.feature_names == other.feature_names,
        f"{symbol}: the chosen features are {staged.feature_names} as stored but {other.feature_names} "
        f"{change}",
    )
    for name in _FITTED:
        mine, theirs = getattr(staged, name), getattr(other, name)
        if not bit_equal(mine, theirs):
            k = int(np.argmax(unequal_bits(mine, theirs)))
            raise Violation(
                f"{symbol}: the {name} of feature {staged.feature_names[k]!r} is {mine[k]} as stored but "
                f"{theirs[k]} {change}: it was fitted on rows that it must not see"
            )
    for part in parts:
        mine, theirs = staged.positions(part), other.positions(part)
        if not np.array_equal(mine, theirs):
            odd = int(np.setxor1d(mine, theirs)[0]) if set(mine) != set(theirs) else int(mine[0])
            raise Violation(
                f"{symbol}: the {part} part has {len(mine)} rows as stored and {len(theirs)} {change}; "
                f"the first difference is {day(prices, odd)}"
            )
    rows = slice(0, last + 1)
    compared = require_same_features(prices, staged, other, rows, change, exact=True)
    known = last + 1 - staged.horizon
    require_same_labels(prices, staged, other, known, change)
    return compared + known + sum(len(staged.positions(p)) for p in parts) + 2 * len(staged.center)


def _reacts(prices: PriceHistory, staged: SequenceSet, rebuild: Rebuild, rng: np.random.Generator) -> None:
    """Redraw the training days: a center or scale that stays was not fitted on them."""
    last = int(staged.positions("train").max())
    past = np.arange(len(prices.frame)) <= last
    change = f"when the training days up to {day(prices, last)} are redrawn"
    other = rebuilt(rebuild, redraw(prices, past, rng, "wild"), change)
    theirs = dict(zip(other.feature_names, zip(other.center, other.scale, strict=True), strict=True))
    for k, name in enumerate(staged.feature_names):
        moved = name not in theirs or theirs[name] != (staged.center[k], staged.scale[k])
        require(
            moved,
            f"{staged.symbol}: center {staged.center[k]} and scale {staged.scale[k]} of feature {name!r} "
            "stay the "
            f"same {change}: they are not fitted on the training rows",
        )


def _same_augmented(staged: AugmentedSet, other: AugmentedSet, fields: tuple[str, ...], change: str) -> int:
    require(
        staged.feature_names == other.feature_names,
        f"{staged.symbol}: the chosen features are {staged.feature_names} as stored but "
        f"{other.feature_names} "
        f"{change}",
    )
    for name in fields:
        mine, theirs = getattr(staged, name), getattr(other, name)
        if not bit_equal(mine, theirs):
            raise Violation(f"{staged.symbol}: {_where(staged, name, mine, theirs)} {change}")
    return sum(getattr(staged, name).size for name in fields)


def _where(staged: AugmentedSet, name: str, mine: Any, theirs: Any) -> str:
    if mine.shape != theirs.shape:
        return f"{name} has shape {mine.shape} as stored but {theirs.shape}"
    odd = np.argwhere(mine != theirs)
    first = tuple(int(i) for i in odd[0]) if len(odd) else (0,) * mine.ndim
    text = f"{name}{list(first)}"
    if name in ("center", "scale"):
        text += f" (feature {staged.feature_names[first[0]]!r})"
    elif name in _VALIDATION_FIELDS:
        text += f" (as of {staged.as_of_val[first[0]]})"
    elif name != "as_of_train":
        text += f" (as of {staged.as_of_train[staged.parent[first[0]]]})"
    if name in ("X", "X_val"):
        text += f", feature {staged.feature_names[first[2]]!r},"
    return f"{text} is {mine[first]} as stored but {theirs[first]}"
