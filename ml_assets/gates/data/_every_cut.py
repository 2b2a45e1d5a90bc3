"""A future of its own for every single day, for features whose memory never ends.

`_every_day` serves many days with one build, because a feature forgets. An expanding mean
does not: each day then needs a build of its own. Builds are cheap on short histories, so a long history is
cut into overlapping parts first; whatever reads the future does so in a part, too.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ml_assets.gates._verdict import Tally
from ml_assets.gates.data._changes import OPPOSITES, day, redraw_after, with_frame
from ml_assets.gates.data._compare import Rebuild, rebuilt, require_same_features
from ml_assets.gates.data._cuts import shortest_history
from ml_assets.gates.data._every_day import STRETCH
from ml_assets.prices.history import PriceHistory
from ml_assets.windows.sequence_set import SequenceSet

__all__ = ["every_cut"]

_DAYS_BUILT = 6_000_000  # in all: half a minute


def every_cut(
    prices: PriceHistory, staged: SequenceSet, rebuild: Rebuild, rng: np.random.Generator, tally: Tally
) -> None:
    """Redraw everything after each day in turn; the day and those before it must stay.

    Parameters
    ----------
    prices, staged, rebuild, rng
        As in `ml_assets.gates.data.causal.causal`.
    tally : Tally

    Raises
    ------
    Violation
        If a day follows its future.
    """
    for part, base, cuts in _parts(prices, staged, rebuild):
        for last in cuts:
            style = OPPOSITES[last % 2]
            change = f"when the prices after {day(part, last)} are redrawn ({style}, every day in turn)"
            other = rebuilt(rebuild, redraw_after(part, last, rng, style), change)
            rows = slice(max(last - STRETCH, 0), last + 1)
            finding = f"{change}: the row reads the future"
            tally.checked += require_same_features(part, base, other, rows, finding)


def _parts(
    prices: PriceHistory, staged: SequenceSet, rebuild: Rebuild
) -> Iterator[tuple[PriceHistory, SequenceSet, range]]:
    """Histories, what is built from them, and the positions in them to cut at; together every day but one."""
    frame, n = prices.frame, len(prices.frame)
    length = _part_length(prices, staged, rebuild)
    if length >= n:
        yield prices, staged, range(n - 1)
        return
    done = 0
    for start in [*range(0, n - length, length // 2), n - length]:
        part = with_frame(prices, frame.iloc[start : start + length])
        change = f"on the days from {day(part, 0)} to {day(part, length - 1)} alone"
        stop = n - 1 if start + length == n else start + length - STRETCH
        yield part, rebuilt(rebuild, part, change), range(done - start, stop - start)
        done = stop


def _part_length(prices: PriceHistory, staged: SequenceSet, rebuild: Rebuild) -> int:
    """The length that the budget allows, if enough for every part of a split; else the shortest that is."""
    n = len(prices.frame)
    for length in (_DAYS_BUILT // n, shortest_history(staged) + 2 * STRETCH):
        if 4 * STRETCH <= length < n:
            try:
                rebuild(with_frame(prices, prices.frame.iloc[:length]))
            except ValueError:
                continue
            return length
    return n
