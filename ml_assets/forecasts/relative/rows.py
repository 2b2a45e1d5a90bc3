"""The sequences of a symbol with another label: its return relative to the median stock of the fleet.

Everything else stays as it is for direction. Relative direction is the direction of the *relative price*: the
close divided by an index that moves each session as the median stock does.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ml_assets.forecasts.relative.median import FleetMedian
from ml_assets.prices import PriceHistory
from ml_assets.windows.rolling import Floats
from ml_assets.windows.sequences import SequenceConfig, SequenceSet, build_sequences
from ml_assets.windows.steps import Steps

__all__ = ["relative_closes", "relative_sequences", "relative_steps"]

_TIE = 1e-12  # log return below which a stock is the median stock itself, but for the order of a sum


def relative_closes(closes: Floats, dates: NDArray[np.datetime64], median: FleetMedian) -> Floats:
    """Closes relative to the median stock, which begin at 1.

    Over days on which the fleet has no session or no median, the index stands still.

    Parameters
    ----------
    closes : ndarray, shape (n,)
    dates : ndarray of datetime64, shape (n,)
    median : FleetMedian

    Returns
    -------
    ndarray, shape (n,)
        Exactly level from one day to the next where the stock is the median stock itself.
    """
    index = np.concatenate([[0.0], np.cumsum(np.log1p(np.nan_to_num(median.returns)))])
    market = index[np.searchsorted(median.sessions, dates.astype("datetime64[D]"), side="right")]
    moves = np.diff(np.log(closes)) - np.diff(market)
    moves[np.abs(moves) < _TIE] = 0.0
    return np.asarray(np.exp(np.concatenate([[0.0], np.cumsum(moves)])))


def relative_steps(prices: PriceHistory, median: FleetMedian, steps: Steps | None = None) -> Steps:
    """The steps from these prices to sequences, with labels of the relative closes."""
    steps = steps or Steps()
    relative = relative_closes(prices.frame["close"].to_numpy(), prices.dates.to_numpy(), median)
    return replace(steps, labels=lambda _, horizon: steps.labels(relative, horizon))


def relative_sequences(
    prices: PriceHistory,
    median: FleetMedian,
    config: SequenceConfig | None = None,
    *,
    steps: Steps | None = None,
) -> SequenceSet:
    """Build the sequences of a symbol as those of direction are, from what was known on its last day.

    Parameters
    ----------
    prices : PriceHistory
    median : FleetMedian
        Later sessions than the last one of the prices are not read.
    config : SequenceConfig, optional
    steps : Steps, optional
        Only tests give others than the defaults.
    """
    known = median.until(prices.dates.to_numpy()[-1])
    return build_sequences(prices, config, steps=relative_steps(prices, known, steps))
