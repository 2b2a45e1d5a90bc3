"""Gates on price histories: schema, accounting, sufficiency, scale."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection

import numpy as np

from ml_assets.gates.core import GateResult
from ml_assets.prices.history import PriceHistory
from ml_assets.prices.schema import schema_violations

__all__ = ["accounting_gate", "scale_gate", "schema_gate", "sufficiency_gate"]

_LOST = ("no close", "no adjusted close", "close outside of high and low")
"""Reasons that speak of bad prices (a repeated or an empty row loses nothing)."""


def schema_gate(history: PriceHistory, *, today: dt.date) -> GateResult:
    """Check that prices are finite, positive, unique and in order, lie within their bars and not in the
    future.

    Parameters
    ----------
    history : PriceHistory
        What is about to be published.
    today : datetime.date
        The last day that may occur.
    """
    frame = history.frame
    cells = int(frame.size + len(frame))
    broken = schema_violations(frame, today)
    figures = _span(history) | {"violations": sum(violation.count for violation in broken)}
    if not len(frame):
        return GateResult(
            "schema", False, f"{history.symbol}: there are no rows; give its prices.", 0, figures
        )
    if broken:
        parts = [
            f"{item.column} on {item.date or 'all days'} is {item.found}, but must be {item.rule} "
            f"({item.count} places)"
            for item in broken
        ]
        message = (
            f"{history.symbol}: {'; '.join(parts)}. Clean the prices again, or correct them at their source."
        )
        return GateResult("schema", False, message, cells, figures)
    message = f"{history.symbol}: {len(frame)} rows x {frame.shape[1]} columns keep every rule up to {today}"
    return GateResult("schema", True, message, cells, figures)


def accounting_gate(history: PriceHistory, *, max_lost: float = 0.1) -> GateResult:
    """Check that every row that was read has a fate, and that not too many were bad.

    Parameters
    ----------
    history : PriceHistory
        What is about to be published.
    max_lost : float
        Largest share of the rows that may have been dropped for bad prices.
    """
    report = history.report
    lost = sum(tally.count for reason, tally in report.dropped.items() if reason in _LOST)
    share = lost / report.rows_read if report.rows_read else 0.0
    figures: dict[str, float | int | str] = {
        "rows_read": report.rows_read,
        "rows_kept": report.kept,
        "rows_dropped": report.rows_dropped,
        "rows_repaired": sum(tally.count for tally in report.repaired.values()),
        "rows_flagged": sum(tally.count for tally in report.flagged.values()),
        "lost_share": share,
    }
    if not report.adds_up:
        message = (
            f"{history.symbol}: {report.rows_read} rows were read, but {report.kept} kept and "
            f"{report.rows_dropped} dropped make {report.kept + report.rows_dropped}; a row without a fate "
            "is a fault of the cleaning, report it."
        )
        return GateResult("accounting", False, message, report.rows_read, figures)
    if report.kept != len(history):
        message = (
            f"{history.symbol}: the report says {report.kept} rows, the history has {len(history)}; it was "
            "changed after its cleaning: load it again."
        )
        return GateResult("accounting", False, message, report.rows_read, figures)
    if share > max_lost or not report.rows_read:
        message = (
            f"{history.symbol}: {lost} of {report.rows_read} rows had no credible close ({share:.1%}, at "
            f"most {max_lost:.1%} may). {report.summary()}. Get the prices from another source."
        )
        return GateResult("accounting", False, message, report.rows_read, figures)
    return GateResult("accounting", True, f"{history.symbol}: {report.summary()}", report.rows_read, figures)


def sufficiency_gate(history: PriceHistory, *, minimum: int = 1000) -> GateResult:
    """Check that the history is long enough to learn from.

    Parameters
    ----------
    history : PriceHistory
        What is about to be published.
    minimum : int
        Smallest number of days.
    """
    rows, figures = len(history), _span(history) | {"minimum": minimum}
    if rows < minimum:
        message = (
            f"{history.symbol}: {rows} days ({figures['first']} to {figures['last']}), but {minimum} are "
            "needed; give a longer history, or lower the minimum in the settings."
        )
        return GateResult("sufficiency", False, message, 1, figures)
    return GateResult("sufficiency", rows > 0, f"{history.symbol}: {rows} days, {minimum} needed", 1, figures)


def scale_gate(
    history: PriceHistory, *, max_ratio: float = 3.0, accepted: Collection[str] = ()
) -> GateResult:
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
    close, days = history.frame["close"].to_numpy(), history.dates
    ratio = close[1:] / close[:-1]
    known = np.isin(days[1:].to_numpy().astype("datetime64[D]").astype(str), list(accepted))
    jumps = np.flatnonzero((np.abs(np.log(ratio)) > np.log(max_ratio)) & ~known) + 1
    worst = float(np.exp(np.abs(np.log(ratio)).max())) if len(ratio) else 1.0
    figures: dict[str, float | int | str] = {
        "jumps": len(jumps),
        "largest_ratio": worst,
        "max_ratio": max_ratio,
    }
    if len(jumps):
        at = int(jumps[0])
        message = (
            f"{history.symbol}: the close goes from {close[at - 1]:g} on {days[at - 1].date()} to "
            f"{close[at]:g} on {days[at].date()}, by a factor of {close[at] / close[at - 1]:.4g} "
            f"({len(jumps)} such jumps); a split was not applied or the unit changes. Use adjusted prices, "
            "or accept the date if the move is real."
        )
        return GateResult("scale", False, message, len(ratio), figures)
    if not len(ratio):
        return GateResult(
            "scale", False, f"{history.symbol}: no two days to compare; give its prices.", 0, figures
        )
    message = f"{history.symbol}: no move above {max_ratio:g}x in {len(ratio)} days (largest {worst:.3g}x)"
    return GateResult("scale", True, message, len(ratio), figures)


def _span(history: PriceHistory) -> dict[str, float | int | str]:
    if not len(history):
        return {"rows": 0, "first": "", "last": ""}
    first, last = history.dates[0], history.dates[-1]
    return {"rows": len(history), "first": str(first.date()), "last": str(last.date())}
