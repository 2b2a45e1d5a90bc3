"""A future of its own for every single day, at the price of a few dozen builds.

A leak that bites on rare days (after a crash, on some Fridays) shows only if the very next day is changed.
Cutting at each of 8,000 days would take 8,000 builds. But a feature that remembers `reach` days sees
nothing of what was redrawn before that. So one build serves many days at once: ``reach + 1`` true days,
then a stretch of redrawn ones, and so on through the whole history. The last day of each true run must come
out as stored, with the coming weeks redrawn. Moving the pattern on day by day covers every day, twice:
the second time with the opposite future.

This is a screen. Days may rightly remember longer than the reach that was measured, so a difference counts
only after it is confirmed with a true past and nothing but the following stretch redrawn.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ml_assets.gates._verdict import Tally
from ml_assets.gates.data._changes import OPPOSITES, day, redraw, with_frame
from ml_assets.gates.data._compare import Rebuild, columns_of, rebuilt, require_same_features, unequal
from ml_assets.prices.history import PriceHistory
from ml_assets.windows.sequence_set import SequenceSet

__all__ = ["STRETCH", "every_day"]

STRETCH = 61  # days: a leak from further ahead lies across one of the ordinary cuts, which are as dense
_PATIENCE = 3  # unconfirmed days after which a feature counts as one with a long memory


def every_day(
    prices: PriceHistory,
    staged: SequenceSet,
    rebuild: Rebuild,
    rng: np.random.Generator,
    reach: NDArray[np.int64],
    longest: int,
    tally: Tally,
) -> NDArray[np.bool_]:
    """Check each day against a future of its own.

    Parameters
    ----------
    prices, staged, rebuild, rng
        As in `ml_assets.gates.data.causal.causal`.
    reach : ndarray of int, shape (F,)
        Days that each feature remembers.
    longest : int
        Features that remember longer are left out.
    tally : Tally

    Returns
    -------
    ndarray of bool, shape (F,)
        Features that were checked on every day.

    Raises
    ------
    Violation
        If a day follows its future.
    """
    n, covered, unconfirmed = len(prices.frame), reach <= longest, np.zeros(len(reach), dtype=np.int64)
    true_days = int(reach[covered].max(initial=0)) + 1
    stretch = max(STRETCH, staged.horizon + 5)
    period = true_days + stretch
    phases = range(min(period, n - 1))
    for phase, style, seed in (
        (p, s, seed) for p in phases for seed in [rng.integers(1 << 32)] for s in OPPOSITES
    ):
        if not covered.any():
            break
        place = (np.arange(n) - phase) % period
        ends = np.arange(phase, n - 1, period)
        changed = redraw(prices, (place >= 1) & (place <= stretch), np.random.default_rng(seed), style)
        other = rebuilt(rebuild, changed, "on a history with redrawn stretches")
        mine, theirs = columns_of(staged, other)
        mine, theirs = mine[covered[mine]], theirs[covered[mine]]
        different = unequal(
            staged.features[np.ix_(ends, mine)], other.features[np.ix_(ends, theirs)], staged.scale[mine]
        )
        tally.checked += different.size
        for row in np.flatnonzero(different.any(axis=1)):
            suspects = mine[different[row]]
            if covered[suspects].any():
                _confirm(prices, staged, rebuild, changed, int(ends[row]), stretch)
                unconfirmed[suspects] += 1
                covered &= unconfirmed < _PATIENCE
    return covered


def _confirm(
    prices: PriceHistory, staged: SequenceSet, rebuild: Rebuild, changed: PriceHistory, end: int, stretch: int
) -> None:
    """Redraw the one stretch after day `end` and nothing else."""
    true, other_future = prices.frame, changed.frame.iloc[end + 1 : end + 1 + stretch]
    frame = pd.concat([true.iloc[: end + 1], other_future, true.iloc[end + 1 + stretch :]])
    change = f"when the {stretch} days after {day(prices, end)} are redrawn"
    other = rebuilt(rebuild, with_frame(prices, frame), change)
    require_same_features(prices, staged, other, slice(0, end + 1), f"{change}: the row reads the future")
