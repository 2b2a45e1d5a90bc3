"""What every split must keep: the labels of a part end before the next part begins to read."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml_assets.gates._verdict import require

__all__ = ["require_disjoint"]


def require_disjoint(
    where: str,
    dates: NDArray[np.datetime64],
    parts: Mapping[str, NDArray[Any]],
    reach: int,
    window: int,
) -> None:
    """Labels of each part end before the windows of the part after it begin.

    Parameters
    ----------
    where : str
        Begins a finding.
    dates : ndarray of datetime64, shape (n_days,)
    parts : mapping of str to ndarray of int
        Positions of the rows of each part, not empty, in the order of time.
    reach : int
        Days that labels reach ahead.
    window : int
        Days that end on a row and are read for it.

    Raises
    ------
    Violation
        Naming the parts and both days.
    """
    for earlier, later in pairwise(parts):
        end = dates[min(int(parts[earlier].max()) + reach, len(dates) - 1)]
        begin = dates[int(parts[later].min()) - window + 1]
        require(
            bool(end < begin),
            f"{where}: {earlier} labels over {reach} days end on {end}, {later} windows begin on {begin}",
        )
