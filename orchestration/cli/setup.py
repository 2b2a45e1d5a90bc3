"""What every command over the fleet begins with: definitions, prices, symbols, a progress bar."""

from __future__ import annotations

import dagster as dg
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
from orchestration.settings import Settings

__all__ = ["open_fleet", "progress_bar"]


def open_fleet(
    console: Console, settings: Settings, *, every_symbol: bool
) -> tuple[dg.Definitions, PriceSource, list[str]] | None:
    """Assemble the project and choose the symbols; None, and a line that says why, if there is nothing."""
    try:
        defs = build_defs(settings=settings)
    except StoreError as error:
        console.print(f"cannot open the store {settings.store_url!r}: {error}", markup=False)
        return None
    source: PriceSource = defs.resources["source"]  # type: ignore[index]
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
    return defs, source, symbols


def progress_bar(console: Console) -> Progress:
    """Spinner, what is being done, bar, count and time."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
    )
