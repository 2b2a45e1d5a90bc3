"""Gates on what a variance model is trained on, and on the trained file."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ml_assets.gates._verdict import Tally, Violation, require, verdict
from ml_assets.gates.core import GateResult
from ml_assets.gates.data._changes import day
from ml_assets.gates.data._compare import bit_equal
from ml_assets.gates.data._disjoint import require_disjoint
from ml_assets.gates.models._reload import read_again, require_recorded, require_same_outputs
from ml_assets.prices import PriceHistory
from ml_assets.windows.sequence_set import SequenceSet

if TYPE_CHECKING:
    from ml_assets.forecasts.variance.rows import VarianceSet
    from ml_assets.forecasts.variance.weights import VolatilityWeights

__all__ = ["horizons_purged", "variance_learned", "variance_oracle", "variance_reload"]


def variance_oracle(prices: PriceHistory, rows: VarianceSet) -> GateResult:
    """Recompute each label up to the last validation row from the raw closes; after it there must be none.

    The recomputation takes differences of one cumulative sum.

    Parameters
    ----------
    prices : PriceHistory
    rows : VarianceSet
        Of any fold.

    Returns
    -------
    GateResult
        On failure: symbol, day, horizon and both values.
    """
    symbol = rows.symbol

    def inspect(tally: Tally) -> str:
        close = prices.frame["close"].reindex(rows.dates.astype("datetime64[ns]"))
        energy = np.square(np.log(close.to_numpy() / close.shift(1).to_numpy())[1:])
        total = np.concatenate([[0.0], np.cumsum(energy)])
        stop = int(rows.validation[-1]) + 1
        for i, h in enumerate(rows.horizons):
            due = np.full(len(total), np.nan)
            if len(total) > h:
                due[: len(total) - h] = total[h:] - total[:-h]
            held = rows.labels[:, i]
            near = np.abs(held - due) <= 1e-9 * np.abs(due) + 1e-12 * total[-1]
            wrong = ~(near | (np.isnan(held) & np.isnan(due)))[:stop]
            tally.checked += len(due)
            if wrong.any():
                k = int(np.argmax(wrong))
                raise Violation(
                    f"{symbol}: the variance over {h} day(s) after {day(prices, k)} is {held[k]}, the "
                    f"closes say {due[k]}; {int(wrong.sum())} labels are wrong"
                )
        _none_after(rows, "labels")
        return f"{symbol}: labels of {stop} days at horizons {rows.horizons} are the closes'; none later"

    return verdict("variance_oracle", inspect)


def horizons_purged(sequences: SequenceSet, rows: VarianceSet) -> GateResult:
    """No label of an earlier part reaches a window of a later part, and no row of a part is another's.

    Days are compared, by the certified ledger: the longest horizon may reach further than the ledger's own.
    And what the rows hold is what the sequences say: their days, center and scale, bit for bit, with no day
    after the last validation row.

    Parameters
    ----------
    sequences : SequenceSet
        The fold that the rows were derived from.
    rows : VarianceSet

    Returns
    -------
    GateResult
        On failure: the parts and both days, or the first value that differs.
    """
    symbol, reach = rows.symbol, max(rows.horizons)

    def inspect(tally: Tally) -> str:
        ledger = sequences.ledger
        dates = sequences.dates
        parts = {"train": rows.train, "validation": rows.validation}
        for name, positions in parts.items():
            own = ledger["position"].to_numpy()[ledger["split"].to_numpy() == name]
            foreign = np.setdiff1d(positions, own)
            require(
                not foreign.size,
                f"{symbol}: {name} row of {_date(dates, foreign)} is not in the ledger's {name}",
            )
            lost = np.setdiff1d(own[: len(own) - reach], positions)
            require(not lost.size, f"{symbol}: {name} row of {_date(dates, lost)} is missing without need")
            tally.checked += positions.size
        test = ledger["position"].to_numpy()[ledger["split"].to_numpy() == "test"]
        require_disjoint(symbol, dates, parts | {"test": test}, reach, sequences.window)
        _as_certified(sequences, rows)
        return f"{symbol}: {tally.checked} rows; labels over {reach} days end before the next part reads"

    return verdict("horizons_purged", inspect)


def _as_certified(sequences: SequenceSet, rows: VarianceSet) -> None:
    """Standardize by definition, with the certified numbers: the pipeline's function is what is judged."""
    for name in ("symbol", "feature_names", "window"):
        mine, theirs = getattr(rows, name), getattr(sequences, name)
        require(mine == theirs, f"{rows.symbol}: {name} of the rows is {mine}, of the sequences {theirs}")
    stop = int(rows.validation[-1]) + 1
    center, scale = (a.astype(np.float32) for a in (sequences.center, sequences.scale))
    standardized = ((sequences.features[:stop].astype(np.float32) - center) / scale).clip(-5.0, 5.0)
    pairs = {
        "dates": (rows.dates, sequences.dates),
        "center": (rows.center, sequences.center),
        "scale": (rows.scale, sequences.scale),
        "days": (rows.days[:stop], standardized),
    }
    for name, (held, due) in pairs.items():
        require(held.shape == due.shape, f"{rows.symbol}: {name} has shape {held.shape}, not {due.shape}")
        if not bit_equal(held, due):
            first = tuple(int(i) for i in np.argwhere((held != due) & ~((held != held) & (due != due)))[0])
            raise Violation(
                f"{rows.symbol}: {name}{list(first)} of the rows is {held[first]}, but {due[first]} by the "
                "certified sequences"
            )
    _none_after(rows, "days")
    _none_after(rows, "start")


