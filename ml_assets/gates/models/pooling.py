"""Gates where symbols cross: what the base model was trained on, and who may start from it.

A model trained on many stocks leaks in a way that no gate of a single symbol can see: the training days of
one are the validation or test days of another, and stocks move together.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ml_assets.gates._verdict import Tally, require, verdict
from ml_assets.gates.core import GateResult
from ml_assets.gates.data._compare import unequal_bits
from ml_assets.gates.models._pooled_rows import require_certified_rows, row_name
from ml_assets.gates.models.training import untrained_arrays
from ml_assets.windows.rows import training_days

if TYPE_CHECKING:
    from ml_assets.mamba.base_weights import MambaBaseWeights
    from ml_assets.mamba.pooled import PooledSet
    from ml_assets.mamba.weights import MambaWeights
    from ml_assets.windows.augmented_set import AugmentedSet
    from ml_assets.windows.sequence_set import SequenceSet

__all__ = ["base_before_validation", "base_learned", "calendar_boundary", "pooled_non_interference"]

Pool = Callable[[Sequence["SequenceSet"]], "PooledSet"]


def calendar_boundary(base: MambaBaseWeights, sets: Sequence[SequenceSet], pool: Pool) -> GateResult:
    """No member's training window or label reaches the first validation day of any member.

    The boundary is derived here from the members' certified ledgers, not taken from the candidate; the days
    that the candidate was trained on are looked up, by content hash, among the rows pooled again; and each
    of those is compared with the certified one of its symbol and day, features and label.

    Parameters
    ----------
    base : MambaBaseWeights
        The candidate.
    sets : sequence of SequenceSet
        The certified sequences that were read.
    pool : callable
        The code that pools them.

    Returns
    -------
    GateResult
        On failure: the symbol and both days.
    """

    def inspect(tally: Tally) -> str:
        by_symbol = {s.symbol: s for s in sets}
        strangers = sorted(set(base.members) - set(by_symbol))
        require(not strangers, f"trained on {', '.join(strangers)}, which are not among the sequences read")
        require(bool(base.members), "the base model names no member")
        first, last = _validation_spans([by_symbol[name] for name in base.members])
        owner = min(first, key=lambda name: (first[name], name))
        ends = min(last, key=lambda name: (last[name], name))
        pooled = pool(sets)
        require(
            pooled.sha256() == base.data_sha256 and pooled.members == base.members,
            f"trained on data {base.data_sha256[:12]}, the sequences read give {pooled.sha256()[:12]}",
        )
        for rows, limit, what in (
            (pooled.train, first[owner], f"validation of {owner} starts"),
            (pooled.validation, last[ends] + 1, f"day after the validation of {ends} ends"),
        ):
            label_ends = pooled.label_ends[rows]
            worst = int(np.argmax(label_ends))
            symbol = pooled.members[pooled.member[rows[worst]]]
            require(
                bool(label_ends[worst] < limit),
                f"{symbol}: a label ends on {label_ends[worst]}, not before {limit}, when the {what}",
            )
            tally.checked += len(rows)
        require_certified_rows(pooled, by_symbol)
        tally.checked += pooled.days.size
        tally.figures |= {"members": len(base.members), "training_rows": len(pooled.train)}
        require(
            base.boundary == str(first[owner]) and base.known_until == str(last[ends]),
            f"recorded are the days {base.boundary} and {base.known_until}, the ledgers say "
            f"{first[owner]} and {last[ends]}",
        )
        return (
            f"{len(base.members)} symbols, {len(pooled.train)} training rows: every label ends before "
            f"{base.boundary}, the first validation day of {owner}"
        )

    return verdict("calendar_boundary", inspect)


def pooled_non_interference(sets: Sequence[SequenceSet], pool: Pool, *, seed: int = 0) -> GateResult:
    """What the base model is trained on stays, bit for bit, when later days of all symbols are redrawn.

    And it has to move when earlier days are, so that nothing comes from elsewhere.

    Parameters
    ----------
    sets : sequence of SequenceSet
        The certified sequences.
    pool : callable
        The code that pools them.
    seed : int

    Returns
    -------
    GateResult
    """

    def inspect(tally: Tally) -> str:
        rng = np.random.default_rng(seed)
        before = pool(sets)
        limits = {
            "training": (before.boundary, before.train),
            "validation": (before.known_until + 1, before.validation),
        }
        for part, (limit, rows) in limits.items():
            other = pool([_redrawn(s, limit, rng) for s in sets])
            require(
                other.members == before.members and other.boundary == before.boundary,
                f"members or boundary change when days from {limit} on are redrawn",
            )
            change = f"change with days from {limit} on"
            require(other.days.shape == before.days.shape, f"the number of {part} days would {change}")
            # Each day once, not each window that it stands in: equal days make equal windows.
            read = np.flatnonzero(training_days(rows, before.window, len(before.days)))
            for name, what in (("days", "features"), ("targets", "targets")):
                ours, theirs = getattr(before, name)[read], getattr(other, name)[read]
                different = read[unequal_bits(ours, theirs).any(axis=1)]
                where = "" if not len(different) else row_name(before, different[0])
                require(not len(different), f"{part} {what} of {where} {change}")
                tally.checked += ours.size
        moved = pool([_redrawn(s, s.dates[0], rng) for s in sets])
        require(moved.sha256() != before.sha256(), "the pooled rows do not change when all days are redrawn")
        return f"{len(before.train)} training rows bit-equal with other days from {before.boundary} on"

    return verdict("pooled_non_interference", inspect)


def base_learned(base: MambaBaseWeights, pooled: PooledSet, *, margin: float = 0.02) -> GateResult:
    """The base model's validation loss is finite, as recorded, and not worse than untrained by `margin` nats.

    Parameters
    ----------
    base : MambaBaseWeights
        The candidate.
    pooled : PooledSet
        What it was trained on.
    margin : float
        In nats per validation row.

    Returns
    -------
    GateResult
    """
    from ml_assets.mamba.base import base_figures
    from ml_assets.mamba.predict import predict_outputs

    def inspect(tally: Tally) -> str:
        start = replace(base, arrays=untrained_arrays(base))
        figures = base_figures(pooled, lambda X: predict_outputs(base, X))
        untrained = base_figures(pooled, lambda X: predict_outputs(start, X))
        tally.checked = int(figures["rows"])
        tally.figures |= {**figures, "untrained_loss": untrained["loss"]}
        loss, before = figures["loss"], untrained["loss"]
        require(
            math.isfinite(loss) and loss <= before + margin,
            f"validation loss {loss:.4f} exceeds that of the untrained model, {before:.4f}, plus {margin}",
        )
        recorded = base.validation.get("loss", math.nan)
        require(
            math.isclose(loss, recorded, rel_tol=1e-6),
            f"the recorded validation loss is {recorded}, the weights give {loss}",
        )
        return f"validation loss {loss:.4f} on {tally.checked} rows, untrained {before:.4f}"

    return verdict("base_learned", inspect)


def base_before_validation(
    weights: MambaWeights, augmented: AugmentedSet, base: MambaBaseWeights | None
) -> GateResult:
    """A model that started from a base model did so from the one read, which knows none of its future.

    Parameters
    ----------
    weights : MambaWeights
        The candidate.
    augmented : AugmentedSet
        The certified set; gives the validation days.
    base : MambaBaseWeights or None
        The certified base model that was read, if any.

    Returns
    -------
    GateResult
        On failure: the symbol and both days.
    """
    symbol = augmented.symbol

    def inspect(tally: Tally) -> str:
        tally.checked = 1
        if weights.origin == "scratch" and weights.base_sha256 is None:
            return f"{symbol}: trained from scratch, no base model was tried"
        require(base is not None, f"{symbol}: the weights say they know a base model, but none was read")
        assert base is not None
        read = hashlib.sha256(base.to_bytes()).hexdigest()
        require(
            weights.base_sha256 == read,
            f"{symbol}: the base model was {str(weights.base_sha256)[:12]}, the certified one is {read[:12]}",
        )
        spans = (
            ("trained on days before", base.boundary, str(augmented.as_of_val[0])),
            ("chosen by days until", base.known_until, str(augmented.as_of_val[-1])),
        )
        for what, known, limit in spans:
            tally.checked += 1
            require(
                known <= limit,
                f"{symbol}: the base model was {what} {known}; the validation of {symbol} "
                f"{'starts' if limit == spans[0][2] else 'ends'} on {limit}",
            )
        return f"{symbol}: {weights.origin}; the base model knows no day from {base.boundary} on"

    return verdict("base_before_validation", inspect)


def _validation_spans(
    sets: Sequence[SequenceSet],
) -> tuple[dict[str, np.datetime64], dict[str, np.datetime64]]:
    """First day that a validation row reads and last day on which one forecasts, from the ledgers."""
    first, last = {}, {}
    for sequences in sets:
        rows = sequences.ledger[sequences.ledger["split"] == "validation"]
        first[sequences.symbol] = np.datetime64(rows["first_day"].min(), "D")
        last[sequences.symbol] = np.datetime64(rows["as_of"].max(), "D")
    return first, last


def _redrawn(sequences: SequenceSet, start: np.datetime64, rng: np.random.Generator) -> SequenceSet:
    """Other features from a day on, other labels where they end on it or later; what is unknown stays so.

    Center and scale move, too, if days from there on are among those that they were fitted on.
    """
    day = int(np.searchsorted(sequences.dates, start))
    features, returns = sequences.features.copy(), sequences.returns.copy()
    later, unknown = slice(day, None), slice(max(0, day - sequences.horizon), None)
    noise = rng.standard_normal(features[later].shape) * 3.0 * sequences.scale
    features[later] = (-features[later] + noise).astype(np.float32)
    returns[unknown] = -returns[unknown] + 0.1 * rng.standard_normal(len(returns[unknown]))
    center, scale = sequences.center, sequences.scale
    if sequences.train_end >= start:
        center, scale = center + scale, 2.0 * scale
    return replace(sequences, features=features, returns=returns, center=center, scale=scale)
