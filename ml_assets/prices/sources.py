"""How a setting names a source of prices."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path

from ml_assets.prices.cleaning import CleaningRules
from ml_assets.prices.default_set import default_source
from ml_assets.prices.errors import PriceSourceError
from ml_assets.prices.folder import folder_source
from ml_assets.prices.layouts.hint import LayoutHint
from ml_assets.prices.live import yfinance_source
from ml_assets.prices.table_source import PriceSource

__all__ = ["open_source"]


def open_source(
    spec: str,
    *,
    hints: Sequence[LayoutHint] = (),
    rules: CleaningRules | None = None,
    today: dt.date | None = None,
) -> PriceSource:
    """Open the source that a setting names.

    Parameters
    ----------
    spec : str
        ``'default'`` (20 real stocks, no network), ``'yfinance:AAPL,MSFT'``, or the path of a folder (or of
        one file).
    hints : sequence of LayoutHint
        For a folder: what is known about some files.
    rules : CleaningRules, optional
        How to clean.
    today : datetime.date, optional
        Later rows are in the future.

    Raises
    ------
    PriceSourceError
        If the setting names no source.

    Examples
    --------
    >>> open_source("default").symbols()[:3]
    ['AAPL', 'AMD', 'BAC']
    """
    text = spec.strip()
    if text == "default":
        return default_source(rules=rules, today=today)
    kind, _, rest = text.partition(":")
    if kind == "yfinance":
        names = [name for name in rest.split(",") if name.strip()]
        if not names:
            raise PriceSourceError(f"{spec!r} names no symbols; write for instance 'yfinance:AAPL,MSFT'")
        return yfinance_source(names, rules=rules, today=today)
    path = Path(text).expanduser() if text else None
    if path is None or not path.exists():
        raise PriceSourceError(
            f"no price source {spec!r}: it is neither 'default', nor 'yfinance:AAPL,MSFT', nor a folder that "
            "exists; correct the setting or create the folder"
        )
    return folder_source(path, hints=hints, rules=rules, today=today)