def _none_after(rows: VarianceSet, name: str) -> None:
    """Training is handed nothing of a day after the last validation row."""
    stop = int(rows.validation[-1]) + 1
    given = np.argwhere(~np.isnan(getattr(rows, name)[stop:]))
    if given.size:
        raise Violation(
            f"{rows.symbol}: training is given {name} of {rows.dates[stop + given[0][0]]}, after the last "
            f"validation row of {rows.dates[stop - 1]}"
        )


def variance_reload(data: bytes, rows: VarianceSet) -> GateResult:
    """Reloaded, the model answers bit for bit as when it was trained; it was trained on exactly these rows.

    Parameters
    ----------
    data : bytes
        The candidate as it will be stored.
    rows : VarianceSet
        That the model should have been trained on; `variance_oracle`, `horizons_purged` and `start_causal`
        judge whether they follow from the certified inputs.
    """
    from ml_assets.forecasts.variance.weights import VolatilityWeights

    symbol = rows.symbol

    def inspect(tally: Tally) -> str:
        weights = read_again(symbol, data, VolatilityWeights)
        pairs = {
            "symbol": (weights.symbol, symbol),
            "horizons": (weights.horizons, rows.horizons),
            "start": (weights.rule, rows.rule),
            "feature centers": (tuple(weights.center), tuple(rows.center)),
            "feature scales": (tuple(weights.scale), tuple(rows.scale)),
            "last known day": (weights.known_until, rows.known_until),
            "rows, by sha256": (weights.data_sha256, rows.sha256()),
        }
        require_recorded(tally, symbol, pairs)
        require_same_outputs(tally, symbol, weights, rows.windows(rows.validation)[0])
        return f"{symbol}: outputs are bit-equal after reloading; trained on the certified rows"

    return verdict("variance_reload", inspect)


def variance_learned(weights: VolatilityWeights, rows: VarianceSet, *, margin: float = 0.05) -> GateResult:
    """Validation loss is finite and not above that of the start by more than `margin` nats per row.

    It says that training did no harm. Skill is judged on sealed days. The figures are computed here again.

    Parameters
    ----------
    weights : VolatilityWeights
    rows : VarianceSet
    margin : float
        Room for the noise of the few hundred validation rows.
    """
    from ml_assets.mamba.predict import predict_outputs

    symbol = weights.symbol

    def inspect(tally: Tally) -> str:
        output = predict_outputs(weights, rows.windows(rows.validation)[0]).astype(np.float64)
        ratio = (rows.labels / rows.start)[rows.validation]
        said: list[str] = []
        for i, h in enumerate(rows.horizons):
            loss = float(np.mean(output[:, i] + ratio[:, i] * np.exp(-output[:, i])))
            before, recorded = float(np.mean(ratio[:, i])), weights.validation.get(f"loss_{h}", math.nan)
            tally.checked += len(ratio)
            tally.figures |= {f"loss_{h}": loss, f"start_loss_{h}": before}
            require(
                math.isfinite(loss) and loss <= before + margin,
                f"{symbol}: validation loss over {h} day(s) is {loss:.4f}, the start has {before:.4f}, "
                f"margin {margin}",
            )
            require(
                math.isclose(loss, recorded, rel_tol=1e-6),
                f"{symbol}: the recorded loss over {h} day(s) is {recorded}, the weights give {loss}",
            )
            said.append(f"{h} day(s): {loss:.4f}, start {before:.4f}")
        return f"{symbol}: validation loss on {len(ratio)} rows, {'; '.join(said)}"

    return verdict("variance_learned", inspect)


def _date(dates: NDArray[np.datetime64], positions: Sequence[int] | NDArray[np.int64]) -> str:
    return str(dates[int(positions[0])]) if len(positions) else "no day"
