"""The page of the ACL18 protocol: accuracy and Matthews correlation with day-clustered intervals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.acl18_data import PUBLISHED_ROWS, Stock
from benchmarks.machine import described

__all__ = ["Row", "day_intervals", "matthews", "page"]

PUBLISHED = {
    "LSTM, as published by Feng et al. (2019)": (53.18, 0.067),
    "ALSTM, as published by Feng et al. (2019)": (54.90, 0.104),
    "Adv-ALSTM, as published by Feng et al. (2019)": (57.20, 0.148),
}
_DRAWS = 4000

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]


class Row(NamedTuple):
    """A forecaster: whether it forecasts a rise, by seed and test row, (seeds, rows)."""

    name: str
    up: Bools


def matthews(counts: Floats) -> Floats:
    """Matthews correlation from counts (..., 4) as `counts_by_day` gives them; 0 where it is undefined."""
    tp, fp, tn, fn = np.moveaxis(counts.astype(np.float64), -1, 0)
    spread = np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    out: Floats = np.where(spread > 0, (tp * tn - fp * fn) / np.where(spread > 0, spread, 1.0), 0.0)
    return out


def accuracy(counts: Floats) -> Floats:
    """Share of right forecasts from the same counts."""
    return np.asarray((counts[..., 0] + counts[..., 2]) / counts.sum(axis=-1))


def counts_by_day(forecast: Bools, up: Bools, day: NDArray[np.int64]) -> Floats:
    """Count true rises, false rises, true falls and false falls by day, (days, 4)."""
    kinds = (forecast & up, forecast & ~up, ~forecast & ~up, ~forecast & up)
    return np.column_stack([np.bincount(day, kind, day.max() + 1) for kind in kinds])


def day_intervals(counts: Floats, seed: int = 0) -> tuple[Floats, Floats]:
    """95 % intervals of accuracy and Matthews correlation; whole days are drawn, for stocks move together."""
    rng = np.random.default_rng(seed)
    drawn = counts[rng.integers(0, len(counts), (_DRAWS, len(counts)))].sum(axis=1)
    return tuple(np.quantile(figure(drawn), [0.025, 0.975]) for figure in (accuracy, matthews))  # type: ignore[return-value]


def page(
    stocks: Sequence[Stock],
    rows: Sequence[Row],
    origins: Sequence[str],
    epochs: Sequence[int],
    seconds: float,
) -> str:
    """Read the test labels, score every row and write the page."""
    truths = [stock.truth() for stock in stocks]
    up, days = (np.concatenate([truth[i] for truth in truths]) for i in (0, 1))
    _, day = np.unique(days, return_inverse=True)
    lines = [
        "# The ACL18 protocol",
        "",
        f"Written by `python -m benchmarks.acl18 FOLDER` on {datetime.now(UTC).date()}; do not edit. "
        f"{described()} {seconds:.0f} CPU s.",
        "",
        *_protocol(stocks, len(up), int(day.max()) + 1),
        "",
        "| forecaster | accuracy, % | 95 % interval | seeds from - to | MCC | 95 % interval | forecasts "
        "up, % |",
        "|---|---|---|---|---|---|---|",
        *(_line(row, up, day) for row in rows),
        *(
            f"| {name} | {a:.2f} | not published | | {m:.3f} | not published | |"
            for name, (a, m) in PUBLISHED.items()
        ),
        "| logistic regression per stock, reference figure by other features | 52.42 | | | | | |",
        "",
        *_reading(rows, up, day, origins, epochs),
    ]
    return "\n".join(lines) + "\n"


def _protocol(stocks: Sequence[Stock], test: int, days: int) -> list[str]:
    given = Counter[str]()
    for stock in stocks:
        given.update(stock.counts)
    used = {
        name: sum(int(np.isfinite(s.sequences.y(part)).sum()) for s in stocks)
        for name, part in (("train", "train"), ("dev", "validation"))
    } | {"test": test}
    table = ["| rows | published | in the files | used here |", "|---|---|---|---|"]
    table += [f"| {n} | {PUBLISHED_ROWS[n]:,} | {given[n]:,} | {used[n]:,} |" for n in PUBLISHED_ROWS]
    return [
        "Stock movement prediction after Xu and Cohen (ACL 2018) with the split of Feng et al. (IJCAI "
        f"2019): {len(stocks)} US stocks, a rise of 0.55 % or more against a fall of 0.5 % or more, days "
        "between left out; train 2014-01-02 to 2015-07-31, dev to 2015-09-30, test to 2015-12-31. "
        "Features, windows of 60 days, model and recipes are the pipeline's own, unchanged; the loss "
        "counts the protocol's rows only, the dev rows decide when to stop, and nothing was tuned on "
        "them. Labels of test rows are read after the last forecast. A row that we cannot use lacks the "
        "120 days before it that features and window need; no test row may be missing.",
        "",
        *table,
        "",
        f"Intervals: the {days} test days are drawn with replacement, each with all its stocks, for these "
        "move together: 3,720 rows are worth far fewer independent ones.",
    ]


def _line(row: Row, up: Bools, day: NDArray[np.int64]) -> str:
    by_seed = np.array([counts_by_day(forecast, up, day) for forecast in row.up])
    found = accuracy(by_seed.sum(axis=1))
    spread = f"{100 * found.min():.2f} - {100 * found.max():.2f}" if len(found) > 1 else ""
    # The mean over seeds is the figure; its interval is over days, each seed on the same drawn days.
    intervals = [day_intervals(counts) for counts in by_seed]
    (low, high), (mcc_low, mcc_high) = np.mean(intervals, axis=0)
    mcc = matthews(by_seed.sum(axis=1)).mean()
    return (
        f"| {row.name} | {100 * found.mean():.2f} | {100 * low:.2f} - {100 * high:.2f} | {spread} | "
        f"{mcc:.3f} | {mcc_low:.3f} - {mcc_high:.3f} | {100 * row.up.mean():.0f} |"
    )


def _reading(
    rows: Sequence[Row], up: Bools, day: NDArray[np.int64], origins: Sequence[str], epochs: Sequence[int]
) -> list[str]:
    def low(row: Row) -> float:
        return float(np.mean([day_intervals(counts_by_day(f, up, day))[1][0] for f in row.up]))

    clear = [row.name for row in rows if low(row) > 0]
    chosen = ", ".join(f"{name} {number}" for name, number in sorted(Counter(origins).items()))
    return [
        "The interval of an average over seeds is the mean of the seeds' intervals. Forecasters whose "
        f"Matthews correlation is above 0 by its whole interval: {', '.join(clear) or 'none'}.",
        "",
        f"Where a stock's own model came from (first seed): {chosen}. Best epoch of the base model by seed: "
        f"{', '.join(map(str, epochs))}. The published figures come from the papers, by their features and "
        "settings; they are no measurement of ours.",
    ]
