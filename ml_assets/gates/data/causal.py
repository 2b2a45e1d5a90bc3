"""G1: every row is computed from the prices up to its own day.

The property is tested from outside, on any code that turns a `PriceHistory` into a `SequenceSet`:

1. *reproduced*: a second build on the same prices gives the stored artifact, bit for bit;
2. *cut off*, *redrawn*: at every kind of hard spot and at random cuts, the history is cut off, and its
   future is redrawn in several styles; all rows up to the cut stay as they are;
3. *alive*: each feature reacts to the redrawn future somewhere after the cut, else nothing was tested;
4. *every day*: a leak may bite on rare days only, so every single day gets its own redrawn future
   (see `ml_assets.gates.data._every_day`);
5. *calendar-free*: other dates, or fewer days at the start, change no feature: a feature that is looked
   up by date or position is not computed from the prices before it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ml_assets.gates._verdict import Tally, Violation, require, verdict
from ml_assets.gates.core import GateResult
from ml_assets.gates.data._changes import STYLES, cut_off, day, redraw, redraw_after, with_frame
from ml_assets.gates.data._compare import (
    Rebuild,
    bit_equal,
    columns_of,
    rebuilt,
    require_same_features,
    require_same_labels,
    unequal,
    unequal_bits,
)
from ml_assets.gates.data._cuts import hard_spots, shortest_history
from ml_assets.gates.data._every_cut import every_cut
from ml_assets.gates.data._every_day import every_day
from ml_assets.gates.data._smooth import smooth
from ml_assets.prices.history import PriceHistory
from ml_assets.windows.sequence_set import SequenceSet
from ml_assets.windows.splits import SPLITS

__all__ = ["causal"]

_RANDOM_CUTS = 16
_REACH_LIMIT = 160
_LAST_BIT_SHARE = 0.05


def causal(prices: PriceHistory, staged: SequenceSet, rebuild: Rebuild, *, seed: int = 0) -> GateResult:
    """Check that no row of the features knows anything of later days.

    Parameters
    ----------
    prices : PriceHistory
        What the sequences were built from.
    staged : SequenceSet
        The artifact to be stored, after a round trip through its bytes.
    rebuild : callable
        The code that built it: ``rebuild(prices) -> SequenceSet``.
    seed : int
        Seed of the cuts and of the redrawn futures.

    Returns
    -------
    GateResult
        On failure the message names the feature, the date, the symbol and both values.
    """
    audit = _Audit(prices, staged, rebuild, np.random.default_rng(seed))
    return verdict("causal", audit.run)


@dataclass
class _Audit:
    prices: PriceHistory
    staged: SequenceSet
    rebuild: Rebuild
    rng: np.random.Generator
    tally: Tally = field(default_factory=Tally)
    alive: NDArray[np.bool_] = field(init=False)
    last_bits: NDArray[np.int64] = field(init=False)
    cuts: int = 0

    def __post_init__(self) -> None:
        self.alive = np.zeros(len(self.staged.feature_names), dtype=bool)
        self.last_bits = np.zeros(len(self.staged.feature_names), dtype=np.int64)

    def run(self, tally: Tally) -> str:
        self.tally = tally
        self.reproduced()
        reach = self.reach()
        longest = min(_REACH_LIMIT, len(self.prices.frame) // 4)
        bounded = every_day(self.prices, self.staged, self.rebuild, self.rng, reach, longest, tally)
        cuts = hard_spots(self.prices, self.staged, self.rng, _RANDOM_CUTS)
        self.cut_off({last: reason for last, reason in cuts.items() if reason != "every so often"})
        self.redrawn(cuts)
        self.all_alive()
        if not bounded.all():
            every_cut(self.prices, self.staged, self.rebuild, self.rng, tally)
        self.calendar_free(bounded, reach)
        smooth(self.prices, self.staged, self.rebuild, tally)
        tally.figures.update(
            cuts=self.cuts,
            features=len(bounded),
            features_on_every_day=int(bounded.sum()),
            days=len(self.staged.dates),
        )
        return (
            f"{self.staged.symbol}: rows unchanged at {self.cuts} cut or redrawn futures; "
            f"{int(bounded.sum())} of {len(bounded)} features on each of {len(self.staged.dates)} days with "
            "a "
            f"future of its own; {tally.checked} values compared"
        )

    def reproduced(self) -> None:
        """Compare the stored artifact with a second build."""
        staged = self.staged
        again = rebuilt(self.rebuild, self.prices, "when built again")
        index = self.prices.frame.index.to_numpy().astype("datetime64[D]")
        require(
            bit_equal(staged.dates, index), f"{staged.symbol}: the stored dates are not those of the prices"
        )
        require(
            staged.feature_names == again.feature_names,
            f"{staged.symbol}: stored features {staged.feature_names} but a second build gives "
            f"{again.feature_names}",
        )
        change = "when built again from the same prices: the artifact is not reproduced"
        self.tally.checked += require_same_features(
            self.prices, staged, again, slice(0, len(staged.features)), change, exact=True
        )
        for name in ("returns", "center", "scale"):
            require(
                bit_equal(getattr(staged, name), getattr(again, name)),
                f"{staged.symbol}: stored {name} differ from those of a second build on the same prices",
            )
        require(
            staged.ledger.reset_index(drop=True).equals(again.ledger.reset_index(drop=True))
            and (staged.window, staged.horizon) == (again.window, again.horizon),
            f"{staged.symbol}: the stored ledger differs from that of a second build on the same prices",
        )

    def reach(self) -> NDArray[np.int64]:
        """Measure how many days later each feature still knows of a day: redraw the past and look."""
        n = len(self.prices.frame)
        reach = np.zeros(len(self.staged.feature_names), dtype=np.int64)
        for last in np.linspace(0.2 * n, 0.75 * n, 5).astype(int):
            past = np.arange(n) <= last
            try:
                other = rebuilt(self.rebuild, redraw(self.prices, past, self.rng, "wild"), "on another past")
            except Violation:
                return np.full_like(reach, n)  # unknown; if it depends on the future, the cuts will show it
            mine, theirs = columns_of(self.staged, other)
            after = slice(last + 1, None)
            different = unequal(self.staged.features[after, mine], other.features[after, theirs])
            furthest = np.where(different.any(axis=0), len(different) - np.argmax(different[::-1], axis=0), 0)
            missing = np.setdiff1d(np.arange(len(reach)), mine)
            reach[mine] = np.maximum(reach[mine], furthest)
            reach[missing] = n  # selected by what lies in the past: its memory is not bounded
        return reach

    def cut_off(self, cuts: dict[int, str]) -> None:
        """Rebuild on histories that end at a cut."""
        enough = shortest_history(self.staged)
        for last, reason in cuts.items():
            if last + 1 < enough and reason != "last days":
                continue  # redrawing reaches these days
            change = f"when the prices after {day(self.prices, last)} ({reason}) are cut off"
            try:
                other = rebuilt(self.rebuild, cut_off(self.prices, last), change)
            except Violation as failure:
                if last + 1 < enough and isinstance(failure.__cause__, ValueError):
                    continue
                raise
            self.past_unchanged(other, last, change)

    def redrawn(self, cuts: dict[int, str]) -> None:
        """Rebuild on histories whose future is another."""
        for k, (last, reason) in enumerate(cuts.items()):
            style = STYLES[k % len(STYLES)]
            change = f"when the prices after {day(self.prices, last)} ({reason}) are redrawn ({style})"
            other = rebuilt(self.rebuild, redraw_after(self.prices, last, self.rng, style), change)
            self.past_unchanged(other, last, change)
            self.same_split(other, change)
            mine, theirs = columns_of(self.staged, other)
            later = slice(last + 1, len(other.features))
            moved = unequal_bits(self.staged.features[later, mine], other.features[later, theirs]).any(axis=0)
            self.alive[mine] |= moved

    def past_unchanged(self, other: SequenceSet, last: int, change: str) -> None:
        """Compare everything that may be known at the end of day `last`."""
        staged, columns = self.staged, columns_of(self.staged, other)
        self.tally.checked += require_same_features(
            self.prices, staged, other, slice(0, last + 1), f"{change}: the row reads the future"
        )
        mine, theirs = staged.features[last, columns[0]], other.features[last, columns[1]]
        self.last_bits[columns[0]] += unequal_bits(mine, theirs)
        known = max(last + 1 - staged.horizon, 0)
        require_same_labels(self.prices, staged, other, known, change)
        self.same_rows(other, known, change)
        self.tally.checked += known
        self.cuts += 1

    def same_rows(self, other: SequenceSet, known: int, change: str) -> None:
        """Which days are sequences must not depend on what comes after their label."""
        before, after = (s.ledger["position"].to_numpy() for s in (self.staged, other))
        before, after = before[before < known], after[after < known]
        if not np.array_equal(before, after):
            odd = np.append(np.setxor1d(before, after), before[-1:])[:1]
            where = "stored" if odd[-1] in before else "missing as stored"
            raise Violation(
                f"{self.staged.symbol}: the sequence of {day(self.prices, int(odd[-1]))} is {where} but not "
                "so "
                f"{change}: whether a day is used reads the future"
            )

    def same_split(self, other: SequenceSet, change: str) -> None:
        """The parts follow from the number of days, not from what happens on them."""
        mine, theirs = (s.ledger["split"].cat.codes.to_numpy() for s in (self.staged, other))
        if len(mine) == len(theirs) and (mine != theirs).any():
            row = int(np.argmax(mine != theirs))
            where = day(self.prices, int(self.staged.ledger["position"].iloc[row]))
            raise Violation(
                f"{self.staged.symbol}: the row of {where} is {SPLITS[mine[row]]!r} as stored but "
                f"{SPLITS[theirs[row]]!r} {change}: the split was chosen by the prices"
            )

    def all_alive(self) -> None:
        """A feature that never moves, or whose last bit moves with the future, is not what it claims."""
        names = np.array(self.staged.feature_names)
        require(
            bool(self.alive.all()),
            f"{self.staged.symbol}: {', '.join(names[~self.alive])} never react to redrawn prices, so they "
            "are not "
            "computed from the history that was given; compute every feature from the prices",
        )
        share = self.last_bits / max(self.cuts, 1)
        loud = share > _LAST_BIT_SHARE
        require(
            not (loud.any() and self.cuts >= 40),
            f"{self.staged.symbol}: the last bit of {', '.join(names[loud])} on the day of the cut follows "
            "the "
            f"future in {100 * share.max():.0f} % of {self.cuts} cuts: rounding does not do that",
        )

    def calendar_free(self, bounded: NDArray[np.bool_], reach: NDArray[np.int64]) -> None:
        """Rebuild with other dates, and without the first days."""
        frame, staged = self.prices.frame, self.staged
        # 1,003 days are no whole number of weeks, months or years.
        moved = frame.set_axis(frame.index + pd.Timedelta(days=1003), axis=0)
        change = "when all dates are moved by 1003 days: features must not depend on the calendar"
        other = rebuilt(self.rebuild, with_frame(self.prices, moved), change)
        every = slice(0, len(staged.features))
        self.tally.checked += require_same_features(self.prices, staged, other, every, change)
        skip = 7
        if len(frame) - skip < shortest_history(staged) or not bounded.any():
            return
        change = f"when the first {skip} days are left out: features must not depend on the position"
        other = rebuilt(self.rebuild, with_frame(self.prices, frame.iloc[skip:]), change)
        columns = columns_of(staged, other)
        keep = bounded[columns[0]]
        columns = (columns[0][keep], columns[1][keep])
        start = int(reach[bounded].max()) + skip + 1
        mine, theirs = staged.features[start:, columns[0]], other.features[start - skip :, columns[1]]
        # Rare days may remember for longer than the reach that was measured; a look-up differs everywhere.
        share = unequal(mine, theirs).mean(axis=0)
        if (share > 0.05).any():
            worst = int(np.argmax(share))
            raise Violation(
                f"{staged.symbol}: feature {staged.feature_names[columns[0][worst]]!r} differs on "
                f"{100 * share[worst]:.0f} % of the days (on {day(self.prices, start)} it is "
                f"{mine[0, worst]} as "
                f"stored and {theirs[0, worst]}) {change}"
            )
        self.tally.checked += mine.size
