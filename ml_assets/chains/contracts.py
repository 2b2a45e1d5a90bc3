"""Contract symbols of the OCC, and at which time of the day a root settles."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd

__all__ = ["CONTRACT", "parse_contracts", "settles_at_open"]

CONTRACT = (
    r"^(?:O:)?(?P<root>[A-Z][A-Z.]{0,5})\d? *"
    r"(?P<y>\d\d)(?P<m>\d\d)(?P<d>\d\d)(?P<right>[CP])(?P<strike>\d{6,10})$"
)
"""Root, expiry as yymmdd, C or P, strike in thousandths (OCC, *Options Symbology Initiative*, 2008)."""

_AT_OPEN = frozenset(["SPX", "NDX", "RUT", "DJX", "MNX", "VIX", "MXEA", "MXEF"])
"""Roots whose options are settled by the opening prices of the last day. Their siblings with other roots
(SPXW, NDXP, RUTW) and options on single stocks and funds are settled at the close."""


def parse_contracts(cells: pd.Series) -> pd.DataFrame:
    """Take contract symbols apart.

    Parameters
    ----------
    cells : Series of str, shape (n,)

    Returns
    -------
    pandas.DataFrame
        ``root`` (str), ``expiry`` (datetime64[ns]), ``call`` (bool), ``strike`` (float64); a cell that is no
        contract symbol gives an empty root, NaT, False and NaN.
    """
    codes, unique = pd.factorize(cells)
    parts = pd.Series(unique, dtype="str").str.extract(CONTRACT)
    stamp = "20" + parts["y"] + parts["m"] + parts["d"]
    table = pd.DataFrame(
        {
            "root": parts["root"].fillna("").astype("str"),
            "expiry": pd.to_datetime(stamp, format="%Y%m%d", errors="coerce").astype("datetime64[ns]"),
            "call": (parts["right"] == "C").to_numpy(dtype=bool),
            "strike": pd.to_numeric(parts["strike"], errors="coerce").to_numpy(np.float64) / 1000.0,
        }
    )
    return table.iloc[codes].reset_index(drop=True)


def settles_at_open(roots: pd.Series) -> npt.NDArray[np.bool_]:
    """Tell which roots settle in the morning (AM) of their last day, shape (n,)."""
    found: npt.NDArray[np.bool_] = roots.str.upper().isin(_AT_OPEN).to_numpy(dtype=bool)
    return found
