"""Where to cut a history: chance alone rarely hits the day on which a leak shows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ml_assets.gates.data._every_day import STRETCH
from ml_assets.prices.history import PriceHistory
from ml_assets.windows.sequence_set import SequenceSet

__all__ = ["hard_spots", "shortest_history"]


def hard_spots(
    prices: PriceHistory, staged: SequenceSet, rng: np.random.Generator, random: int
) -> dict[int, str]:
    """Choose cuts: positions of the last day whose past is kept, each with the reason.

    Parameters
    ----------
    prices : PriceHistory
    staged : SequenceSet
    rng : Generator
    random : int
        Number of random cuts beside the hard spots.

    Returns
    -------
    dict of int to str
        In increasing order; never the very last day, after which there is no future.
    """
    n = len(prices.frame)
    days = prices.frame.index.to_numpy().astype("datetime64[D]")
    close = prices.frame["close"].to_numpy()
    step = np.abs(np.diff(np.log(close)))
    gap = np.diff(days).astype(np.int64)
    month_end = np.flatnonzero(np.diff(days.astype("datetime64[M]").astype(np.int64)))
    holes = np.flatnonzero(prices.frame.isna().any(axis=1).to_numpy())
    found: dict[int, str] = {}

    def add(positions: NDArray[np.int64], reason: str) -> None:
        for p in positions:
            if 0 < p < n - 1:
                found.setdefault(int(p), reason)

    def some(positions: NDArray[np.int64], count: int) -> NDArray[np.int64]:
        return rng.choice(positions, min(count, len(positions)), replace=False)

    add(_boundaries(staged), "split boundary")
    add(n - np.arange(2, 6), "last days")
    longest = np.argsort(-gap, kind="stable")[:6]
    add(np.concatenate([longest, longest + 1]), "gap in the calendar")
    add(some(np.flatnonzero(gap == 3), 6), "week end")
    add(some(month_end, 6), "month end")
    largest = np.argsort(-step, kind="stable")[:8]
    add(np.concatenate([largest, largest + 1]), "largest moves")
    add(some(np.flatnonzero(step == 0.0), 3), "flat day")
    add(np.concatenate([some(holes, 3), some(holes, 3) - 1]), "missing value")
    add(some(np.arange(1, n - 1), random), "random")
    # So dense that whatever looks further ahead than the every-day test lies across one of them.
    add(np.arange(STRETCH, n - 1, STRETCH), "every so often")
    return dict(sorted(found.items()))


def shortest_history(staged: SequenceSet) -> int:
    """Days below which a rebuild may rightly refuse, because some part would be empty."""
    purge = staged.window + staged.horizon
    first = int(staged.ledger["position"].min())
    sealed = len(staged.positions("test")) * staged.folds
    return first + sealed + 4 * purge + 10


def _boundaries(staged: SequenceSet) -> NDArray[np.int64]:
    edges = []
    for split in ("train", "validation", "test"):
        positions = staged.positions(split)
        if len(positions):
            first, last = positions.min(), positions.max()
            edges += [first - staged.window + 1, first, last, last + staged.horizon]
    return np.unique(np.concatenate([np.array(edges, dtype=np.int64) + k for k in (-1, 0, 1)]))
