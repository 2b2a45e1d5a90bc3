"""G4: the labels are what the raw prices say, recomputed by three independent lines."""

from __future__ import annotations

import numpy as np

from ml_assets.gates._verdict import Tally, Violation, verdict
from ml_assets.gates.core import GateResult
from ml_assets.gates.data._changes import day
from ml_assets.gates.data._compare import unequal_bits
from ml_assets.prices.history import PriceHistory
from ml_assets.windows.sequence_set import SequenceSet

__all__ = ["oracle"]


def oracle(prices: PriceHistory, staged: SequenceSet) -> GateResult:
    """Check every label against the raw closes.

    The days of each row are looked up in the price history by date, as the ledger gives them, so that a
    ledger and labels that are wrong together do not agree with each other here.

    Parameters
    ----------
    prices : PriceHistory
    staged : SequenceSet

    Returns
    -------
    GateResult
    """

    def inspect(tally: Tally) -> str:
        close = prices.frame["close"]
        rows = staged.ledger
        bought, sold = close.reindex(rows["as_of"]).to_numpy(), close.reindex(rows["label_end"]).to_numpy()
        _same(prices, staged, rows["position"].to_numpy(), sold / bought - 1.0, "label")
        every, true, ahead = np.full(len(close), np.nan), close.to_numpy(), staged.horizon
        every[:-ahead] = true[ahead:] / true[:-ahead] - 1.0
        _same(prices, staged, np.arange(len(close)), every, "step label")
        tally.checked += len(rows) + len(close)
        return (
            f"{staged.symbol}: {len(rows)} labels over {staged.horizon} day(s) and the labels of all "
            f"{len(close)} days equal those recomputed from the closes"
        )

    return verdict("oracle", inspect)


def _same(
    prices: PriceHistory, staged: SequenceSet, positions: np.ndarray, due: np.ndarray, what: str
) -> None:
    """Compare to 1e-12: the last bits may differ by the order of operations."""
    held = (
        staged.returns[positions]
        if len(staged.returns) > positions.max(initial=-1)
        else np.full(len(due), np.nan)
    )
    wrong = unequal_bits(held, due) & ~(np.abs(held - due) <= 1e-12 * (1.0 + np.abs(due)))
    if wrong.any():
        k = int(np.argmax(wrong))
        raise Violation(
            f"{staged.symbol}: the {what} of {day(prices, int(positions[k]))} is {held[k]} as stored but "
            f"{due[k]} from the closes {staged.horizon} day(s) apart; {int(wrong.sum())} labels are wrong"
        )
