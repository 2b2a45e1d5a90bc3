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
    problems: list[Problem] = []

    def clean(raw: RawPrices, rules: CleaningRules) -> PriceHistory | None:
        try:
            return clean_prices(raw, rules, today=today)
        except PriceFileError as error:
            problems.append(Problem.from_error(error))
            return None

    if len(claims) == 1:
        history = clean(claims[0], rules)
        return Settled(history, tuple(problems))
    lenient = replace(rules, minimum_rows=1)
    usable = [(raw, alone) for raw in claims if (alone := clean(raw, lenient)) is not None]
    if not usable:
        return Settled(None, tuple(problems))
    (merged, best), *others = sorted(usable, key=_rank)
    for raw, alone in others:
        joined = _join(merged, best, raw, alone)
        if isinstance(joined, Problem):
            problems.append(joined)
        else:
            merged = joined
    history = clean(merged, rules)
    return Settled(history, tuple(problems))


def _rank(claim: tuple[RawPrices, PriceHistory]) -> tuple[bool, int, int, int, str]:
    """Order of preference: adjusted close, number of columns, number of days, last day, file name."""
    raw, alone = claim
    last = int(alone.dates[-1].value)
    return not alone.report.adjusted, -len(alone.frame.columns), -len(alone), -last, raw.file


def _join(
    merged: RawPrices, best: PriceHistory, other: RawPrices, alone: PriceHistory
) -> RawPrices | Problem:
    """Add a file to what is there, or say why not; ``alone`` is the history that it gives by itself."""

    def unused(kind: ProblemKind, why: str, remedy: str = _NOTHING) -> Problem:
        text = f"{other.file} gives {merged.symbol} too{why}. {merged.file} is used. {remedy}"
        return Problem(kind, text, merged.symbol, other.file, remedy=remedy)

    name = "adj_close" if best.report.adjusted and alone.report.adjusted else "close"
    one, two = _closes(merged, name), _closes(other, name)
    if one.empty or two.empty:
        return unused("superseded", ", without a close that could be compared")
    common, new = one.index.intersection(two.index), two.index.difference(one.index)
    difference = _difference(one[common], two[common])
    if difference:
        why = f", and its close disagrees with that of {merged.file}: {difference}"
        return unused("conflict", why, _REMEDY)
    as_adjusted = best.report.adjusted == alone.report.adjusted
    if not as_adjusted or list(best.frame) != list(alone.frame):
        if not len(common):
            why = f" on other days, but with other columns or another adjustment than {merged.file}"
            return unused("conflict", why, _REMEDY)
        lacks = "has fewer columns" if as_adjusted else "has no adjusted close"
        why = f" with the same closes as {merged.file}, but {lacks}"
        if len(new):
            return unused("superseded", f"{why}; its {len(new)} further days are not used", _LONGER)
        return unused("superseded", why)
    if not len(new):
        return unused("duplicate", f" with the same closes as {merged.file}")
    jump = _worst_seam(one, two[new])
    if jump:
        why = f" on other days, but the price jumps where it meets {merged.file}: {jump}"
        return unused("conflict", why, _REMEDY)
    return _extended(merged, other, new)


def _closes(raw: RawPrices, name: str) -> pd.Series:
    """Return the finite and positive closes by date, the first of each."""
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
    repeated = tuple(int(row) for row in other.rows["row"][~is_new])
    aside = dict(merged.set_aside)
    for reason, rows in (*other.set_aside.items(), ("same day in the preferred file", repeated)):
        if rows:
            aside[reason] = (*aside.get(reason, ()), *rows)
    return replace(
        merged,
        file=f"{merged.file} + {other.file}",
        rows=pd.concat([merged.rows, other.rows[is_new]], ignore_index=True),
        set_aside=aside,
        notes=(*merged.notes, f"{int(is_new.sum())} rows from {other.file}"),
    )
