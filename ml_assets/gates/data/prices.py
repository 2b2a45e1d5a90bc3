"""Gates on price histories: schema, accounting, sufficiency, scale."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from ml_assets.gates._verdict import Tally, Violation, require, verdict
from ml_assets.gates.core import Gate, GateResult
from ml_assets.prices.history import PriceHistory
from ml_assets.prices.schema import schema_violations

__all__ = ["PRICE_GATES", "PriceEvidence", "accounting", "scale", "schema", "sufficiency"]

_LOST = ("no close", "no adjusted close", "close outside of high and low")
"""Reasons that speak of bad prices (a repeated or an empty row loses nothing)."""


def schema(history: PriceHistory, *, today: dt.date) -> GateResult:
    """Check that prices are finite, positive, unique and in order, lie within their bars and not in the
    future.

    Parameters
    ----------
    history : PriceHistory
        What is about to be published.
    today : datetime.date
        The last day that may occur.
    """

    def inspect(tally: Tally) -> str:
        frame = history.frame
        broken = schema_violations(frame, today)
        tally.checked = int(frame.size + len(frame))
        tally.figures |= _span(history) | {"violations": sum(violation.count for violation in broken)}
        require(len(frame) > 0, f"{history.symbol}: there are no rows; give its prices.")
        parts = [
            f"{item.column} on {item.date or 'all days'} is {item.found}, but must be {item.rule} "
            f"({item.count} places)"
            for item in broken
        ]
        require(
            not broken,
            f"{history.symbol}: {'; '.join(parts)}. Clean the prices again, or correct them at their source.",
        )
        return f"{history.symbol}: {len(frame)} rows x {frame.shape[1]} columns keep every rule up to {today}"

    return verdict("schema", inspect)


def accounting(history: PriceHistory, *, max_lost: float = 0.1) -> GateResult:
    """Check that every row that was read has a fate, and that not too many were bad.

    Parameters
    ----------
    history : PriceHistory
        What is about to be published.
    max_lost : float
        Largest share of the rows that may have been dropped for bad prices.
    """

    def inspect(tally: Tally) -> str:
        report, symbol = history.report, history.symbol
        lost = sum(rows.count for reason, rows in report.dropped.items() if reason in _LOST)
        share = lost / report.rows_read if report.rows_read else 0.0
        tally.checked = report.rows_read
        tally.figures |= {
            "rows_read": report.rows_read,
            "rows_kept": report.kept,
            "rows_dropped": report.rows_dropped,
            "rows_repaired": sum(rows.count for rows in report.repaired.values()),
            "rows_flagged": sum(rows.count for rows in report.flagged.values()),
            "lost_share": share,
        }
        require(
            report.adds_up,
            f"{symbol}: {report.rows_read} rows were read, but {report.kept} kept and {report.rows_dropped} "
            f"dropped make {report.kept + report.rows_dropped}; a row without a fate is a fault of the "
            "cleaning, report it.",
        )
        require(
            report.kept == len(history),
            f"{symbol}: the report says {report.kept} rows, the history has {len(history)}; it was changed "
            "after its cleaning: load it again.",
        )
        require(
            share <= max_lost and report.rows_read > 0,
            f"{symbol}: {lost} of {report.rows_read} rows had no credible close ({share:.1%}, at most "
            f"{max_lost:.1%} may). {report.summary()}. Get the prices from another source.",
        )
        return f"{symbol}: {report.summary()}"

    return verdict("accounting", inspect)


def sufficiency(history: PriceHistory, *, minimum: int = 1000) -> GateResult:
    """Check that the history is long enough to learn from.

    Parameters
    ----------
    history : PriceHistory
        What is about to be published.
    minimum : int
        Smallest number of days.
    """

    def inspect(tally: Tally) -> str:
        rows, span = len(history), _span(history)
        tally.checked = min(rows, 1)
        tally.figures |= span | {"minimum": minimum}
        require(
            rows >= minimum,
            f"{history.symbol}: {rows} days ({span['first']} to {span['last']}), but {minimum} are "
            "needed; give a longer history, or lower the minimum in the settings.",
        )
        return f"{history.symbol}: {rows} days, {minimum} needed"

    return verdict("sufficiency", inspect)


def scale(history: PriceHistory, *, max_ratio: float = 3.0, accepted: Collection[str] = ()) -> GateResult:
    """Check that the price does not change its unit on the way: a split not applied, pence for pounds.

    Such jumps are permanent, so no rule on single rows finds them, and a model would learn them as returns.
    The limit is far above what stocks do in a day (-48.9 % is real), so 2-for-1 splits pass: they cannot be
    told from real moves without an adjusted close, and are flagged in the report instead.

    Parameters
    ----------
    history : PriceHistory
        What is about to be published.
    max_ratio : float
        Largest close / previous close, and inverse of the smallest.
    accepted : collection of str
        Dates (ISO) on which a larger move is known to be real.
    """

    def inspect(tally: Tally) -> str:
        close, days = history.frame["close"].to_numpy(), history.dates
        ratio = close[1:] / close[:-1]
        known = np.isin(days[1:].to_numpy().astype("datetime64[D]").astype(str), list(accepted))
        jumps = np.flatnonzero((np.abs(np.log(ratio)) > np.log(max_ratio)) & ~known) + 1
        worst = float(np.exp(np.abs(np.log(ratio)).max())) if len(ratio) else 1.0
        tally.checked = len(ratio)
        tally.figures |= {"jumps": len(jumps), "largest_ratio": worst, "max_ratio": max_ratio}
        require(len(ratio) > 0, f"{history.symbol}: no two days to compare; give its prices.")
        if len(jumps):
            at = int(jumps[0])
            raise Violation(
                f"{history.symbol}: the close goes from {close[at - 1]:g} on {days[at - 1].date()} to "
                f"{close[at]:g} on {days[at].date()}, by a factor of {close[at] / close[at - 1]:.4g} "
                f"({len(jumps)} such jumps); a split was not applied or the unit changes. Use adjusted "
                "prices, or accept the date if the move is real."
            )
        return f"{history.symbol}: no move above {max_ratio:g}x in {len(ratio)} days (largest {worst:.3g}x)"

    return verdict("scale", inspect)


def _span(history: PriceHistory) -> dict[str, float | int | str]:
    if not len(history):
        return {"rows": 0, "first": "", "last": ""}
    first, last = history.dates[0], history.dates[-1]
    return {"rows": len(history), "first": str(first.date()), "last": str(last.date())}


@dataclass(frozen=True)
class PriceEvidence:
    """What prices are judged by.

    Parameters
    ----------
    today : datetime.date
        The last day that may occur.
    minimum : int
        Smallest number of days.
    accepted : collection of str
        Dates (ISO) on which a large move is known to be real.
    """

    today: dt.date
    minimum: int
    accepted: Collection[str] = ()


PRICE_GATES: tuple[Gate[PriceHistory, PriceEvidence], ...] = (
    Gate(
        "schema",
        "Finite positive prices, strictly increasing dates, none in the future.",
        lambda p, e: schema(p, today=e.today),
    ),
    Gate(
        "accounting",
        "Every row read was kept or dropped for a stated reason.",
        lambda p, _: accounting(p),
    ),
    Gate(
        "scale",
        "No change of unit on the way: a split not applied, pence for pounds.",
        lambda p, e: scale(p, accepted=e.accepted),
    ),
    Gate(
        "sufficiency",
        "Enough days to train and to keep a sealed test span.",
        lambda p, e: sufficiency(p, minimum=e.minimum),
    ),
)
"""Gates of ``raw_prices``."""
