"""The rows of the ACL18 protocol as sequences of our pipeline: same features and windows, their split."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ml_assets.mamba import PooledSet
from ml_assets.mamba.examples import standardized_targets
from ml_assets.prices import PriceHistory, open_source
from ml_assets.windows.rows import build_ledger, tradable_rows, training_days
from ml_assets.windows.scaling import fit_scale
from ml_assets.windows.sequence_set import SequenceSet
from ml_assets.windows.sequences import SequenceConfig, build_sequences

__all__ = ["PUBLISHED_ROWS", "Stock", "load_stocks", "pool_stocks"]

PUBLISHED_ROWS = {"train": 20_315, "dev": 2_555, "test": 3_720}
WINDOW = 60
_PARTS = {"train": "train", "dev": "validation", "test": "test"}

Bools = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Stock:
    """One stock of the protocol.

    Parameters
    ----------
    sequences : SequenceSet
        Its training rows are the protocol's; its validation and test rows are *all* days of these spans.
        ``returns`` is NaN on every day without a label of the protocol, and on every day of the test span.
    scored : ndarray of bool, shape (test rows,)
        Which test rows belong to the protocol.
    counts : mapping of str to int
        The protocol's rows of the stock by part, whether or not we can use them.
    """

    sequences: SequenceSet
    scored: Bools
    counts: dict[str, int]
    _truth: NDArray[np.int64]

    def truth(self) -> tuple[Bools, NDArray[np.datetime64]]:
        """Outcome and day of the protocol's test rows: read at the very end."""
        return self._truth[self.scored] > 0, self.sequences.as_of("test")[self.scored]

    def tables(self) -> tuple[NDArray[np.float32], Bools, NDArray[np.float32]]:
        """Last day's features and outcomes of the training rows, and features of the scored test rows."""
        days = self.sequences.normalize(self.sequences.features)
        train, test = self.sequences.positions("train"), self.sequences.positions("test")[self.scored]
        return days[train], self.sequences.returns[train] > 0, days[test]


def load_stocks(folder: Path) -> list[Stock]:
    """Read prices by the pipeline's own loader, and the protocol's labels.

    Raises
    ------
    SystemExit
        If a file is missing, or the labels are not those of the protocol.
    """
    for name in ("prices.parquet", "acl18_labels.parquet"):
        if not (folder / name).exists():
            raise SystemExit(
                f"{folder / name} does not exist; `python -m benchmarks.acl18 --help` says what it holds"
            )
    labels = pd.read_parquet(folder / "acl18_labels.parquet")
    labels = labels[labels["usable_seq5"] & (labels["label"] != 0)]
    found = labels["split"].value_counts().to_dict()
    if found != PUBLISHED_ROWS:
        raise SystemExit(f"the labels hold {found} rows, the protocol {PUBLISHED_ROWS}")
    with tempfile.TemporaryDirectory() as alone:  # the folder may hold the same prices a second time
        (Path(alone) / "prices.parquet").symlink_to((folder / "prices.parquet").resolve())
        source = open_source(alone)
        by_symbol = {str(symbol): rows for symbol, rows in labels.groupby("symbol")}
        return [_stock(source.load(symbol), rows) for symbol, rows in by_symbol.items()]


def _stock(prices: PriceHistory, labels: pd.DataFrame) -> Stock:
    plain = build_sequences(prices, SequenceConfig(window=WINDOW, test_days=1))  # for its features
    target = np.searchsorted(plain.dates, labels["date"].to_numpy().astype("datetime64[D]"))
    label, part = np.zeros(len(plain.dates), dtype=np.int64), np.full(len(plain.dates), "", dtype="<U10")
    # A label belongs to the day of its return; a row is named by the day before, the last that it may read.
    label[target - 1] = labels["label"]
    part[target - 1] = labels["split"].map(_PARTS)
    _require_true(plain, label)
    readable = np.zeros(len(plain.dates), dtype=bool)
    readable[tradable_rows(plain.features, np.zeros(len(plain.dates)), WINDOW)] = True
    spans = {name: np.flatnonzero(part == name) for name in ("validation", "test")}
    for name, days in spans.items():
        part[days[0] : days[-1] + 1] = name  # days without a label stay rows, so that rows are days
    positions = np.flatnonzero((part != "") & readable)
    sequences = _sequences(plain, positions, part[positions], label)
    return Stock(
        sequences=sequences,
        scored=label[sequences.positions("test")] != 0,
        counts={str(k): int(v) for k, v in labels["split"].value_counts().items()},
        _truth=label[sequences.positions("test")],
    )


def _sequences(
    plain: SequenceSet, positions: NDArray[np.int64], part: NDArray[np.str_], label: NDArray[np.int64]
) -> SequenceSet:
    returns = np.where(label != 0, plain.returns, np.nan)
    returns[positions[part == "test"]] = np.nan
    center, scale = fit_scale(
        plain.features, training_days(positions[part == "train"], WINDOW, len(plain.dates))
    )
    ledger = build_ledger(plain.dates, positions, part, WINDOW, 1)
    return replace(plain, returns=returns, ledger=ledger, center=center, scale=scale)


def _require_true(plain: SequenceSet, label: NDArray[np.int64]) -> None:
    """Labels are the classified returns of our own cleaned prices, or else the days are shifted."""
    days = np.flatnonzero(label)
    ours = np.where(plain.returns[days] >= 0.0055, 1, np.where(plain.returns[days] <= -0.005, -1, 0))
    if (wrong := np.flatnonzero(ours != label[days])).size:
        day = days[wrong[0]]
        raise SystemExit(
            f"{plain.symbol} {plain.dates[day]}: label {label[day]}, "
            f"but the return is {plain.returns[day]:.4f}"
        )


def pool_stocks(stocks: Sequence[Stock]) -> PooledSet:
    """Pool the protocol's training rows of all stocks; only its validation rows decide when to stop.

    Unlike `ml_assets.mamba.pool_sequences` nothing is purged before the validation part: the protocol trains
    until 2015-07-31 and validates from the next day on. No label reaches across.
    """
    parts, offset = [], 0
    for number, stock in enumerate(stocks):
        s = stock.sequences
        train, validation = s.positions("train"), s.positions("validation")
        validation = validation[np.isfinite(s.returns[validation])]
        first, stop = int(train[0]) - WINDOW + 1, int(validation[-1]) + 1
        labels = s.returns[first:stop]
        mean, deviation = np.mean(s.returns[train]), np.std(s.returns[train])
        parts.append(
            {
                "days": s.normalize(s.features[first:stop]),
                "dates": s.dates[first:stop],
                "label_ends": s.dates[first + 1 : stop + 1],
                "targets": standardized_targets(labels, float(mean), float(deviation)),
                "member": np.full(stop - first, number),
                "train": train - first + offset,
                "validation": validation - first + offset,
            }
        )
        offset += stop - first
    first_set = stocks[0].sequences
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return PooledSet(
        boundary=min(s.sequences.as_of("validation")[0] for s in stocks),
        known_until=max(s.sequences.as_of("validation")[-1] for s in stocks),
        members=tuple(s.sequences.symbol for s in stocks),
        excluded={},
        feature_names=first_set.feature_names,
        window=WINDOW,
        horizon=1,
        **joined,
    )
