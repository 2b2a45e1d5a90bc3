"""What every command over the fleet begins with: definitions, prices, symbols, progress."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from ml_assets.prices import PriceSource
from ml_assets.storage import StoreError
from orchestration.definitions import build_defs
from orchestration.fleet.run import Graph, RunOutcome
from orchestration.fleet.steps import BASE, DATA, MODELS, NETWORK, PLANS, Step
from orchestration.settings import Settings

__all__ = ["FleetProgress", "open_fleet", "wide_console"]


def open_fleet(
    console: Console, settings: Settings, *, every_symbol: bool
) -> tuple[Graph, PriceSource, list[str]] | None:
    """Assemble the project and choose the symbols; None, and a line that says why, if there is nothing."""
    try:
        defs = build_defs(settings=settings)
    except StoreError as error:
        console.print(f"cannot open the store {settings.store_url!r}: {error}", markup=False)
        return None
    graph: Graph = (defs.resources or {})["graph"]
    source: PriceSource = graph.resource("source")
    try:
        available = source.symbols()
        symbols = available if every_symbol else settings.wanted_symbols(available)
    except (ValueError, OSError) as error:
        console.print(f"cannot open the prices: {error}", markup=False)
        return None
    if not symbols:
        problems = source.problems()
        why = "refused: " + "; ".join(map(str, problems)) if problems else "the source is empty"
        console.print(f"no symbol in prices={settings.prices!r}; {why}", markup=False)
        return None
    console.print(
        f"{len(symbols)} symbols from prices={settings.prices!r}, artifacts in {settings.store_url}",
        markup=False,
    )
    return graph, source, symbols


class FleetProgress:
    """The bar of a fleet run, and a line per model: a :class:`orchestration.fleet.order.Watcher`."""

    def __init__(self, console: Console, *, total: int) -> None:
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        self._bar = Progress(*columns, console=console)
        self._task = self._bar.add_task("", total=total)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def begins(self, step: Step, symbols: int, kept: Sequence[str]) -> None:
        """Show what comes now, and what of it a stopped run has left."""
        waiting = "waiting for the option network (a second process)"
        self._bar.update(self._task, description=waiting if step == NETWORK else step.title)
        if kept:
            names = ", ".join(kept[:20]) + (" ..." if len(kept) > 20 else "")
            self._print(f"{step.title}: {len(kept)} of {symbols} symbols kept from the stopped run: {names}")

    def ended(self, step: Step, outcome: RunOutcome) -> None:
        """Move the bar; print how the base model and each symbol came out."""
        if step in (DATA, *(plan.models for plan in PLANS)):
            self._bar.update(self._task, description=f"{step.title}: {outcome.partition}")
        stopped_early = step == DATA and not outcome.success  # its models are not made
        self._bar.advance(self._task, 2 if stopped_early else 1)
        of_fleet = step in (BASE, NETWORK)
        if of_fleet or stopped_early or (step == MODELS and not outcome.kept):
            self._print(f"{step.title if of_fleet else outcome.partition}: {outcome.text}")

    def _print(self, text: str) -> None:
        self._bar.console.print(text, markup=False)


def wide_console() -> Console:
    """A console that does not fold the closing table where nobody looks."""
    return Console(width=None if Console().is_terminal else 160)
