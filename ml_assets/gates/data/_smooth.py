"""Almost equal prices have almost equal features.

A table of the future may be keyed by the prices themselves: it then looks like a function of the past, and
no other future betrays it. But its keys are exact. Every move is stretched by a thousandth here, which
changes every price and no order; an honest feature follows by about as much, a looked-up one is lost.
"""

from __future__ import annotations

import numpy as np

from ml_assets.gates._verdict import Tally, Violation
from ml_assets.gates.data._changes import day, stretched
from ml_assets.gates.data._compare import Rebuild, columns_of, rebuilt
from ml_assets.prices.history import PriceHistory
from ml_assets.windows.sequence_set import SequenceSet

__all__ = ["smooth"]

_POWER = 1.001
_JUMP = 0.05
_SHARE = 0.02  # an indicator may cross its threshold on some day


def smooth(prices: PriceHistory, staged: SequenceSet, rebuild: Rebuild, tally: Tally) -> None:
    """Stretch all moves by a thousandth and require that hardly any value jumps.

    Raises
    ------
    Violation
        If a feature jumps by a twentieth of its size and spread on more than one day in fifty.
    """
    change = f"when every move is stretched by a factor of {_POWER}"
    other = rebuilt(rebuild, stretched(prices, _POWER), change)
    columns = columns_of(staged, other)
    mine, theirs = staged.features[:, columns[0]], other.features[:, columns[1]]
    known = np.isfinite(mine) & np.isfinite(theirs)
    spread = np.array(
        [column[k].std() if k.any() else 0.0 for column, k in zip(mine.T, known.T, strict=True)]
    )
    with np.errstate(invalid="ignore"):
        jumps = known & (np.abs(mine - theirs) > _JUMP * (spread + np.abs(mine)) + 1e-12)
    share = jumps.mean(axis=0)
    tally.checked += mine.size
    tally.figures["jumps"] = float(share.max(initial=0.0))
    if (share > _SHARE).any():
        worst = int(np.argmax(share))
        row = int(np.argmax(jumps[:, worst]))
        raise Violation(
            f"{staged.symbol}: feature {staged.feature_names[columns[0][worst]]!r} jumps on "
            f"{100 * share[worst]:.0f} % of the days (on {day(prices, row)} from {mine[row, worst]} to "
            f"{theirs[row, worst]}) {change}: it is looked up, not computed"
        )
