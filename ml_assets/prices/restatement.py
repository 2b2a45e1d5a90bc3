"""Whether a vendor changed the past: an old download against a new one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml_assets.prices.history import PriceHistory

__all__ = ["Restatement", "compare_histories"]

_SCALE_RTOL = 5e-4
"""Prices rounded to cents scatter by this much around a common factor."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Restatement:
    """How the rows of an old history reappear in a new one.

    Parameters
    ----------
    symbol : str
        The symbol.
    kind : {'same', 'extended', 'rescaled', 'restated'}
        ``extended``: the old rows are unchanged and new ones follow. ``rescaled``: all old prices are
        multiplied by one factor, as after a split or dividend; returns are unchanged. ``restated``: single
        rows changed, vanished or were put in; what was learned from the old rows is out of date.
    compared : int
        Dates that both have.
    restated : int
        Of these, rows whose values changed beyond the tolerance, after the common factor is taken out.
    vanished : int
        Old dates, not before the new history's start, that the new one lacks.
    inserted : int
        New dates before the old history's end that the old one lacks.
    trimmed : int
        Old dates before the new history's start (a vendor's moving window); not counted as a change.
    appended : int
        New dates after the old history's end.
    factor : float
        The common factor, new / old; 1 if there is none.
    first_date : str or None
        The first restated, vanished or inserted date.
    columns : mapping of str to int
        Number of changed cells by column; a column that one of them lacks counts all common dates.
    """

    symbol: str
    kind: Literal["same", "extended", "rescaled", "restated"]
    compared: int
    restated: int
    vanished: int
    inserted: int
    trimmed: int
    appended: int
    factor: float
    first_date: str | None
    columns: Mapping[str, int] = field(default_factory=dict)

    @property
    def changed(self) -> bool:
        """Whether any old row differs: rescaled or restated."""
        return self.kind in ("rescaled", "restated")

    @property
    def message(self) -> str:
        """One sentence on what happened."""
        if self.kind == "restated":
            cells = ", ".join(f"{name} {count}" for name, count in self.columns.items())
            return (
                f"{self.symbol}: the past was restated from {self.first_date} on: of {self.compared} common "
                f"rows {self.restated} changed{f' ({cells})' if cells else ''}, {self.vanished} vanished, "
                f"{self.inserted} were inserted; {self.appended} rows are new."
            )
        if self.kind == "rescaled":
            return (
                f"{self.symbol}: all {self.compared} common rows were rescaled by split or dividend (factor "
                f"{self.factor:.6g}), returns are unchanged; {self.appended} rows are new."
            )
        return f"{self.symbol}: the {self.compared} common rows are unchanged; {self.appended} rows are new."


def compare_histories(old: PriceHistory, new: PriceHistory, *, rtol: float = 1e-5) -> Restatement:
    """Compare two downloads of one symbol.

    Parameters
    ----------
    old, new : PriceHistory
        The earlier and the later download.
    rtol : float
        Relative change up to which a value counts as unchanged.

    Returns
    -------
    Restatement
        Counts, the first date, and a sentence.

    Raises
    ------
    ValueError
        If the symbols differ.
    """
    if old.symbol != new.symbol:
        raise ValueError(f"cannot compare {old.symbol} with {new.symbol}; give two histories of one symbol")
    common = old.dates.intersection(new.dates)
    factor = _common_factor(old.frame.loc[common, "close"], new.frame.loc[common, "close"], rtol)
    differs = _differences(old.frame.loc[common], new.frame.loc[common], factor, rtol)
    rows = differs.any(axis=1).to_numpy() if len(common) else np.zeros(0, dtype=bool)
    lost = old.dates.difference(new.dates)
    put_in = new.dates.difference(old.dates)
    vanished = lost[lost >= new.dates[0]]
    inserted, appended = put_in[put_in <= old.dates[-1]], put_in[put_in > old.dates[-1]]
    touched = common[rows].union(vanished).union(inserted)
    otherwise: Literal["same", "extended", "rescaled"] = "extended" if len(appended) else "same"
    if factor != 1:
        otherwise = "rescaled"
    return Restatement(
        symbol=old.symbol,
        kind="restated" if len(touched) else otherwise,
        compared=len(common),
        restated=int(rows.sum()),
        vanished=len(vanished),
        inserted=len(inserted),
        trimmed=len(lost) - len(vanished),
        appended=len(appended),
        factor=factor,
        first_date=str(touched[0].date()) if len(touched) else None,
        columns={str(name): int(count) for name, count in differs.sum().items() if count},
    )


def _common_factor(old: pd.Series, new: pd.Series, rtol: float) -> float:
    """Return the factor by which most closes were multiplied; 1 if most are unchanged or there is none."""
    if old.empty:
        return 1.0
    ratio = (new / old).to_numpy()
    factor = float(np.median(ratio))
    unchanged = np.abs(ratio - 1) <= rtol
    rescaled = np.abs(ratio / factor - 1) <= _SCALE_RTOL
    return factor if unchanged.mean() < 0.5 and rescaled.mean() > 0.5 and abs(factor - 1) > rtol else 1.0


def _differences(old: pd.DataFrame, new: pd.DataFrame, factor: float, rtol: float) -> pd.DataFrame:
    """Tell which cells changed, after the common factor is taken out of the prices."""
    differs = {}
    for name in dict.fromkeys([*old.columns, *new.columns]):
        if name not in old or name not in new:
            differs[name] = np.ones(len(old), dtype=bool)
            continue
        before, after = old[name].to_numpy(), new[name].to_numpy()
        if name == "volume":
            scale, allowed = _volume_factor(before, after, factor), max(rtol, _SCALE_RTOL)
        else:
            scale, allowed = factor, rtol if factor == 1 else _SCALE_RTOL
        differs[name] = ~np.isclose(after, before * scale, rtol=allowed, atol=0.0, equal_nan=True)
    return pd.DataFrame(differs, index=old.index)


def _volume_factor(before: Floats, after: Floats, factor: float) -> float:
    """Return 1, or the inverse of the price factor if a split changed the volumes too."""
    if factor == 1:
        return 1.0
    candidates = (1.0, 1 / factor)
    return min(
        candidates,
        key=lambda scale: float(np.nansum(~np.isclose(after, before * scale, rtol=0.01, equal_nan=True))),
    )
