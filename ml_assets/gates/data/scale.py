"""G5: no feature knows the level of prices or of volumes."""

from __future__ import annotations

import numpy as np

from ml_assets.gates._verdict import Tally, Violation, require, verdict
from ml_assets.gates.core import GateResult
from ml_assets.gates.data._changes import day, scaled
from ml_assets.gates.data._compare import Rebuild, columns_of, rebuilt, unequal_bits
from ml_assets.prices.history import PriceHistory
from ml_assets.windows.sequence_set import SequenceSet

__all__ = ["scale"]

# Far apart, so that a level shows through a tiny weight, and no powers of two, which would round alike.
FACTORS = ((937.0, 0.0131), (0.00173, 771.0), (3.7, 1.0))


def scale(prices: PriceHistory, staged: SequenceSet, rebuild: Rebuild) -> GateResult:
    """Check that multiplying all prices by one constant and all volumes by another changes no feature.

    Parameters
    ----------
    prices, staged, rebuild
        As in `ml_assets.gates.data.causal.causal`.

    Returns
    -------
    GateResult
    """

    def inspect(tally: Tally) -> str:
        for price_factor, volume_factor in FACTORS:
            change = f"when prices are multiplied by {price_factor} and volumes by {volume_factor}"
            other = rebuilt(rebuild, scaled(prices, price_factor, volume_factor), change)
            tally.checked += _same(prices, staged, other, change)
        return (
            f"{staged.symbol}: {len(staged.feature_names)} features unchanged at {len(FACTORS)} other "
            "levels of "
            f"prices and volumes; {tally.checked} values compared"
        )

    return verdict("scale", inspect)


def _same(prices: PriceHistory, staged: SequenceSet, other: SequenceSet, change: str) -> int:
    mine, theirs = columns_of(staged, other)
    require(
        len(mine) == len(staged.feature_names),
        f"{staged.symbol}: the chosen features are {staged.feature_names} as stored but "
        f"{other.feature_names} "
        f"{change}",
    )
    held, got = staged.features[:, mine], other.features[:, theirs]
    require(held.shape == got.shape, f"{staged.symbol}: {len(held)} days as stored but {len(got)} {change}")
    # Other levels round otherwise; a difference is one that a standardized feature would show.
    finite = np.where(np.isfinite(held), held, np.nan)
    spread = np.nanmax(np.abs(finite), axis=0, initial=0.0)
    with np.errstate(invalid="ignore"):
        near = np.abs(held - got) <= 1e-6 * np.maximum(np.abs(held), 0.01 * spread) + 1e-12
    different = unequal_bits(held, got) & ~near
    if different.any():
        row, column = (int(i) for i in np.argwhere(different)[0])
        raise Violation(
            f"{staged.symbol}: feature {staged.feature_names[mine[column]]!r} on {day(prices, row)} is "
            f"{held[row, column]} as stored but {got[row, column]} {change}: it knows the price level"
        )
    return int(held.size)
