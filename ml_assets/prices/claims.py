"""Several files that give the same symbol: one is preferred, the others are merged or reported."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml_assets.prices.cleaning import CleaningRules, clean_prices
from ml_assets.prices.errors import PriceFileError, Problem, ProblemKind
from ml_assets.prices.history import PriceHistory
from ml_assets.prices.raw import RawPrices

__all__ = ["Settled", "settle"]

_SEAM = 1.5
"""Files that do not overlap are joined if no price moves by more than this factor where they meet."""
_NOTHING = "Nothing needs to be done."
_LONGER = "Remove the preferred file if the longer history matters more."
_REMEDY = "Keep one of the two files, or give the other symbol a name of its own with LayoutHint(symbol=...)."

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Settled:
    """What became of a symbol: its history, if it has one, and the problems on the way."""

    history: PriceHistory | None
    problems: tuple[Problem, ...]


@dataclass(frozen=True)
class _Claim:
    """One file's rows for the symbol, with the history that they give alone."""

    raw: RawPrices
    alone: PriceHistory

    def rank(self) -> tuple[int, int, int, int, str]:
        """Order of preference: adjusted close, number of columns, number of days, last day, file name."""
        history = self.alone
        last = -int(history.dates[-1].value)
        return (
            -int(history.report.adjusted),
            -len(history.frame.columns),
            -len(history),
            last,
            self.raw.file,
        )


def settle(claims: Sequence[RawPrices], rules: CleaningRules, today: dt.date) -> Settled:
    """Make one history of all files that give a symbol.

    Files that cannot be cleaned are refused one by one. Of the others the preferred one is the first by: has
    an adjusted close; has more columns; has more days; ends later; file name. Each further file is compared
    with it, on the adjusted close where both have one, else on the close. If they agree and have the same
    columns, the days that the preferred one lacks are added; if they disagree, the file is reported and not
    used. Nothing is averaged or picked day by day.

    Parameters
    ----------
    claims : sequence of RawPrices
        The rows of each file, one symbol.
    rules : CleaningRules
        How to clean.
    today : datetime.date
        Later rows are in the future.
    """
    if len(claims) == 1:
        try:
            return Settled(clean_prices(claims[0], rules, today=today), ())
        except PriceFileError as error:
            return Settled(None, (Problem.from_error(error),))
    problems, usable = [], []
    for raw in claims:
        try:
            usable.append(_Claim(raw, clean_prices(raw, replace(rules, minimum_rows=1), today=today)))
        except PriceFileError as error:
            problems.append(Problem.from_error(error))
    if not usable:
        return Settled(None, tuple(problems))
    best, *others = sorted(usable, key=_Claim.rank)
    merged = best.raw
    for other in others:
        merged, problem = _join(merged, best, other)
        problems += [problem] if problem else []
    try:
        return Settled(clean_prices(merged, rules, today=today), tuple(problems))
    except PriceFileError as error:
        return Settled(None, (*problems, Problem.from_error(error)))


def _join(merged: RawPrices, best: _Claim, other: _Claim) -> tuple[RawPrices, Problem | None]:
    """Add a file to what is there, or say why not."""
    one, two = _closes(merged, best, other), _closes(other.raw, best, other)
    names = f"{other.raw.file} gives {merged.symbol} too"
    both_adjusted = best.alone.report.adjusted == other.alone.report.adjusted
    alike = both_adjusted and list(best.alone.frame) == list(other.alone.frame)
    common = one.index.intersection(two.index)
    if one.empty or two.empty:
        return merged, _problem(
            "superseded", f"{names}, without a close that could be compared", merged, other
        )
    difference = _difference(one[common], two[common])
    if difference:
        message = f"{names}, and its close disagrees with that of {merged.file}: {difference}"
        return merged, _problem("conflict", message, merged, other)
    new = two.index.difference(one.index)
    if not alike and len(common) == 0:
        message = f"{names} on other days, but with other columns or another adjustment than {merged.file}"
        return merged, _problem("conflict", message, merged, other)
    if not alike:
        lacks = "has no adjusted close" if not both_adjusted else "has fewer columns"
        left = f"; its {len(new)} further days are not used" if len(new) else ""
        remedy = _LONGER if len(new) else _NOTHING
        message = f"{names} with the same closes as {merged.file}, but {lacks}{left}"
        return merged, _problem("superseded", message, merged, other, remedy)
    if not len(new):
        return merged, _problem("duplicate", f"{names} with the same closes as {merged.file}", merged, other)
    jump = _worst_seam(one, two[new])
    if jump:
        message = f"{names} on other days, but the price jumps where it meets {merged.file}: {jump}"
        return merged, _problem("conflict", message, merged, other)
    return _extended(merged, other.raw, new), None


