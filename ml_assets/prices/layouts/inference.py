"""Tables without a header: what each column is, by its values."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml_assets.prices.errors import PriceFileError
from ml_assets.prices.layouts.numbers import parse_numbers

__all__ = ["infer_roles"]

Floats = npt.NDArray[np.float64]

_REMEDY = "Name the columns by their positions, for instance LayoutHint(columns={'date': 0, 'close': 4})."


def infer_roles(cells: pd.DataFrame, date_at: int, decimal: str) -> dict[str, int]:
    """Assign roles to the columns of a table that has no header.

    Recognized are, after the date and an optional column of symbols: a close; a close and a volume; open,
    high, low, close, then optionally an adjusted close, then optionally a volume. The order
    open-high-low-close is accepted only if the high and the low bound the others on nearly all rows.

    Parameters
    ----------
    cells : pandas.DataFrame
        Columns 0, 1, ... of texts.
    date_at : int
        Position of the dates.
    decimal : str
        The decimal mark.

    Returns
    -------
    dict of str to int
        Role to position.

    Raises
    ------
    PriceFileError
        If the values fit none of these orders.
    """
    roles: dict[str, int] = {"date": date_at}
    numbers: dict[int, Floats] = {}
    for at in range(cells.shape[1]):
        if at == date_at:
            continue
        values, unreadable = parse_numbers(cells[at], decimal)
        if unreadable.mean() < 0.05 and np.isfinite(values).any():
            numbers[at] = values
        elif unreadable.mean() > 0.95 and "symbol" not in roles:
            roles["symbol"] = at
    order = list(numbers)
    volume = _volume(numbers)
    prices = [at for at in order if at != volume]
    if volume is not None:
        roles["volume"] = volume
    if len(prices) == 1:
        return {**roles, "close": prices[0]}
    if len(prices) in (4, 5) and _bounds(numbers, prices):
        names = ("open", "high", "low", "close", "adj_close")
        return {**roles, **dict(zip(names, prices, strict=False))}
    raise PriceFileError("the file has no header, and its columns are in no known order", _REMEDY)


def _volume(numbers: dict[int, Floats]) -> int | None:
    """Return the last column if it holds whole numbers and the others are prices."""
    if len(numbers) < 2:
        return None
    last = list(numbers)[-1]
    values = numbers[last][np.isfinite(numbers[last])]
    whole = bool((values == np.round(values)).all())
    return last if whole and (len(numbers) in (2, 5, 6)) else None


def _bounds(numbers: dict[int, Floats], prices: list[int]) -> bool:
    first, high, low, close = (numbers[at] for at in prices[:4])
    known = np.isfinite(first) & np.isfinite(high) & np.isfinite(low) & np.isfinite(close) & (first > 0)
    good = (high >= np.maximum(first, close) * 0.999) & (low <= np.minimum(first, close) * 1.001)
    return bool(known.any() and good[known].mean() > 0.95)
