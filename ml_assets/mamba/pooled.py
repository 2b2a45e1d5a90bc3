"""The training set of the base model: days of many symbols, all before one calendar boundary.

Pooling crosses symbols: a training day of one stock tells of the market on that day, hence of the
validation and test days of another. So nothing is trained on from the day on which any member's validation
begins, and nothing decides when to stop after the day on which any member's validation ends.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ml_assets.mamba.examples import standardized_targets
from ml_assets.windows.scaling import fit_scale, normalize
from ml_assets.windows.sequence_set import SequenceSet

__all__ = ["PooledSet", "pool_sequences", "validation_start"]

_LEAST_VALIDATION = 30
"""Rows; with fewer, the epoch to stop at would be chosen by noise."""


@dataclass(frozen=True, eq=False)
class PooledSet:
    """Normalized days of all members one after another, and where windows begin in them.

    Parameters
    ----------
    boundary : datetime64[D]
        First day of any member's first validation window. Every training window and label ends before it.
    known_until : datetime64[D]
        Last as-of day of the member whose validation ends first. No label here ends after it.
    members : tuple of str
        The symbols, in alphabetical order.
    excluded : mapping of str to str
        The symbols left out, and why.
    feature_names : tuple of str, length F
    window, horizon : int
    days : ndarray of float32, shape (n_days, F)
        Each member normalized by the mean and deviation of the days that it is trained on here.
    dates : ndarray of datetime64[D], shape (n_days,)
    label_ends : ndarray of datetime64[D], shape (n_days,)
        Day on which the label of each day is known.
    targets : ndarray of float32, shape (n_days, 2)
        Direction (1 up, 0 not, NaN unknown) and standardized return.
    member : ndarray of int, shape (n_days,)
        Position in `members` of each day's symbol.
    train, validation : ndarray of int, shape (n,), (m,)
        Last day of each training window, and of each validation row, which decide when to stop.
    """

    boundary: np.datetime64
    known_until: np.datetime64
    members: tuple[str, ...]
    excluded: Mapping[str, str]
    feature_names: tuple[str, ...]
    window: int
    horizon: int
    days: NDArray[np.float32]
    dates: NDArray[np.datetime64]
    label_ends: NDArray[np.datetime64]
    targets: NDArray[np.float32]
    member: NDArray[np.int64]
    train: NDArray[np.int64]
    validation: NDArray[np.int64]

    def windows(self, ends: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Windows that end on these days, (n, window, F), and the targets of their steps, (n, window, 2)."""
        days = ends[:, None] + np.arange(1 - self.window, 1)
        return self.days[days], self.targets[days]

    def sha256(self) -> str:
        """Hash of everything that training sees."""
        header = [
            str(self.boundary),
            str(self.known_until),
            self.members,
            self.feature_names,
            self.window,
            self.horizon,
        ]
        digest = hashlib.sha256(json.dumps(header).encode())
        for values in (self.days, self.targets, self.member, self.train, self.validation):
            digest.update(np.ascontiguousarray(values).data)
        return digest.hexdigest()


def validation_start(sequences: SequenceSet) -> np.datetime64:
    """First day that any validation row of a symbol reads."""
    rows = sequences.ledger["split"].eq("validation").to_numpy()
    return np.datetime64(sequences.ledger["first_day"].to_numpy()[rows].min(), "D")


