"""G3: every row is where the ledger says, no row is missing, and the parts never touch.

All checks are recomputed here from positions and dates; nothing is taken from the code that built the
ledger. The order of the rows of a sound ledger is fixed down to the single row: training, exactly
``window + horizon - 1`` purged, validation, exactly as many purged, test, up to the last day with a label.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from ml_assets.gates._verdict import Tally, Violation, require, verdict
from ml_assets.gates.core import GateResult
from ml_assets.gates.data._changes import day
from ml_assets.gates.data._compare import unequal_bits
from ml_assets.gates.data._disjoint import require_disjoint
from ml_assets.prices.history import PriceHistory
from ml_assets.windows.sequence_set import SequenceSet

__all__ = ["ledger"]

_PARTS = ("train", "validation", "test")
_MAX_WARM_UP = 260


def ledger(prices: PriceHistory, staged: SequenceSet) -> GateResult:
    """Check the ledger of a sequence set against the prices.

    Parameters
    ----------
    prices : PriceHistory
    staged : SequenceSet
        The artifact to be stored, after a round trip through its bytes.

    Returns
    -------
    GateResult
    """

    def inspect(tally: Tally) -> str:
        for check in (_dates, _days_of_rows, _nothing_missing, _parts, _disjoint, _windows):
            tally.checked += check(prices, staged)
        counts = {part: len(staged.positions(part)) for part in _PARTS}
        tally.figures.update(counts, purged=len(staged.positions("purged")))
        return (
            f"{staged.symbol}: {len(staged.ledger)} rows, "
            + ", ".join(f"{count} {part}" for part, count in counts.items())
            + f"; every tradable day from {staged.dates[staged.ledger['position'].iloc[0]]} on is there "
            "once, and "
            f"the parts are {staged.window + staged.horizon - 1} rows apart"
        )

    return verdict("ledger", inspect)


def _dates(prices: PriceHistory, staged: SequenceSet) -> int:
    true = prices.frame.index.to_numpy().astype("datetime64[D]")
    require(
        staged.symbol == prices.symbol,
        f"the sequences say symbol {staged.symbol!r}, the prices {prices.symbol!r}",
    )
    require(
        len(staged.dates) == len(true),
        f"{staged.symbol}: {len(staged.dates)} stored dates for {len(true)} days of prices",
    )
    wrong = staged.dates != true
    if wrong.any():
        row = int(np.argmax(wrong))
        raise Violation(
            f"{staged.symbol}: day {row} is {staged.dates[row]} as stored but {true[row]} in the prices"
        )
    return len(true)


def _days_of_rows(prices: PriceHistory, staged: SequenceSet) -> int:
    """First day, as-of day and label end are those of the row's position; no key occurs twice."""
    position = staged.ledger["position"].to_numpy()
    require(len(position) > 0, f"{staged.symbol}: the ledger has no row")
    require(
        bool((position >= staged.window - 1).all() and (position + staged.horizon < len(staged.dates)).all()),
        f"{staged.symbol}: a row's window or label lies outside the history",
    )
    step = np.diff(position)
    if (step <= 0).any():
        row = int(np.argmax(step <= 0)) + 1
        raise Violation(
            f"{staged.symbol}: the row of {day(prices, int(position[row]))} occurs twice or stands after "
            f"{day(prices, int(position[row - 1]))}; rows are unique and in temporal order"
        )
    offsets = {"first_day": 1 - staged.window, "as_of": 0, "label_end": staged.horizon}
    for column, offset in offsets.items():
        written = staged.ledger[column].to_numpy().astype("datetime64[D]")
        wrong = written != staged.dates[position + offset]
        if wrong.any():
            row = int(np.argmax(wrong))
            raise Violation(
                f"{staged.symbol}: {column} of the row of {day(prices, int(position[row]))} is written as "
                f"{written[row]} but is {staged.dates[position[row] + offset]}"
            )
    return 3 * len(position)


