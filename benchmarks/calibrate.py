"""Write docs/PROMOTION_CALIBRATION.md: how often the promotion rule errs, and how often it finds an edge.

    make calibrate
    OMP_NUM_THREADS=1 .venv/bin/python -m benchmarks.calibrate [--minutes 25] [--drawn 8000]

The dear part trains models until its time is over and keeps what it has in ``var/calibration.jsonl``: a
second run goes on from there, and ``--minutes 0`` only writes the page again.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from zlib import crc32

import numpy as np

from benchmarks.calibration.drawn import drawn_fleet
from benchmarks.calibration.fleets import Fleet, Tally
from benchmarks.calibration.page import Calibration, page
from benchmarks.calibration.trained import WALK, Cell, Results, train_cell, train_controls
from ml_assets.training.backend import limit_threads

__all__ = ["main"]

PAGE = Path(__file__).parents[1] / "docs" / "PROMOTION_CALIBRATION.md"
EDGES = [Cell(kind, best) for best in (0.60, 0.55) for kind in ("hidden_markov", "product", "ar1")]
SYMBOLS, WITH_EDGE = 50, 10
WEAK, LONG = 3945, 10_000  # days that a 52 % edge is said to need; and more than any stock has


def work(results: Results) -> Iterator[tuple[Cell, int]]:
    """What to train next, for ever: a fleet of walks, then one of each edge, then again."""
    for turn in count():
        for cell in (WALK, *EDGES):
            if (cell.name, turn) not in results.fleets:
                yield cell, turn


def train(results: Results, minutes: float) -> None:
    """Train until the time is over; a fleet that has begun is finished."""
    end = time.monotonic() + 60 * minutes
    if not results.controls and minutes > 0:
        say("the two controls")
        results.add_controls(train_controls())
    for cell, fleet in work(results):
        if time.monotonic() >= end:
            break
        number = SYMBOLS if cell == WALK else WITH_EDGE
        scores, started = [], time.process_time()
        for parts in train_cell(cell, fleet, symbols=number, beside=SYMBOLS - number):
            scores.append(parts)
            left = max(0.0, end - time.monotonic()) / 60
            say(f"{cell.name}, fleet {fleet}: {len(scores)}/{number} symbols, {left:.1f} minutes left")
        results.add(cell, fleet, scores, time.process_time() - started)
        say(f"{cell.name}, fleet {fleet}: kept\n")


def draw_all(results: Results, fleets: int) -> None:
    """Draw fleets by what is in them, accuracy and days; those that are kept in the same number are not."""
    some = -(-fleets // 20)
    wanted: dict[tuple[str, float, int], tuple[int, int, int]] = {  # fleets, symbols, with an edge
        **{("walks", 0.5, days): (fleets, SYMBOLS, 0) for days in (500, 1000)},
        **{
            ("10 of 50", a, days): (some, SYMBOLS, WITH_EDGE)
            for a in (0.60, 0.55, 0.52)
            for days in (500, 1000)
        },
        ("10 of 50", 0.52, WEAK): (some, SYMBOLS, WITH_EDGE),
        **{("one alone", 0.52, days): (some, 1, 1) for days in (WEAK, LONG)},
        **{("1 of 50", 0.52, days): (-(-some // 2), SYMBOLS, 1) for days in (WEAK, LONG)},
    }
    for what, (number, symbols, edges) in wanted.items():
        if what not in results.drawn or results.drawn[what].fleets != number:
            results.add_drawn(what, Tally.of(_draw(what, number, symbols, edges)))


def _draw(what: tuple[str, float, int], number: int, symbols: int, edges: int) -> Iterator[Fleet]:
    name, accuracy, days = what
    rng = np.random.default_rng(crc32(repr(what).encode()))
    for i in range(1, number + 1):
        yield drawn_fleet(rng, days, symbols=symbols, edges=edges, accuracy=accuracy)
        say(f"drawn forecasts, {name}, {accuracy:.0%}, {days} days: {i}/{number} fleets")


def say(text: str) -> None:
    """Show progress on one line."""
    print(f"\r\033[K{text}", end="", flush=True, file=sys.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=25, help="time for training; 0: none")
    parser.add_argument(
        "--drawn", type=int, default=8000, help="fleets of walks with drawn forecasts; fewer of others"
    )
    parser.add_argument("--results", type=Path, default=Path("var/calibration.jsonl"), help="what is trained")
    parser.add_argument("--output", type=Path, default=PAGE)
    options = parser.parse_args()
    limit_threads(1)
    results = Results(options.results)
    train(results, options.minutes)
    draw_all(results, options.drawn)
    text = page(Calibration(results, EDGES, SYMBOLS, WITH_EDGE))
    options.output.write_text(text)
    print(text)
    print(f"written to {options.output}")


if __name__ == "__main__":
    main()
