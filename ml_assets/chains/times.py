"""Time to expiry of options quoted at the close."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["sessions_to_expiry", "years_to_expiry"]

Days = npt.NDArray[np.datetime64]
Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

_EARLIER = 6.5 / 24.0
"""Days from a session's open, at which AM options settle, to its close."""


def years_to_expiry(date: Days, expiry: Days, at_open: Mask) -> Floats:
    """Calendar time from the close of the quote's day to settlement, in years of 365 days, shape (n,)."""
    days = (expiry.astype("datetime64[D]") - date.astype("datetime64[D]")).astype(np.float64)
    years: Floats = (days - np.where(at_open, _EARLIER, 0.0)) / 365.0
    return years


def sessions_to_expiry(date: Days, expiry: Days, at_open: Mask) -> Floats:
    """The same in business days, shape (n,). Holidays are not known here, so they count as sessions."""
    count = np.busday_count(date.astype("datetime64[D]"), expiry.astype("datetime64[D]"))
    sessions: Floats = count.astype(np.float64) - np.where(at_open, _EARLIER, 0.0)
    return sessions
