"""The return of the fleet's median stock, session by session: what relative direction is measured against."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ml_assets.storage.arrays import pack, unpack
from ml_assets.windows.rolling import Floats
from ml_assets.windows.sequence_set import frozen_array

__all__ = ["FEWEST", "FleetMedian", "fleet_median"]

FEWEST = 3
"""Stocks that must count on a session; of fewer there is no median."""


@dataclass(frozen=True, eq=False)
class FleetMedian:
    """Median one-session return of the fleet, each known at the close of its own session.

    Parameters
    ----------
    members : tuple of str
        The stocks of the fleet, sorted.
    sessions : ndarray of datetime64[D], shape (n,)
        Every day on which a member has a close.
    returns : ndarray of float64, shape (n,)
        Median simple return from the session before to this one; NaN where fewer than `FEWEST` count.
    counted : ndarray of int64, shape (n,)
        How many members count: those with a close on this session and on the one before.
    """

    kind: ClassVar[str] = "fleet_median"
    extension: ClassVar[str] = ".npz"

    members: tuple[str, ...]
    sessions: NDArray[np.datetime64]
    returns: Floats
    counted: NDArray[np.int64]

    def __post_init__(self) -> None:
        for name, dtype in {"sessions": "datetime64[D]", "returns": "f8", "counted": "i8"}.items():
            object.__setattr__(self, name, frozen_array(getattr(self, name), dtype))
        if not len(self.sessions) == len(self.returns) == len(self.counted):
            raise ValueError(
                f"{len(self.sessions)} sessions, {len(self.returns)} returns, {len(self.counted)} counts: "
                "there must be one of each per session"
            )

    def until(self, day: np.datetime64) -> FleetMedian:
        """What was known at the close of a day."""
        known = self.sessions <= day
        return replace(
            self, sessions=self.sessions[known], returns=self.returns[known], counted=self.counted[known]
        )

    def to_bytes(self) -> bytes:
        """Encode as an ``.npz`` file; equal values give equal bytes."""
        arrays = {
            "sessions": self.sessions.astype(np.int64),
            "returns": self.returns,
            "counted": self.counted,
        }
        return pack(arrays, {"kind": self.kind, "members": list(self.members)})

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Decode what `to_bytes` wrote; ValueError if the bytes are something else."""
        arrays, header = unpack(data)
        if header.get("kind") != cls.kind:
            raise ValueError(f"these bytes hold {header.get('kind')!r}, not {cls.kind!r}")
        return cls(
            members=tuple(header["members"]),
            sessions=arrays["sessions"].astype("datetime64[D]"),
            returns=arrays["returns"],
            counted=arrays["counted"],
        )


def fleet_median(closes: Mapping[str, pd.Series]) -> FleetMedian:
    """Take the median over the stocks that trade on each session.

    A stock that joins later, or leaves, counts on its own days alone: it changes no session before it came.

    Parameters
    ----------
    closes : mapping of str to Series
        Closes of each member by day, as traded; nothing filled.

    Raises
    ------
    ValueError
        If there are fewer than `FEWEST` members.

    Examples
    --------
    >>> days = pd.to_datetime(["2024-01-02", "2024-01-03"])
    >>> moves = {"A": [10.0, 11.0], "B": [10.0, 10.2], "C": [10.0, 9.0]}
    >>> fleet_median({name: pd.Series(values, days) for name, values in moves.items()}).returns.round(6)
    array([ nan, 0.02])
    """
    if len(closes) < FEWEST:
        raise ValueError(
            f"the fleet has {len(closes)} stocks with certified prices, a median needs at least {FEWEST}"
        )
    members = tuple(sorted(closes))
    days = {name: closes[name].index.to_numpy().astype("datetime64[D]") for name in members}
    sessions = np.unique(np.concatenate(list(days.values())))
    moves = np.full((len(sessions), len(members)), np.nan)
    for column, name in enumerate(members):
        level = np.full(len(sessions), np.nan)
        level[np.searchsorted(sessions, days[name])] = closes[name].to_numpy(dtype=np.float64)
        moves[1:, column] = level[1:] / level[:-1] - 1.0
    counted = np.isfinite(moves).sum(axis=1)
    returns, enough = np.full(len(sessions), np.nan), counted >= FEWEST
    returns[enough] = np.nanmedian(moves[enough], axis=1)
    return FleetMedian(members, sessions, returns, counted)
