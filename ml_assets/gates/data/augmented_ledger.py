"""G3 for the augmented set: originals and validation rows untouched, each copy a copy of its parent."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml_assets.gates._verdict import Tally, Violation, require, verdict
from ml_assets.gates.core import GateResult
from ml_assets.gates.data._compare import bit_equal
from ml_assets.windows.augmented_set import AugmentedSet
from ml_assets.windows.sequence_set import SequenceSet

__all__ = ["augmented_ledger"]

_NEAR = 0.5
_CHUNK = 512


def augmented_ledger(sequences: SequenceSet, staged: AugmentedSet) -> GateResult:
    """Check that the augmented set is the training rows, copies of them, and the untouched validation rows.

    Parameters
    ----------
    sequences : SequenceSet
        The certified sequences.
    staged : AugmentedSet
        The artifact to be stored, after a round trip through its bytes.

    Returns
    -------
    GateResult
    """

    def inspect(tally: Tally) -> str:
        for check in (_state, _originals, _parents, _copies, _validation, _no_test_day):
            tally.checked += check(sequences, staged)
        copies = int(staged.is_copy.sum())
        tally.figures.update(originals=len(staged.X) - copies, copies=copies, validation=len(staged.X_val))
        return (
            f"{staged.symbol}: {len(staged.X) - copies} originals and {len(staged.X_val)} validation rows "
            "are "
            f"bit-equal, {copies} copies lie next to the training row that they name as parent"
        )

    return verdict("augmented_ledger", inspect)


def _state(sequences: SequenceSet, staged: AugmentedSet) -> int:
    for name in ("symbol", "feature_names", "window", "horizon"):
        mine, theirs = getattr(staged, name), getattr(sequences, name)
        require(mine == theirs, f"{sequences.symbol}: {name} is {mine} here but {theirs} in the sequences")
    for name in ("center", "scale"):
        _equal(sequences, name, getattr(staged, name), getattr(sequences, name))
    return 2 * len(staged.center)


def _originals(sequences: SequenceSet, staged: AugmentedSet) -> int:
    """The training rows come first, in order and untouched."""
    rows = len(sequences.positions("train"))
    require(
        len(staged.X) > rows,
        f"{staged.symbol}: {len(staged.X)} augmented rows for {rows} training rows; there must be more",
    )
    _equal(sequences, "as_of_train", staged.as_of_train, sequences.as_of("train"))
    _equal(sequences, "parent of the originals", staged.parent[:rows], np.arange(rows))
    _equal(sequences, "is_copy", staged.is_copy, np.arange(len(staged.X)) >= rows)
    _equal(sequences, "X of the originals", staged.X[:rows], _standardized(sequences, "train"))
    return int(staged.X[:rows].size)


def _standardized(sequences: SequenceSet, part: str) -> NDArray[np.float32]:
    """Apply the stored center and scale by definition: the pipeline's own function is what is judged."""
    center, scale = (a.astype(np.float32) for a in (sequences.center, sequences.scale))
    standardized: NDArray[np.float32] = ((sequences.X(part) - center) / scale).clip(-5.0, 5.0)
    return standardized


def _parents(sequences: SequenceSet, staged: AugmentedSet) -> int:
    """Each parent is a training row, and each label is its parent's."""
    rows = len(sequences.positions("train"))
    wrong = (staged.parent < 0) | (staged.parent >= rows)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise Violation(
            f"{staged.symbol}: augmented row {row} names parent {staged.parent[row]}, but the training rows "
            "are "
            f"0 to {rows - 1}: augmentation comes after the split"
        )
    _equal(sequences, "y", staged.y, sequences.y("train")[staged.parent])
    _equal(sequences, "step_returns", staged.step_returns, sequences.step_returns("train")[staged.parent])
    return len(staged.parent) * (2 + staged.window)


def _copies(sequences: SequenceSet, staged: AugmentedSet) -> int:
    """Each copy differs from its parent by less than half of what two windows differ by."""
    rows = len(sequences.positions("train"))
    X, parent = staged.X, staged.parent
    require(bool(np.isfinite(X).all()), f"{staged.symbol}: the augmented rows hold NaN or infinity")
    spread = max(float(X[:rows, -1].std()), 1e-6)
    for start in range(rows, len(X), _CHUNK):
        own = slice(start, start + _CHUNK)
        apart = np.sqrt(((X[own] - X[parent[own]]) ** 2).mean(axis=(1, 2)))
        # A window of wild days is stretched by as much as it is wild, so distance counts in its own size.
        size = np.sqrt((X[parent[own]] ** 2).mean(axis=(1, 2)))
        far = apart > _NEAR * np.maximum(size, spread)
        if far.any():
            k = int(np.argmax(far))
            raise Violation(
                f"{staged.symbol}: augmented row {start + k} names the training row of "
                f"{staged.as_of_train[parent[start + k]]} as parent but lies {apart[k]:.3g} from it (root "
                "mean "
                f"square, allowed {_NEAR * max(float(size[k]), spread):.3g}): it was made from another row"
            )
    return int(X[rows:].size)


def _validation(sequences: SequenceSet, staged: AugmentedSet) -> int:
    _equal(sequences, "as_of_val", staged.as_of_val, sequences.as_of("validation"))
    _equal(sequences, "y_val", staged.y_val, sequences.y("validation"))
    _equal(sequences, "step_returns_val", staged.step_returns_val, sequences.step_returns("validation"))
    _equal(sequences, "X_val", staged.X_val, _standardized(sequences, "validation"))
    return int(staged.X_val.size)


def _no_test_day(sequences: SequenceSet, staged: AugmentedSet) -> int:
    """Training never sees the sealed span."""
    sealed = sequences.dates[sequences.positions("test").min() - sequences.window + 1]
    last = max(staged.as_of_train.max(), staged.as_of_val.max())
    require(
        bool(last < sealed),
        f"{staged.symbol}: a row as of {last} lies in the test span, which begins to read on {sealed}",
    )
    return len(staged.as_of_train) + len(staged.as_of_val)


def _equal(sequences: SequenceSet, what: str, mine: NDArray[Any], due: NDArray[Any]) -> None:
    if mine.shape != due.shape:
        raise Violation(f"{sequences.symbol}: {what} has shape {mine.shape} where {due.shape} belongs")
    if bit_equal(mine, due.astype(mine.dtype)):
        return
    first = tuple(int(i) for i in np.argwhere(mine != due)[0])
    feature = f" (feature {sequences.feature_names[first[-1]]!r})" if what.startswith("X") else ""
    raise Violation(
        f"{sequences.symbol}: {what}{list(first)}{feature} is {mine[first]} but must be {due[first]}, as in "
        "the "
        "certified sequences"
    )
