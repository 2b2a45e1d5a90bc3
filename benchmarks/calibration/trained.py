"""Fleets through the real path: simulate, sequences, folds, base model, Mamba, score. No Dagster is needed.

Each symbol is scored on two folds of 500 days with a model of its own before each: two scores of 500 days and
one of 1,000. What is done is kept in a file, one line per symbol, so that a run can be stopped and continued.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

from benchmarks.calibration.fleets import RULES, Score, Tally
from ml_assets.forecasts.controls import DIRECTION_CONTROLS, ControlledSource
from ml_assets.forecasts.direction import DIRECTION_SCORING, MambaDirection
from ml_assets.forecasts.forecaster import fold_rows
from ml_assets.forecasts.walk_forward import FoldModels, walk_forward
from ml_assets.mamba import (
    BASE_RECIPE,
    MambaBaseWeights,
    MambaConfig,
    TrainingRecipe,
    pool_sequences,
    train_base,
)
from ml_assets.prices import PriceHistory
from ml_assets.prices.default_set import default_source
from ml_assets.prices.simulated import simulate
from ml_assets.windows.sequences import SequenceConfig, build_sequences

__all__ = ["DAYS", "PARTS", "WALK", "Cell", "Results", "train_cell", "train_controls", "train_symbol"]

DAYS = 2620
"""Length of a history: two folds of 500 sealed days leave 1,092 training rows to the first."""
CONFIG = SequenceConfig(test_days=1000, folds=2)
FINGERPRINT = crc32(repr((RULES, CONFIG, DAYS, MambaConfig(), TrainingRecipe(), BASE_RECIPE)).encode())
"""What was kept under other rules or settings says nothing of these."""
PARTS = ("first 500", "last 500", "both, 1,000")


class Cell(NamedTuple):
    """A market and how much of it can be known; ``edges`` symbols of it beside random walks."""

    kind: str
    best: float

    @property
    def name(self) -> str:
        return self.kind if self.kind == "random_walk" else f"{self.kind} {self.best:.0%}"

    def seed(self, fleet: int, symbol: int) -> int:
        """A seed that no other symbol of any cell has, small changes of the code notwithstanding."""
        return crc32(f"{self.name}/{fleet}/{symbol}".encode())

    def prices(self, fleet: int, symbol: int) -> PriceHistory:
        market = simulate(
            self.kind, DAYS, best_accuracy=self.best, seed=self.seed(fleet, symbol), ohlcv=False,
            symbol=f"{self.name} {fleet}/{symbol}",
        )  # fmt: skip
        return market.prices


WALK = Cell("random_walk", 0.5)


class Results:
    """Scores by cell, fleet and symbol, in a file of JSON lines; what became of drawn fleets, too.

    Lines of other rules, models or histories are passed over: `FINGERPRINT` tells them.

    Raises
    ------
    SystemExit
        If a line is damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.fleets: dict[tuple[str, int], list[dict[str, Score]]] = {}
        self.controls: dict[str, Score] = {}
        self.drawn: dict[tuple[str, float, int], Tally] = {}
        self.cpu_seconds = 0.0
        for number, line in enumerate(path.read_text().splitlines() if path.exists() else [], 1):
            try:
                record = json.loads(line)
            except ValueError as error:
                raise SystemExit(f"{path} line {number} is damaged ({error}); delete that line") from error
            if record["fingerprint"] == FINGERPRINT:
                self._keep(record)

    def add(self, cell: Cell, fleet: int, symbols: Sequence[dict[str, Score]], cpu_seconds: float) -> None:
        """Keep a whole fleet."""
        self._write({"cell": cell.name, "fleet": fleet, "symbols": symbols, "cpu_seconds": cpu_seconds})

    def add_controls(self, scores: dict[str, Score]) -> None:
        """Keep the controls, which stand beside every fleet."""
        self._write({"controls": scores})

    def add_drawn(self, what: tuple[str, float, int], tally: Tally) -> None:
        """Keep what became of fleets with drawn forecasts: what is in them, accuracy, days."""
        self._write({"drawn": what, "found": tally.found, "naive": tally.naive})

    def _write(self, record: dict[str, Any]) -> None:
        text = json.dumps({"fingerprint": FINGERPRINT, **record})  # a Score is a tuple, hence a list
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a") as file:
            file.write(text + "\n")
        self._keep(json.loads(text))

    def _keep(self, record: dict[str, Any]) -> None:
        if "controls" in record:
            self.controls = {name: Score(*score) for name, score in record["controls"].items()}
            return
        if "drawn" in record:
            kind, accuracy, days = record["drawn"]
            self.drawn[kind, accuracy, days] = Tally.from_record(record)
            return
        scores = [{part: Score(*s) for part, s in parts.items()} for parts in record["symbols"]]
        self.fleets[record["cell"], record["fleet"]] = scores
        self.cpu_seconds += record["cpu_seconds"]

    def of(self, cell: Cell) -> list[list[dict[str, Score]]]:
        """All fleets of a cell, in order."""
        return [self.fleets[key] for key in sorted(self.fleets) if key[0] == cell.name]


def train_cell(cell: Cell, fleet: int, *, symbols: int, beside: int = 0) -> Iterator[dict[str, Score]]:
    """Train and score the symbols of one fleet.

    Parameters
    ----------
    cell : Cell
    fleet : int
        Its number; fleets share no random number.
    symbols : int
        How many are trained and scored.
    beside : int
        Random walks that only teach the base model, as the rest of a fleet would.
    """
    markets = [cell.prices(fleet, i) for i in range(symbols)]
    others = [WALK.prices(-1 - fleet, i) for i in range(beside)]
    base = train_base(pool_sequences([build_sequences(m, CONFIG).fold(1) for m in [*markets, *others]]))
    for prices in markets:
        yield train_symbol(prices, base)


def train_symbol(prices: PriceHistory, base: MambaBaseWeights | None) -> dict[str, Score]:
    """Train a model before each fold, as `walk_forward_report` does, and score the parts."""
    folds = fold_rows(prices.frame, build_sequences(prices, CONFIG), (1,))
    forecaster = MambaDirection(base=base)
    models = [forecaster.fit(rows) for rows in folds]
    scored = {}
    for name, part in zip(PARTS, (slice(1), slice(1, 2), slice(2)), strict=True):
        of = FoldModels(forecaster, folds[part], *models[part])
        scored[name] = Score.of(walk_forward(DIRECTION_SCORING, of, prices.frame, folds[part]))
    return scored


def train_controls() -> dict[str, Score]:
    """Train and score the control symbols with the product's default settings: 1,000 days in four folds."""
    source, scored = ControlledSource(default_source()), {}
    for name in DIRECTION_CONTROLS:
        prices = source.load(name)
        folds = fold_rows(prices.frame, build_sequences(prices, SequenceConfig(folds=4)), (1,))
        scored[name] = Score.of(walk_forward(DIRECTION_SCORING, MambaDirection(), prices.frame, folds))
    return scored
