"""The default set: 20 real stocks that need no download."""

from __future__ import annotations

import datetime as dt
from functools import lru_cache

import numpy as np
import pandas as pd

from ml_assets.prices.cleaning import CleaningRules
from ml_assets.prices.raw import RawPrices
from ml_assets.prices.table_source import TableSource

__all__ = ["default_source"]

_FIRST_DAY = "2000-01-01"
"""Earlier prices are rounded too coarsely: AAPL at 0.3 dollars with three decimals has steps of 0.3 %."""


def default_source(*, rules: CleaningRules | None = None, today: dt.date | None = None) -> TableSource:
    """Open the 20 S&P 500 stocks shipped in skfolio's wheel (BSD-3): adjusted closes, 2000 to 2022."""
    return TableSource("the default set", lambda: (_tables(), ()), rules, today)


@lru_cache(maxsize=1)
def _tables() -> dict[str, tuple[RawPrices]]:
    from skfolio.datasets import load_sp500_dataset  # imports scikit-learn, hence not at the top

    frame: pd.DataFrame = load_sp500_dataset()
    rows = np.arange(1, len(frame) + 1, dtype=np.int64)
    recent = np.asarray(frame.index >= _FIRST_DAY)
    days = frame.index[recent].to_numpy().astype("datetime64[ns]")
    notes = (f"adjusted closes of skfolio's S&P 500 set from {_FIRST_DAY}",)
    return {
        str(symbol): (
            RawPrices(
                str(symbol),
                "skfolio sp500_dataset",
                pd.DataFrame(
                    {"row": rows[recent], "date": days, "adj_close": frame[symbol].to_numpy(float)[recent]}
                ),
                notes=notes,
                names={"adj_close": str(symbol)},
            ),
        )
        for symbol in frame.columns
    }
