"""Sessions: the days on which the market was open, told from the symbols themselves."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from ml_assets.prices.history import PriceHistory

__all__ = ["missing_sessions", "sessions_from"]


def sessions_from(histories: Iterable[PriceHistory], quorum: float = 0.5) -> pd.DatetimeIndex:
    """Return the dates that most symbols have.

    Parameters
    ----------
    histories : iterable of PriceHistory
        Symbols of one exchange.
    quorum : float
        A date is a session if more than this share of the symbols that are listed on it (between their first
        and their last day) have it.

    Returns
    -------
    pandas.DatetimeIndex
        Strictly increasing.

    Raises
    ------
    ValueError
        If there are no histories, or the quorum is not in [0, 1).
    """
    dates = [history.dates.to_numpy() for history in histories]
    if not dates:
        raise ValueError("no histories, so no sessions; load at least one symbol first")
    if not 0 <= quorum < 1:
        raise ValueError(f"the quorum is a share in [0, 1), not {quorum}")
    days, present = np.unique(np.concatenate(dates), return_counts=True)
    started = np.searchsorted(np.sort([some[0] for some in dates]), days, side="right")
    ended = np.searchsorted(np.sort([some[-1] for some in dates]), days, side="left")
    return pd.DatetimeIndex(days[present > quorum * (started - ended)], name="date")


def missing_sessions(histories: Iterable[PriceHistory], quorum: float = 0.5) -> dict[str, pd.DatetimeIndex]:
    """Return, for each symbol, the sessions within its own span that it lacks.

    Parameters
    ----------
    histories : iterable of PriceHistory
        Symbols of one exchange.
    quorum : float
        As in :func:`sessions_from`.

    Returns
    -------
    dict of str to pandas.DatetimeIndex
        One entry for every symbol; empty where nothing is missing.
    """
    known = list(histories)
    sessions = sessions_from(known, quorum)
    missing = {}
    for history in known:
        first, last = history.dates[0], history.dates[-1]
        own = sessions[(sessions >= first) & (sessions <= last)]
        missing[history.symbol] = own.difference(history.dates)
    return missing
