"""Gates on option chains: what quotes must show before anyone prices or forecasts with them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml_assets.chains import OptionChains
from ml_assets.chains.cleaning import KEY
from ml_assets.chains.parity import EXPIRY_KEY
from ml_assets.gates._verdict import Tally, Violation, require, verdict
from ml_assets.gates.core import GateResult

__all__ = [
    "QuoteLimits",
    "accounting",
    "no_arbitrage",
    "no_future",
    "parity",
    "schema",
]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class QuoteLimits:
    """What each gate demands.

    Parameters
    ----------
    parity_share : float
        Least share of the expiries with enough pairs whose line is credible and whose residual is smaller
        than the half-spreads of its pairs.
    arbitrage_share : float
        Largest share of neighboring strikes at which buying at the ask and selling at the bid would be an
        arbitrage: a few are quotes of different instants.
    """

    parity_share: float = 0.75
    arbitrage_share: float = 0.02


_THIN = ("no strike has both a call and a put", "too few pairs, and no rate to borrow")
"""Refusals that speak of few quotes, not of bad ones."""


def schema(chains: OptionChains) -> GateResult:
    """Check that every quote has two sides, a positive strike, life left, and occurs once, in order."""

    def inspect(tally: Tally) -> str:
        quotes = chains.quotes
        require(len(quotes) > 0, "there are no quotes; give chains with bids and asks")
        bid, ask, strike = (quotes[name].to_numpy() for name in ("bid", "ask", "strike"))
        rules = {
            "a finite positive bid": np.isfinite(bid) & (bid > 0),
            "an ask above its bid": np.isfinite(ask) & (ask > bid),
            "a finite positive strike": np.isfinite(strike) & (strike > 0),
            "an expiry after its day": (quotes["expiry"] > quotes["date"]).to_numpy(),
            "a key of its own": ~quotes.duplicated(list(KEY)).to_numpy(),
        }
        for rule, holds in rules.items():
            tally.checked += len(holds)
            if not holds.all():
                raise Violation(f"{_shown(quotes, ~holds)} has not {rule} ({(~holds).sum():,} quotes)")
        ordered = quotes[list(KEY)].sort_values(list(KEY), kind="stable").index
        require(bool((ordered == quotes.index).all()), "the quotes are not in the order of their keys")
        return f"{len(quotes):,} quotes of {len(chains.days)} days keep every rule"

    return verdict("schema", inspect)


def accounting(chains: OptionChains) -> GateResult:
    """Check that every row was kept or dropped, and every expiry fitted or refused, each for a reason."""

    def inspect(tally: Tally) -> str:
        report = chains.report
        tally.checked = report.rows_read
        tally.figures |= {"rows_read": report.rows_read, "rows_kept": report.kept}
        tally.figures |= {f"dropped: {reason}": t.count for reason, t in report.dropped.items()}
        tally.figures |= {f"expiry refused: {reason}": n for reason, n in chains.refusals.items()}
        require(
            report.adds_up,
            f"{report.rows_read:,} rows were read, but {report.kept:,} kept and {report.rows_dropped:,} "
            f"dropped make {report.kept + report.rows_dropped:,}: a row has no fate, a fault of the cleaning",
        )
        require(
            report.kept == len(chains.quotes),
            f"the report says {report.kept:,} quotes, there are {len(chains.quotes):,}: load them again",
        )
        key = list(EXPIRY_KEY)
        expiries = len(chains.quotes[key].drop_duplicates())
        told = pd.concat([chains.forwards[key], chains.refused[key]])
        tally.checked += expiries
        require(
            len(told.drop_duplicates()) == len(told) == expiries,
            f"{expiries:,} expiries are quoted, but {len(chains.forwards):,} have a forward and "
            f"{len(chains.refused):,} are refused: load the quotes again",
        )
        return f"{report.summary()}; {len(chains.forwards):,} of {expiries:,} expiries have a forward"

    return verdict("accounting", inspect)


def parity(chains: OptionChains, limits: QuoteLimits | None = None) -> GateResult:
    """Check the forwards against the quotes themselves: calls less puts on the line, within the spread.

    The residuals are computed anew from calls and puts within 8 % of the forward; the expiries counted are
    those with pairs to judge by.
    """
    share = (limits or QuoteLimits()).parity_share

    def inspect(tally: Tally) -> str:
        judged = _parity_by_expiry(chains)
        bad = chains.refused[~chains.refused["reason"].isin(_THIN)]
        good = judged["residual"] <= judged["half"]
        tally.checked = len(judged) + len(bad)
        require(tally.checked > 0, "no expiry has both calls and puts; give chains that hold both")
        found = float(good.sum()) / tally.checked
        tally.figures |= {
            "expiries": len(judged),
            "refused": len(bad),
            "within_spread": found,
            "median_residual": float(judged["residual"].median()) if len(judged) else 0.0,
            "median_half_spread": float(judged["half"].median()) if len(judged) else 0.0,
        }
        summary = (
            f"calls less puts of {tally.checked:,} expiries lie on a line within the spread in {found:.1%}"
        )
        if found >= share:
            return summary
        worst = _worst_parity(judged, bad)
        raise Violation(
            f"{summary}, {share:.0%} needed; {worst}. Call and put quotes that break parity are not of one "
            f"moment or not of a market: correct or replace the files"
        )

    return verdict("parity", inspect)


def _parity_by_expiry(chains: OptionChains) -> pd.DataFrame:
    """Root mean square residual and median half-spreads of each expiry's pairs near the money."""
    key = [*EXPIRY_KEY, "strike"]
    columns = [*EXPIRY_KEY, "forward", "discount"]
    quotes = chains.quotes.merge(chains.forwards[columns], on=list(EXPIRY_KEY))
    quotes = quotes[np.abs(quotes["strike"] / quotes["forward"] - 1.0) < 0.08]
    sign = np.where(quotes["call"], 1.0, -1.0)
    legs = quotes.assign(
        paid=sign * 0.5 * (quotes["bid"] + quotes["ask"]), half=0.5 * (quotes["ask"] - quotes["bid"]), legs=1
    )
    pairs = legs.groupby(key, sort=False).agg(
        paid=("paid", "sum"), half=("half", "sum"), legs=("legs", "sum"), forward=("forward", "first"),
        discount=("discount", "first"),
    )  # fmt: skip
    pairs = pairs[pairs["legs"] == 2].reset_index()
    square = (pairs["paid"] - pairs["discount"] * (pairs["forward"] - pairs["strike"])) ** 2
    groups = pairs.assign(square=square).groupby(list(EXPIRY_KEY), sort=False)
    # The median square: one bad quote among many does not condemn an expiry that was fitted without it.
    table: pd.DataFrame = groups.agg(square=("square", "median"), half=("half", "median")).reset_index()
    return table.assign(residual=np.sqrt(table["square"]))


