"""What ``gated-mamba run`` and ``gated-mamba options`` do."""

from __future__ import annotations

import logging

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
from orchestration.definitions import DATA_ASSETS, MODEL_ASSETS, build_defs
from orchestration.fleet import RunOutcome, register_symbols, run_job, training_options
from orchestration.instance import open_instance
from orchestration.resources import open_store
from orchestration.settings import Settings
from orchestration.summary import print_summary
from orchestration.workers import prepare_data

__all__ = ["run_all", "train_options"]


def train_options(settings: Settings) -> int:
    """Train and gate the option network; 0 if it was published."""
    with open_instance(settings) as instance:
        outcome = run_job(build_defs(settings=settings), instance, "option_pipeline", assets=["pinn_weights"])
    if not outcome.success:
        logging.getLogger(__name__).error("option network: %s", outcome.reason)
    return 0 if outcome.success else 1


def run_all(settings: Settings, *, every_symbol: bool) -> int:
    """Materialize the whole graph.

    Returns 0 if the option network, the fleet's verdict and at least one symbol passed, also when no symbol
    shows skill: one bad file must not fail the night's run of fifty. Returns 1 otherwise, and 2 if there was
    nothing to run on.
    """
    console = Console(width=None if Console().is_terminal else 160)
    try:
        defs = build_defs(settings=settings)
    except StoreError as error:
        console.print(f"cannot open the store {settings.store_url!r}: {error}", markup=False)
        return 2
    source: PriceSource = defs.resources["source"]  # type: ignore[index]
    try:
        available = source.symbols()
        symbols = available if every_symbol else settings.wanted_symbols(available)
    except (ValueError, OSError) as error:
        console.print(f"cannot open the prices: {error}", markup=False)
        return 2
    if not symbols:
        console.print(f"no symbol in prices={settings.prices!r}; {_problems_text(source)}", markup=False)
        return 2
    console.print(
        f"{len(symbols)} symbols from prices={settings.prices!r}, artifacts in {settings.store_url}",
        markup=False,
    )
    with open_instance(settings) as instance:
        register_symbols(instance, symbols)
        with training_options(["options"]) as wait_for_options:
            outcomes, base = _run_symbols(console, settings, defs, instance, symbols)
            with console.status("waiting for the option network (trains in a second process)"):
                options_failed = wait_for_options() != 0
        with console.status("measuring latency, judging the fleet"):
            others = [
                base,
                run_job(defs, instance, "option_pipeline", assets=["latency_benchmark"]),
                run_job(defs, instance, "fleet_verdict"),
            ]
    print_summary(console, open_store(settings), outcomes, others, source.problems())
    if options_failed:
        console.print("The option network was not renewed: its gates or its training failed; see above.")
    # Without a base model the symbols train from scratch: less skilled, but no failure of the run.
    shared_passed = not options_failed and all(o.success for o in others if o is not base)
    return 0 if shared_passed and any(o.success for o in outcomes.values()) else 1


def _run_symbols(
    console: Console,
    settings: Settings,
    defs: dg.Definitions,
    instance: dg.DagsterInstance,
    symbols: list[str],
) -> tuple[dict[str, RunOutcome], RunOutcome]:
    """Prepare the data of all symbols, train the base model on them, then each symbol's own."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("symbols", total=2 * len(symbols) + 1)

        def run(what: str, job: str, symbol: str | None, assets: list[str]) -> RunOutcome:
            progress.update(task, description=what)
            outcome = run_job(defs, instance, job, partition=symbol, assets=assets)
            progress.advance(task)
            return outcome

        def show(name: str, outcome: RunOutcome) -> None:
            state = "passed" if outcome.success else f"stopped: {outcome.reason}"
            progress.console.print(
                f"{name}: {outcome.gates_passed} gates passed, {outcome.seconds:.0f} s, {state}", markup=False
            )

        def prepare(symbol: str) -> RunOutcome:
            return run_job(defs, instance, "symbol_pipeline", partition=symbol, assets=DATA_ASSETS)

        progress.update(task, description="data")
        data = {}
        for symbol, outcome in prepare_data(settings, symbols, prepare):
            data[symbol] = outcome
            progress.update(task, advance=1, description=f"data: {symbol}")
        ready = [s for s in symbols if data[s].success]
        base = run(f"base model: {len(ready)} symbols", "base_pipeline", None, ["mamba_base_weights"])
        show("base model", base)
        outcomes = {}
        for symbol in symbols:
            outcomes[symbol] = data[symbol]
            if data[symbol].success:
                model = run(f"model: {symbol}", "symbol_pipeline", symbol, MODEL_ASSETS)
                outcomes[symbol] = data[symbol].then(model)
            else:
                progress.advance(task)
            show(symbol, outcomes[symbol])
    return outcomes, base


def _problems_text(source: PriceSource) -> str:
    problems = source.problems()
    return "refused: " + "; ".join(map(str, problems)) if problems else "the source is empty"
