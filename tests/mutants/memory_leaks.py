"""Features that remember the first history that they see, and look the future up in it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ml_assets.windows.features import extract_features
from ml_assets.windows.rolling import Floats


def next_return(frame: pd.DataFrame, ahead: int = 1) -> Floats:
    close = frame["close"].to_numpy()
    out = np.zeros(len(close))
    if len(close) > ahead:
        out[:-ahead] = np.log(close[ahead:] / close[:-ahead])
    return out


class FirstSeen:
    """A table filled from the first history that it sees, read by date or by position ever after."""

    def __init__(self, by_date: bool) -> None:
        self.by_date, self.table = by_date, pd.Series(dtype=float)

    def __call__(self, frame: pd.DataFrame, clean: Floats) -> Floats:
        if self.table.empty:
            self.table = pd.Series(
                next_return(frame), index=frame.index if self.by_date else range(len(frame))
            )
        keys = frame.index if self.by_date else range(len(frame))
        return clean[:, 0] + self.table.reindex(keys).fillna(0.0).to_numpy()


class ByReturns:
    """A table filled from the first history that it sees, keyed by the returns themselves."""

    def __init__(self) -> None:
        self.table: dict[float, float] = {}

    def __call__(self, frame: pd.DataFrame, clean: Floats) -> Floats:
        keys = np.round(clean[:, 0], 7)
        if not self.table:
            self.table = dict(zip(keys.tolist(), next_return(frame).tolist(), strict=True))
        return clean[:, 0] + np.array([self.table.get(k, 0.0) for k in keys.tolist()])


class Cached:
    """The features of the first history for every history."""

    def __init__(self) -> None:
        self.first: Floats | None = None

    def __call__(self, frame: pd.DataFrame) -> Floats:
        if self.first is None:
            self.first = extract_features(frame)
        return self.first[: len(frame)]