def _problem(
    kind: ProblemKind, message: str, merged: RawPrices, other: _Claim, remedy: str | None = None
) -> Problem:
    remedy = remedy or (_REMEDY if kind == "conflict" else _NOTHING)
    text = f"{message}. {merged.file} is used. {remedy}"
    return Problem(kind, text, merged.symbol, other.raw.file, remedy=remedy)


def _closes(raw: RawPrices, best: _Claim, other: _Claim) -> pd.Series:
    """Return the comparable closes by date: adjusted ones if both files have them."""
    both = best.alone.report.adjusted and other.alone.report.adjusted
    name = "adj_close" if both else "close"
    if name not in raw.rows:
        return pd.Series(dtype="float64", index=pd.DatetimeIndex([]))
    series = raw.rows.set_index("date")[name]
    series = series[np.isfinite(series) & (series > 0)]
    closes: pd.Series = series[~series.index.duplicated()].sort_index()
    return closes


def _difference(one: pd.Series, two: pd.Series) -> str:
    """Describe how two series of closes differ beyond their rounding; empty if they agree."""
    left, right = one.to_numpy(), two.to_numpy()
    allowed = 1e-6 * left + _resolution(left) + _resolution(right)
    wrong = np.abs(left - right) > allowed
    if not wrong.any():
        return ""
    at = int(np.argmax(wrong))
    place = f"on {int(wrong.sum())} of {len(left)} common days, first {one.index[at].date()}: "
    place += f"{right[at]:g} against {left[at]:g}"
    ratio = right / left
    factor = float(np.median(ratio))
    if abs(factor - 1) > 1e-3 and np.all(np.abs(ratio / factor - 1) < 1e-3):
        return f"{place}, always by the factor {factor:.6g} (another unit, or a split that one of them lacks)"
    return place


def _resolution(values: Floats) -> float:
    """Return half a unit of the last decimal place that the values use."""
    for decimals in range(7):
        if np.all(np.abs(values - np.round(values, decimals)) < 1e-9 * np.maximum(1, np.abs(values))):
            return float(0.51 * 10.0**-decimals) if decimals else 1e-9
    return 0.0


def _worst_seam(one: pd.Series, new: pd.Series) -> str:
    """Describe the largest jump between neighboring days of different files, if it is beyond belief."""
    joined = pd.concat([one, new]).sort_index()
    origin = joined.index.isin(new.index)
    ratio = np.abs(np.log(joined.to_numpy()[1:] / joined.to_numpy()[:-1])) * (origin[1:] != origin[:-1])
    at = int(np.argmax(ratio))
    if ratio[at] <= math.log(_SEAM):
        return ""
    before, after = joined.index[at].date(), joined.index[at + 1].date()
    return f"{joined.iloc[at]:g} on {before}, {joined.iloc[at + 1]:g} on {after}"


def _extended(merged: RawPrices, other: RawPrices, new: pd.Index) -> RawPrices:
    """Add a file's rows of new days; its other rows are set aside, so that every row keeps its fate."""
    is_new = other.rows["date"].isin(new)
    aside = {reason: tuple(rows) for reason, rows in merged.set_aside.items()}
    repeated = {"same day in the preferred file": tuple(int(row) for row in other.rows["row"][~is_new])}
    for reason, rows in {**other.set_aside, **{key: rows for key, rows in repeated.items() if rows}}.items():
        aside[reason] = aside.get(reason, ()) + tuple(rows)
    return replace(
        merged,
        file=f"{merged.file} + {other.file}",
        rows=pd.concat([merged.rows, other.rows[is_new]], ignore_index=True),
        set_aside=aside,
        notes=(*merged.notes, f"{int(is_new.sum())} rows from {other.file}"),
    )
