"""Which quotes are kept: one stated reason for every row that is not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml_assets.chains.reading import ChainRows
from ml_assets.prices.report import CleaningReport, Tally

__all__ = ["DROP_REASONS", "KEY", "clean_quotes"]

KEY = ("date", "underlying", "expiry", "at_open", "strike", "call")
"""What names one option on one day."""

DROP_REASONS = (
    *("no strike", "expiry passed", "no bid", "no ask", "locked or crossed", "repeated", "contradicting"),
)
"""In the order in which they are tried; a row has the first that applies. An option that expires on the day
of the quote counts as passed: at the close nothing of it is left to price."""

_EXAMPLES = 3


def clean_quotes(
    parts: Sequence[ChainRows], source: str, notes: Sequence[str] = ()
) -> tuple[pd.DataFrame, CleaningReport]:
    """Keep the two-sided quotes of living options.

    Parameters
    ----------
    parts : sequence of ChainRows
        What was read; at least one.
    source : str
        Where it comes from.
    notes : sequence of str
        Decisions on the whole source, for instance which files were refused.

    Returns
    -------
    quotes : pandas.DataFrame
        Columns :data:`KEY`, ``bid``, ``ask``, ``spot``; sorted by the key, each key once.
    report : CleaningReport
        Rows read, kept and dropped by reason, with the first places of each.
    """
    rows = pd.concat([part.rows for part in parts], ignore_index=True)
    reason = _reasons(rows)
    kept = rows[reason == ""].sort_values(list(KEY), kind="stable", ignore_index=True)
    dropped = {name: _tally(rows[reason == name]) for name in DROP_REASONS if (reason == name).any()}
    read = tuple(dict.fromkeys(note for part in parts for note in part.notes))
    report = CleaningReport(source, len(rows), len(kept), dropped, notes=(*read, *notes))
    return kept[[*KEY, "bid", "ask", "spot"]], report


def _reasons(rows: pd.DataFrame) -> npt.NDArray[np.object_]:
    """Reason for each row, an empty text for those kept."""
    bid, ask, strike = (rows[name].to_numpy() for name in ("bid", "ask", "strike"))
    broken = [
        ~(np.isfinite(strike) & (strike > 0)),
        (rows["expiry"] <= rows["date"]).to_numpy(),
        ~(np.isfinite(bid) & (bid > 0)),
        ~np.isfinite(ask),
        ask <= bid,
    ]
    reason = np.select(broken, DROP_REASONS[: len(broken)], "").astype(object)
    alive = rows[reason == ""]
    again = alive.duplicated([*KEY, "bid", "ask"])
    reason[alive.index[again]] = "repeated"
    once = alive[~again]
    reason[once.index[once.duplicated(list(KEY), keep=False)]] = "contradicting"
    return reason


def _tally(rows: pd.DataFrame) -> Tally:
    first = rows.head(_EXAMPLES)
    return Tally(len(rows), tuple(f"{f} row {r}" for f, r in zip(first["file"], first["row"], strict=True)))
