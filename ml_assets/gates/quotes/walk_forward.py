"""Gates on the walk forward over option chains: nothing ahead seen, nothing left out, nothing miscounted."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml_assets.chains import OptionChains, implied_volatility
from ml_assets.chains.cleaning import KEY
from ml_assets.chains.figures import EXPIRY_EDGES, MONEYNESS_EDGES
from ml_assets.chains.forecasts import LAST_PRICE, MODELS, forecast_walk
from ml_assets.chains.panel import OPTION_KEY, WalkRules, contract_terms
from ml_assets.chains.parity import EXPIRY_KEY
from ml_assets.chains.smile import COEFFICIENTS
from ml_assets.chains.walk_forward import OptionWalkForward, Versions
from ml_assets.gates._verdict import Tally, Violation, require, verdict
from ml_assets.gates.core import GateResult
from ml_assets.gates.options.european import PinnThresholds
from ml_assets.pinn import black_scholes

__all__ = [
    "certified_versions",
    "every_day_scored",
    "figures_recomputed",
    "no_look_ahead",
]

Floats = npt.NDArray[np.float64]
Forecaster = Callable[[OptionChains], pd.DataFrame]

_LEAST_DAYS = 30


def no_look_ahead(
    walk: OptionWalkForward,
    chains: OptionChains,
    forecast: Forecaster = forecast_walk,
    *,
    cuts: int = 3,
    seed: int = 0,
) -> GateResult:
    """Forecast again on chains whose future is redrawn: the forecasts of the day after a cut must not change.

    All bids and asks after day t are redrawn, those of day t + 1 among them, and all forwards and discount
    factors after day t + 1. Of day t + 1 stay only its forwards, discount factors and which options are
    quoted: what a forecast is given. The reported forecasts must come out to the last bits.

    Parameters
    ----------
    walk : OptionWalkForward
    chains : OptionChains
    forecast : callable
        How the walk was forecast.
    cuts : int
        Days t + 1 looked at, spread from the first to the last; the following ones are recomputed too.
    seed : int
        Of the noise.
    """

    def inspect(tally: Tally) -> str:
        days = np.sort(walk.forecasts["date"].unique())
        require(len(days) > 0, "there are no forecasts")
        chosen = days[np.unique(np.linspace(0, len(days) - 1, cuts).astype(int))]
        for number, day in enumerate(chosen):
            redrawn = _redraw_future(chains, day, np.random.default_rng((seed, number)))
            again = forecast(redrawn)
            _same_forecasts(walk.forecasts[walk.forecasts["date"] == day], again[again["date"] == day], tally)
        tally.figures["days"] = len(chosen)
        return f"forecasts of {len(chosen)} days stay when their own quotes and all later ones are redrawn"

    return verdict("no_look_ahead", inspect)


def _redraw_future(chains: OptionChains, day: np.datetime64, noise: np.random.Generator) -> OptionChains:
    """Chains up to two days after the day, with the quotes from it on and all later forwards redrawn."""
    later = chains.days.to_numpy()
    last = later[later >= day][:3].max()
    quotes = chains.quotes[chains.quotes["date"] <= last].reset_index(drop=True)
    changed = (quotes["date"] >= day).to_numpy()
    factor = np.where(changed, np.exp(0.2 * noise.standard_normal(len(quotes))), 1.0)
    quotes = quotes.assign(bid=quotes["bid"] * factor, ask=quotes["ask"] * factor)
    forwards = chains.forwards[chains.forwards["date"] <= last].reset_index(drop=True)
    moved = (forwards["date"] > day).to_numpy()
    shift = np.where(moved, np.exp(0.02 * noise.standard_normal(len(forwards))), 1.0)
    forwards = forwards.assign(
        forward=forwards["forward"] * shift, discount=forwards["discount"] / np.sqrt(shift)
    )
    return OptionChains(quotes, forwards, chains.refused, chains.report, chains.simulated)


def _same_forecasts(reported: pd.DataFrame, again: pd.DataFrame, tally: Tally) -> None:
    both = reported.merge(again, on=list(KEY), how="outer", suffixes=("", "_again"), indicator=True)
    lost = both[both["_merge"] != "both"]
    if len(lost):
        raise Violation(
            f"{_option(lost.iloc[0])}: forecast {'only' if lost['_merge'].iloc[0] == 'left_only' else 'not'} "
            f"with the true future ({len(lost):,} options)"
        )
    for name in (*MODELS, *COEFFICIENTS):
        first, second = both[name].to_numpy(), both[f"{name}_again"].to_numpy()
        tally.checked += len(both)
        differs = ~np.isclose(first, second, rtol=1e-12, atol=0.0)
        if differs.any():
            at = int(np.argmax(differs))
            raise Violation(
                f"{_option(both.iloc[at])}: {name} is {first[at]:.12g}, but {second[at]:.12g} when the "
                f"future is redrawn ({differs.sum():,} of {len(both):,} options): the forecast has seen it"
            )


def every_day_scored(
    walk: OptionWalkForward, chains: OptionChains, rules: WalkRules | None = None
) -> GateResult:
    """Require a forecast for every option that the rules name on every day but the first, and for no other.

    Which those are is found here by joining each day with its next one, without the code of the walk.
    """
    rules = rules or WalkRules()

    def inspect(tally: Tally) -> str:
        expected = _expected(chains, rules)
        tally.checked = len(expected)
        tally.figures |= {"days": walk.days, "options": len(walk.forecasts)}
        found = walk.forecasts[list(KEY)]
        require(not found.duplicated().any(), "an option is forecast twice on a day")
        both = expected.merge(found, on=list(KEY), how="outer", indicator="where")
        missing, extra = both[both["where"] == "left_only"], both[both["where"] == "right_only"]
        if len(missing) or len(extra):
            rows = missing if len(missing) else extra
            raise Violation(
                f"{len(missing):,} options are missing and {len(extra):,} are beyond the rules; first "
                f"{_option(rows.iloc[0])}: every option of the rules must be scored, the hard ones too"
            )
        require(
            walk.days >= _LEAST_DAYS,
            f"{walk.days} days are scored, {_LEAST_DAYS} are needed to tell anything; give more days",
        )
        return f"all {len(expected):,} options of {walk.days} days scored once"

    return verdict("every_day_scored", inspect)


def _expected(chains: OptionChains, rules: WalkRules) -> pd.DataFrame:
    """Keys of the options that must be scored."""
    quotes = chains.quotes.merge(chains.forwards, on=list(EXPIRY_KEY))
    ratio = quotes["strike"] / quotes["forward"]
    days = quotes["tau"] * 365.0
    inside = (ratio > rules.low) & (ratio < rules.high) & (quotes["tau"] < rules.most_years)
    otm = ((ratio >= 1.0) & quotes["call"]) | ((ratio < 1.0) & ~quotes["call"])
    bound = quotes["discount"] * np.where(quotes["call"], quotes["forward"], quotes["strike"])
    priced = 0.5 * (quotes["bid"] + quotes["ask"]) < bound
    quotes = quotes[inside & otm & priced & (days > rules.shortest_days)]
    listed = quotes[["underlying", "date"]].drop_duplicates().sort_values(["underlying", "date"])
    listed["previous"] = listed.groupby("underlying")["date"].shift(1)
    today = quotes[quotes["tau"] * 365.0 > rules.least_days].merge(listed, on=["underlying", "date"])
    before = quotes[list(KEY)].rename(columns={"date": "previous"})
    return today.merge(before, on=["previous", *OPTION_KEY])[list(KEY)]


def figures_recomputed(walk: OptionWalkForward, chains: OptionChains) -> GateResult:
    """Compute every figure again from the stored volatilities and the quotes, priced by the closed form.

    So the report is right, and the network's prices are the closed form's within the limit that its own gate
    sets.
    """

    def inspect(tally: Tally) -> str:
        rows = walk.forecasts.merge(chains.quotes, on=list(KEY)).merge(chains.forwards, on=list(EXPIRY_KEY))
        require(
            len(rows) == len(walk.forecasts) > 0, "a forecast has no quote or no forward to be held against"
        )
        rows["mid"] = 0.5 * (rows["bid"] + rows["ask"])
        rows["quoted"] = _inverted(rows, rows["mid"].to_numpy())
        outcomes = {model: _outcome(rows, model) for model in MODELS}
        masks = _masks(rows)
        count = len(masks) * len(MODELS)
        require(len(walk.figures) == count, f"{len(walk.figures)} figures are reported, {count} there are")
        for figure in walk.figures.to_dict("records"):
            where = f"{figure['model']}, {figure['group']} {figure['bucket']}"
            mask = masks.get((str(figure["group"]), str(figure["bucket"])))
            if mask is None:
                raise Violation(f"{where} has no options")
            _within(figure, _recomputed(outcomes[str(figure["model"])][mask]), where, tally)
        return f"{tally.checked:,} figures equal those from the quotes and the closed form"

    return verdict("figures_recomputed", inspect)


def _within(
    reported: dict[Hashable, Any], again: dict[str, tuple[float, float]], where: str, tally: Tally
) -> None:
    """Require each reported figure within what was recomputed, rounding apart."""
    for name, (low, high) in again.items():
        tally.checked += 1
        slack = 1e-9 * max(1.0, abs(low))
        same = low - slack <= reported[name] <= high + slack or (np.isnan(low) and np.isnan(reported[name]))
        require(same, f"{where}: {name} {reported[name]!r} reported, {0.5 * (low + high)!r} recomputed")


def _outcome(rows: pd.DataFrame, model: str) -> pd.DataFrame:
    """Price, mid, bid and ask of each forecast, how far its volatility lies from the quoted one, and by how
    much the network's price may differ from the closed form's.
    """
    values = rows[model].to_numpy()
    price = values if model == LAST_PRICE else _closed_form(rows, values)
    sigma = _inverted(rows, values) if model == LAST_PRICE else values
    points = 100.0 * np.abs(sigma - rows["quoted"].to_numpy())
    off = 0.0 if model == LAST_PRICE else PinnThresholds().price * rows["strike"]
    return rows[["mid", "bid", "ask"]].assign(price=price, points=points, off=off)


def _closed_form(rows: pd.DataFrame, sigma: Floats) -> Floats:
    forward, strike, tau, discount, call = contract_terms(rows)
    kind = np.where(call, "call", "put")
    rate = -np.log(discount) / tau
    return black_scholes(forward * discount, strike, tau, rate, sigma, option_type=kind)["price"]


def _inverted(rows: pd.DataFrame, price: Floats) -> Floats:
    """Implied volatilities, accepted only if they give the prices back."""
    sigma = implied_volatility(price, *contract_terms(rows))
    known = np.isfinite(sigma)
    back = _closed_form(rows, np.where(known, sigma, 0.1))
    wrong = known & ~np.isclose(back, price, rtol=1e-9, atol=1e-9)
    if wrong.any():
        at = int(np.argmax(wrong))
        raise Violation(
            f"{_option(rows.iloc[at])}: volatility {sigma[at]!r} gives {back[at]!r} back, not {price[at]!r}"
        )
    return sigma


def _masks(rows: pd.DataFrame) -> dict[tuple[str, str], npt.NDArray[np.bool_]]:
    """Rows of each bucket, by group and name."""
    ratio, days = (rows["strike"] / rows["forward"]).to_numpy(), (rows["tau"] * 365.0).to_numpy()
    by_money = {f"{a:g}-{b:g}": (ratio >= a) & (ratio < b) for a, b in pairwise(MONEYNESS_EDGES)}
    by_expiry = {f"{a:g}-{b:g} d": (days >= a) & (days < b) for a, b in pairwise(EXPIRY_EDGES)}
    masks = {("all", "all"): np.ones(len(rows), dtype=bool)}
    masks |= {("moneyness", name): mask for name, mask in by_money.items()}
    masks |= {("expiry", name): mask for name, mask in by_expiry.items()}
    masks |= {
        ("moneyness and expiry", f"{m}, {e}"): by_money[m] & by_expiry[e] for m in by_money for e in by_expiry
    }
    for group, column in (("day", rows["date"].dt.strftime("%Y-%m-%d")), ("underlying", rows["underlying"])):
        masks |= {(group, str(value)): (column == value).to_numpy() for value in column.unique()}
    return {key: mask for key, mask in masks.items() if mask.any()}


def _recomputed(rows: pd.DataFrame) -> dict[str, tuple[float, float]]:
    """Least and greatest value of each figure if every price may be off by what the price gate allows.

    A mean and a root mean square move by no more than the prices do (the triangle inequality), and a price
    that close to bid or ask may lie on either side of it.
    """
    mid, price, points, bid, ask, off = (
        rows[name].to_numpy() for name in ("mid", "price", "points", "bid", "ask", "off")
    )
    n, worst = len(rows), float(off.max())
    error, known = price - mid, points[np.isfinite(points)]
    norm, total = float(np.linalg.norm(error)), float(((mid - mid.mean()) ** 2).sum())
    mae, rmse = float(np.abs(error).sum() / n), norm / np.sqrt(n)
    moved = (2.0 * norm * worst * np.sqrt(n) + n * worst**2) / total if total > 0 else np.nan
    r2 = 1.0 - norm**2 / total if total > 0 else np.nan
    vol_points = float(known.sum() / known.size) if known.size else np.nan
    surely = ((bid + off <= price) & (price <= ask - off)).mean()
    perhaps = ((bid - off <= price) & (price <= ask + off)).mean()
    return {
        "options": (float(n), float(n)),
        "mae": (mae - worst, mae + worst),
        "rmse": (rmse - worst, rmse + worst),
        "vol_points": (vol_points, vol_points),
        "r2": (r2 - moved, r2 + moved),
        "inside": (float(surely), float(perhaps)),
    }


def certified_versions(walk: OptionWalkForward, read: Versions) -> GateResult:
    """Require that the walk names the very versions of quotes and network that were read."""

    def inspect(tally: Tally) -> str:
        for what in ("quotes", "network"):
            tally.checked += 1
            reported, wanted = getattr(walk.versions, what), getattr(read, what)
            require(reported == wanted, f"the walk reports {what} {reported[:12]}, read was {wanted[:12]}")
        return f"quotes {read.quotes[:12]} and network {read.network[:12]} are the versions read"

    return verdict("certified_versions", inspect)


def _option(row: pd.Series) -> str:
    kind = "call" if row["call"] else "put"
    return f"{row['underlying']} {row['date'].date()}, {kind} {row['strike']:g} of {row['expiry'].date()}"