def _worst_parity(judged: pd.DataFrame, bad: pd.DataFrame) -> str:
    if len(bad):
        row = bad.iloc[0].to_dict()
        return f"{_expiry(row)}: {row['reason']} ({row['value']:.4g}; {len(bad):,} such expiries)"
    place = int(np.argmax(judged["residual"].to_numpy() / judged["half"].to_numpy()))
    row = judged.iloc[place].to_dict()
    return f"{_expiry(row)}: residual {row['residual']:.4g}, half-spreads {row['half']:.4g}"


def _expiry(row: Mapping[Hashable, Any]) -> str:
    return f"{row['underlying']} {row['date'].date()}, expiry {row['expiry'].date()}"


def no_arbitrage(chains: OptionChains, limits: QuoteLimits | None = None) -> GateResult:
    """Check that neighboring strikes leave no arbitrage to one who buys at the ask and sells at the bid.

    Calls fall and puts rise in the strike, by no more than the strikes' distance; both are convex. What the
    spread allows is no violation.
    """
    most = (limits or QuoteLimits()).arbitrage_share

    def inspect(tally: Tally) -> str:
        found, first = 0, ""
        for name, (gain, rows) in _arbitrages(chains.quotes).items():
            tally.checked += gain.size
            broken = gain > 1e-9
            found += int(broken.sum())
            tally.figures[name] = int(broken.sum())
            if broken.any() and not first:
                at = int(np.argmax(np.where(broken, gain, 0.0)))
                first = f"{name}: {_option(rows.iloc[at])} and its neighbor give {gain[at]:.4g} for nothing"
        share = found / max(tally.checked, 1)
        tally.figures["share"] = share
        summary = f"{found:,} of {tally.checked:,} neighboring strikes leave an arbitrage ({share:.2%})"
        require(share <= most, f"{summary}, at most {most:.0%} may; {first}. Correct or replace the quotes")
        return summary

    return verdict("no_arbitrage", inspect)


def _arbitrages(quotes: pd.DataFrame) -> dict[str, tuple[Floats, pd.DataFrame]]:
    """Riskless gain of each comparison (positive is a violation), with the row that it starts from."""
    rows = quotes.sort_values([*EXPIRY_KEY, "call", "strike"], kind="stable", ignore_index=True)
    ladder = rows.groupby([*EXPIRY_KEY, "call"], sort=False).ngroup().to_numpy()
    bid, ask, strike, call = (rows[name].to_numpy() for name in ("bid", "ask", "strike", "call"))
    two = np.flatnonzero(ladder[:-1] == ladder[1:])
    step = strike[two + 1] - strike[two]
    lower_pays, upper_pays = bid[two + 1] - ask[two], bid[two] - ask[two + 1]
    three = two[:-1][np.diff(two) == 1]
    left, right = strike[three + 1] - strike[three], strike[three + 2] - strike[three + 1]
    wings = (right * ask[three] + left * ask[three + 2]) / (left + right)
    return {
        "not monotone": (np.where(call[two], lower_pays, upper_pays), rows.iloc[two]),
        "too steep": (np.where(call[two], upper_pays, lower_pays) - step, rows.iloc[two]),
        "not convex": (bid[three + 1] - wings, rows.iloc[three]),
    }


def no_future(chains: OptionChains, *, today: dt.date) -> GateResult:
    """Check that no quote is of a day to come."""

    def inspect(tally: Tally) -> str:
        tally.checked = len(chains.quotes)
        require(tally.checked > 0, "there are no quotes")
        late = chains.quotes["date"].to_numpy() > np.datetime64(today)
        if late.any():
            raise Violation(
                f"{_shown(chains.quotes, late)} is quoted after today, {today} ({late.sum():,} quotes): day "
                f"and month may be exchanged, give LayoutHint(date_format=...) in layout_hints.json"
            )
        return f"the last of {len(chains.days)} days is {chains.days.max().date()}, today is {today}"

    return verdict("no_future", inspect)


def _shown(quotes: pd.DataFrame, broken: npt.NDArray[np.bool_]) -> str:
    """The first offending option in words."""
    return _option(quotes.iloc[int(np.argmax(broken))])


def _option(row: pd.Series) -> str:
    kind = "call" if row["call"] else "put"
    return (
        f"{row['underlying']} {row['date'].date()}, {kind} {row['strike']:g} of {row['expiry'].date()}, bid "
        f"{row['bid']:g}, ask {row['ask']:g}"
    )