def _nothing_missing(prices: PriceHistory, staged: SequenceSet) -> int:
    """Each day after the warm-up is complete, and each day with a window and a label is a row."""
    finite: NDArray[np.bool_] = np.asarray(np.isfinite(staged.features).all(axis=1))
    first = int(np.argmax(finite))
    require(bool(finite.any()), f"{staged.symbol}: no day has all features")
    require(
        first <= _MAX_WARM_UP,
        f"{staged.symbol}: the first day with all features is {day(prices, first)}, after {first} days of "
        "warm-up; "
        f"more than {_MAX_WARM_UP} hide data",
    )
    hole = ~finite[first:]
    if hole.any():
        row = first + int(np.argmax(hole))
        name = staged.feature_names[int(np.argmin(np.isfinite(staged.features[row])))]
        raise Violation(
            f"{staged.symbol}: feature {name!r} is {staged.features[row, staged.feature_names.index(name)]} "
            "on "
            f"{day(prices, row)}, after the warm-up ended on {day(prices, first)}: its days could not be "
            "traded"
        )
    expected = np.arange(first + staged.window - 1, len(staged.dates) - staged.horizon)
    missing = np.setdiff1d(expected, staged.ledger["position"].to_numpy())
    if len(missing):
        raise Violation(
            f"{staged.symbol}: {len(missing)} tradable days are no row, the first is "
            f"{day(prices, int(missing[0]))}; easy or hard, every day is scored"
        )
    extra = np.setdiff1d(staged.ledger["position"].to_numpy(), expected)
    require(
        not len(extra),
        f"{staged.symbol}: {len(extra)} rows lie on days without a full window or a label",
    )
    return int(finite.size + expected.size)


def _parts(prices: PriceHistory, staged: SequenceSet) -> int:
    """Compare the split of each row with the only order that is sound."""
    written = (
        staged.ledger["split"].astype(object).where(staged.ledger["split"].notna(), "unknown").to_numpy()
    )
    counts = {part: int((written == part).sum()) for part in _PARTS}
    for part, count in counts.items():
        require(count > 0, f"{staged.symbol}: the {part} part is empty")
    purge = ["purged"] * (staged.window + staged.horizon - 1)
    sound = np.array(
        ["train"] * counts["train"]
        + purge
        + ["validation"] * counts["validation"]
        + purge
        + ["test"] * counts["test"],
        dtype=object,
    )
    shared = min(len(sound), len(written))
    wrong = np.append(written[:shared] != sound[:shared], len(sound) != len(written))
    if wrong.any():
        row = int(np.argmax(wrong))
        held = written[row] if row < len(written) else "missing"
        due = sound[row] if row < len(sound) else "no row at all"
        place = int(staged.ledger["position"].iloc[min(row, len(written) - 1)])
        raise Violation(
            f"{staged.symbol}: row {row} ({day(prices, place)}) is {held!r} where {due!r} belongs: training, "
            f"{len(purge)} purged, validation, {len(purge)} purged, test, each without a gap"
        )
    before = counts["train"] + len(purge) + counts["validation"]
    start = int(before * staged.split)
    require(
        counts["validation"] == before - start,
        f"{staged.symbol}: {counts['validation']} validation rows, but a split of {staged.split} makes the "
        "last "
        f"{before - start} of the {before} rows before the test span validation rows: purge the training "
        "side",
    )
    return len(written)


def _disjoint(prices: PriceHistory, staged: SequenceSet) -> int:
    """No day that an earlier part reads or answers with is read by a later part."""
    del prices
    rows = staged.ledger
    parts = {part: rows.loc[rows["split"] == part, "position"].to_numpy() for part in _PARTS}
    require_disjoint(staged.symbol, staged.dates, parts, staged.horizon, staged.window)
    return 2 * len(rows)


def _windows(prices: PriceHistory, staged: SequenceSet) -> int:
    """What `X`, `y` and `step_returns` hand out is what the ledger says, on the rows of each part."""
    checked = 0
    for part in _PARTS:
        positions = staged.positions(part)
        X, y, steps = staged.X(part), staged.y(part), staged.step_returns(part)
        shape = (len(positions), staged.window)
        require(
            X.shape == (*shape, len(staged.feature_names)) and steps.shape == shape and y.shape == shape[:1],
            f"{staged.symbol}: {len(positions)} {part} rows but {X.shape} windows and {len(y)} labels",
        )
        # Views of NumPy's own, not the pipeline's way to cut windows, which is what is judged.
        first = positions - staged.window + 1
        days, returns = (
            sliding_window_view(a, staged.window, axis=0) for a in (staged.features, staged.returns)
        )
        wrong = unequal_bits(X, days[first].transpose(0, 2, 1)).any(axis=(1, 2))
        wrong |= unequal_bits(steps, returns[first]).any(axis=1) | ~(y == staged.returns[positions])
        if wrong.any():
            row = int(np.argmax(wrong))
            raise Violation(
                f"{staged.symbol}: {part} row {row} does not hold the {staged.window} days that end on "
                f"{day(prices, int(positions[row]))}"
            )
        checked += len(positions) * X[0].size
    return checked
