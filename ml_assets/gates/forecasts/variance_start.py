"""Gates on the forecast that a variance model starts from: of the past alone, no better fit to be found."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ml_assets.gates._verdict import Tally, Violation, require, verdict
from ml_assets.gates.core import GateResult
from ml_assets.gates.forecasts._variance_fits import garch_path, har_table, require_garch, require_har
from ml_assets.prices import PriceHistory
from ml_assets.windows.sequence_set import SequenceSet

if TYPE_CHECKING:
    from ml_assets.forecasts.variance.rows import VarianceSet

__all__ = ["start_causal", "start_recomputed"]

Rebuild = Callable[[SequenceSet, NDArray[np.float64]], "VarianceSet"]

_EXACT = 1e-9  # relative: the same arithmetic in another order


def start_causal(
    prices: PriceHistory, sequences: SequenceSet, rows: VarianceSet, rebuild: Rebuild, *, seed: int = 0
) -> GateResult:
    """Redraw every close after the training part: what is fitted, and each training day, stays bit-equal.

    Then redraw every close after the validation part: what decides when to stop stays, too. And the start
    forecast of a day does not depend on later days.

    Parameters
    ----------
    prices : PriceHistory
    sequences : SequenceSet
        The fold; itself certified, so it is not rebuilt.
    rows : VarianceSet
    rebuild : callable
        ``(sequences, closes) -> VarianceSet``.
    seed : int
        Of the redrawn days.
    """
    symbol, reach = rows.symbol, max(rows.horizons)
    closes = prices.frame["close"].to_numpy(dtype=np.float64)[: len(rows.dates)]
    rng = np.random.default_rng(seed)

    def inspect(tally: Tally) -> str:
        for part, positions in (("train", rows.train), ("validation", rows.validation)):
            end = int(positions[-1]) + reach
            changed = closes.copy()
            changed[end + 1 :] *= np.exp(np.cumsum(rng.normal(0.0, 0.05, len(closes) - end - 1)))
            again = rebuild(sequences, changed)
            require(
                again.rule == rows.rule,
                f"{symbol}: the start's parameters change with prices after {rows.dates[end]}: "
                f"{rows.rule.to_dict()} became {again.rule.to_dict()}",
            )
            for name, stop in (("labels", int(positions[-1])), ("start", end)):
                held, redone = getattr(rows, name)[: stop + 1], getattr(again, name)[: stop + 1]
                wrong = (held != redone) & ~(np.isnan(held) & np.isnan(redone))
                tally.checked += held.size
                if wrong.any():
                    k, i = np.argwhere(wrong)[0]
                    raise Violation(
                        f"{symbol}: {name} of {rows.dates[k]} over {rows.horizons[i]} day(s) is "
                        f"{held[k, i]}, but {redone[k, i]} "
                        f"with other prices after the {part} part ended on {rows.dates[end]}"
                    )
        return f"{symbol}: parameters and {tally.checked} values are bit-equal with other later prices"

    return verdict("start_causal", inspect)


def start_recomputed(prices: PriceHistory, rows: VarianceSet) -> GateResult:
    """Compute the start of every day again from the raw closes, and judge the parameters on training days.

    The values up to the last validation row are those of the geometric mean of GARCH and HAR, by loops and
    closed forms, within 1e-9 of each. The parameters are allowed, and a search made here finds none with a
    loss below theirs by more than 1e-4 nats a day (`ml_assets.gates.forecasts._variance_fits`).

    Parameters
    ----------
    prices : PriceHistory
    rows : VarianceSet
        Of any fold. `horizons_purged` judges which rows are training rows.

    Returns
    -------
    GateResult
        On failure: symbol, the rule and both losses, or the day, the horizon and both values.
    """
    symbol, rule = rows.symbol, rows.rule
    closes = prices.frame["close"].to_numpy(dtype=np.float64)[: len(rows.dates)]

    def inspect(tally: Tally) -> str:
        require(rule.horizons == rows.horizons, f"{symbol}: a start for {rule.horizons}, not {rows.horizons}")
        energy = np.concatenate([[np.nan], np.square(np.diff(np.log(closes)))])
        known, stop = int(rows.train[-1]) + max(rows.horizons), int(rows.validation[-1]) + 1
        garch = rule.garch.omega, rule.garch.alpha, rule.garch.beta
        require_garch(symbol, energy[1 : known + 1], *garch)
        table = har_table(energy[:stop])
        for i, h in enumerate(rows.horizons):
            where, weights = f"{symbol} over {h} day(s)", np.array(rule.har[i])
            outcome = np.convolve(energy[1:], np.ones(h), mode="valid")[rows.train]
            level = float(outcome.mean())
            require(
                abs(rule.level[i] - level) <= _EXACT * level,
                f"{where}: the level is {rule.level[i]}, the training days' mean outcome {level}",
            )
            require_har(where, table[rows.train], outcome, weights)
            due = np.sqrt(garch_path(energy[:stop], *garch, h) * (table @ weights))
            held = rows.start[:stop, i]
            wrong = ~((np.abs(held - due) <= _EXACT * due) | (np.isnan(held) & np.isnan(due)))
            tally.checked += stop
            if wrong.any():
                k = int(np.argmax(wrong))
                raise Violation(
                    f"{where}: the start of {rows.dates[k]} is {held[k]}, closes and rule give {due[k]}"
                )
        return f"{symbol}: {tally.checked} values recomputed; no better fit was found on the training days"

    return verdict("start_recomputed", inspect)