def pool_sequences(sets: Sequence[SequenceSet]) -> PooledSet:
    """Pool the training rows of many symbols before one boundary.

    The boundary is one symbol's validation start: the one that leaves most training rows. Symbols whose
    validation starts before it are left out, since the base model would know their future; so are symbols
    with other features than most.

    Parameters
    ----------
    sets : sequence of SequenceSet
        One per symbol, in any order.

    Returns
    -------
    PooledSet

    Raises
    ------
    ValueError
        If no training row is left, or too few validation rows.
    """
    if not sets:
        raise ValueError("no symbol has certified sequences; materialize split_sequences of some first")
    ordered = sorted(sets, key=lambda s: s.symbol)
    alike, excluded = _alike(ordered)
    boundary = _best_boundary(alike)
    members = []
    for sequences in alike:
        rows = len(_rows(sequences, "train", boundary))
        if (start := validation_start(sequences)) < boundary:
            excluded[sequences.symbol] = f"its validation starts on {start}, before the boundary {boundary}"
        elif rows < sequences.window:
            excluded[sequences.symbol] = f"only {rows} of its training rows end before {boundary}"
        else:
            members.append(sequences)
    if not members:
        raise ValueError(
            f"no symbol has {alike[0].window} training rows before {boundary}, when the validation of others "
            "starts; give histories that overlap more, or train without a base model"
        )
    pooled = _pooled(members, boundary, excluded)
    if len(pooled.validation) >= _LEAST_VALIDATION:
        return pooled
    # One member's validation ends before that of others has begun: too few rows to decide when to stop.
    early = min(members, key=lambda s: s.as_of("validation").max())
    if len(members) == 1:
        raise ValueError(
            f"{early.symbol} has {len(pooled.validation)} validation rows whose label is known in time; "
            f"{_LEAST_VALIDATION} are needed to decide when to stop: give a longer history or a smaller split"
        )
    why = f"its validation ends on {pooled.known_until}, when that of others has hardly begun"
    rest = pool_sequences([s for s in sets if s is not early])
    return replace(rest, excluded={**rest.excluded, early.symbol: why})


def _alike(sets: Sequence[SequenceSet]) -> tuple[list[SequenceSet], dict[str, str]]:
    """Keep the largest group with equal features, window and horizon."""
    groups: dict[object, list[SequenceSet]] = {}
    for sequences in sets:
        key = (sequences.feature_names, sequences.window, sequences.horizon)
        groups.setdefault(key, []).append(sequences)
    largest = max(groups.values(), key=lambda group: sum(len(s.positions("train")) for s in group))
    kept = {s.symbol for s in largest}
    return largest, {s.symbol: "other features or windows than most" for s in sets if s.symbol not in kept}


def _best_boundary(sets: Sequence[SequenceSet]) -> np.datetime64:
    starts = {s.symbol: validation_start(s) for s in sets}
    ends = {s.symbol: s.dates[s.positions("train") + s.horizon] for s in sets}

    def rows(boundary: np.datetime64) -> int:
        return sum(int(np.searchsorted(ends[name], boundary)) for name in starts if starts[name] >= boundary)

    return max(sorted(set(starts.values())), key=rows)


def _rows(sequences: SequenceSet, split: str, before: np.datetime64) -> NDArray[np.int64]:
    """Positions of the as-of days of one part whose label is known before a day."""
    positions = sequences.positions(split)
    return positions[sequences.dates[positions + sequences.horizon] < before]


def _pooled(members: Sequence[SequenceSet], boundary: np.datetime64, excluded: dict[str, str]) -> PooledSet:
    known_until = min(s.as_of("validation").max() for s in members)
    parts = [_member(s, boundary, known_until) for s in members]
    offsets = np.cumsum([0, *(len(part["days"]) for part in parts)])
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    for name in ("train", "validation"):
        joined[name] += np.repeat(offsets[:-1], [len(part[name]) for part in parts])
    first = members[0]
    return PooledSet(
        boundary=boundary,
        known_until=known_until,
        members=tuple(s.symbol for s in members),
        excluded=excluded,
        feature_names=first.feature_names,
        window=first.window,
        horizon=first.horizon,
        member=np.repeat(np.arange(len(parts)), np.diff(offsets)),
        **joined,
    )


def _member(
    sequences: SequenceSet, boundary: np.datetime64, known_until: np.datetime64
) -> dict[str, NDArray[Any]]:
    """One member's days from its first training window to its last validation row, and nothing later."""
    train = _rows(sequences, "train", boundary)
    validation = _rows(sequences, "validation", known_until + 1)
    rows = np.concatenate([train, validation])
    first, stop = int(rows[0]) - sequences.window + 1, int(rows[-1]) + 1
    trained = np.zeros(stop, bool)
    trained[first : train[-1] + 1] = True
    center, scale = fit_scale(sequences.features[:stop], trained)
    labels = np.full(stop, np.nan)
    labels[rows] = sequences.returns[rows]
    part = slice(first, stop)
    targets = standardized_targets(labels, float(np.mean(labels[train])), float(np.std(labels[train])) or 1.0)
    return {
        "days": normalize(sequences.features[part], center, scale),
        "dates": sequences.dates[part],
        "label_ends": sequences.dates[first + sequences.horizon : stop + sequences.horizon],
        "targets": targets[part],
        "train": train - first,
        "validation": validation - first,
    }
