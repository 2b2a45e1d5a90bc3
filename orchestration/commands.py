"""What the commands ``run``, ``volatility``, ``options`` and ``rollback`` do."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import dagster as dg
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
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
from orchestration.summary import print_summary, print_volatility
from orchestration.workers import prepare_data

__all__ = ["roll_back", "run_all", "run_volatility", "train_options"]


def train_options(settings: Settings) -> int:
    """Train and gate the option network; 0 if it was published."""
    with open_instance(settings) as instance:
        outcome = run_job(build_defs(settings=settings), instance, "option_pipeline", assets=["pinn_weights"])
    if not outcome.success:
        logging.getLogger(__name__).error("option network: %s", outcome.reason)
    return 0 if outcome.success else 1


def roll_back(settings: Settings, version: str | None) -> int:
    """Serve an earlier release again, through its gates; 0 if it was published.

    Parameters
    ----------
    settings
        Name the store.
    version
        Beginning of its hash; the one before the current by default.
    """
    store = open_store(settings)
    current, kept = store.current("release"), store.versions("release")
    others = [c for c in kept if current is None or c.sha256 != current.sha256]
    found = [c for c in others if version is None or c.sha256.startswith(version)]
    if not found or (version is not None and len(found) > 1):
        listed = "\n".join(f"  {c.sha256[:12]}  {c.created_at[:19]}" for c in others) or "  none"
        print(f"{len(found)} earlier releases match {version or 'anything'}; the store keeps:\n{listed}")
        return 2
    with open_instance(settings) as instance:
        outcome = run_job(
            build_defs(settings=settings), instance, "fleet_verdict", assets=["release"],
            config={"release": {"rollback_to": found[0].sha256}},
        )  # fmt: skip
    said = "serves again" if outcome.success else f"was refused: {outcome.reason}"
    print(f"release {found[0].sha256[:12]} of {found[0].created_at[:19]} {said}")
    return 0 if outcome.success else 1


def run_all(settings: Settings, *, every_symbol: bool) -> int:
    """Materialize the whole graph.

    Returns 0 if the option network, the fleet's verdict and at least one symbol passed, also when no symbol
    shows skill: one bad file must not fail the night's run of fifty. Returns 1 otherwise, and 2 if there was
    nothing to run on.
    """
    console = Console(width=None if Console().is_terminal else 160)
    opened = _open(console, settings, every_symbol=every_symbol)
    if opened is None:
        return 2
    defs, source, symbols = opened
    with open_instance(settings) as instance:
        register_symbols(instance, symbols)
        with _progress(console) as progress:
            fleet = _Fleet(
                settings, defs, instance, progress, progress.add_task("", total=2 * len(symbols) + 1)
            )
            data = fleet.prepare(symbols)
            # Only now: the data keeps every core busy, training a model only one.
            with training_options(["options"]) as wait_for_options:
                base, outcomes = fleet.train(data)
                progress.update(fleet.task, description="waiting for the option network (a second process)")
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


def run_volatility(settings: Settings, *, every_symbol: bool) -> int:
    """Prepare the data of each symbol, train and score its variance model, judge the fleet.

    Returns 0 if the fleet's verdict and at least one symbol passed, 2 if there was nothing to run on, else 1.
    """
    console = Console(width=None if Console().is_terminal else 160)
    opened = _open(console, settings, every_symbol=every_symbol)
    if opened is None:
        return 2
    defs, source, symbols = opened
    with open_instance(settings) as instance:
        register_symbols(instance, symbols)
        with _progress(console) as progress:
            fleet = _Fleet(settings, defs, instance, progress, progress.add_task("", total=2 * len(symbols)))
            outcomes = fleet.forecast_variance(fleet.prepare(symbols))
        verdict = run_job(defs, instance, "volatility_verdict")
    print_volatility(console, open_store(settings), outcomes, verdict, source.problems())
    return 0 if verdict.success and any(o.success for o in outcomes.values()) else 1


def _open(
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
        console.print(f"no symbol in prices={settings.prices!r}; {_problems_text(source)}", markup=False)
        return None
    console.print(
        f"{len(symbols)} symbols from prices={settings.prices!r}, artifacts in {settings.store_url}",
        markup=False,
    )
    return defs, source, symbols


def _progress(console: Console) -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
    )


@dataclass(frozen=True)
class _Fleet:
    """All symbols on their way: first the data of each, then the base model, then each one's own model."""

    settings: Settings
    defs: dg.Definitions
    instance: dg.DagsterInstance
    progress: Progress
    task: TaskID

    def prepare(self, symbols: Sequence[str]) -> dict[str, RunOutcome]:
        """Run the data assets of each symbol, several at a time; return the outcomes in the given order."""
        self.progress.update(self.task, description="data")
        outcomes = {}
        for symbol, outcome in prepare_data(self.settings, symbols, self._prepare_here):
            outcomes[symbol] = outcome
            self.progress.update(self.task, advance=1, description=f"data: {symbol}")
        return {symbol: outcomes[symbol] for symbol in symbols}

    def train(self, data: Mapping[str, RunOutcome]) -> tuple[RunOutcome, dict[str, RunOutcome]]:
        """Train the base model on what was prepared, then the model of every symbol; show each outcome."""
        ready = sum(outcome.success for outcome in data.values())
        self.progress.update(self.task, description=f"base model: {ready} symbols")
        base = run_job(self.defs, self.instance, "base_pipeline", assets=["mamba_base_weights"])
        self._show("base model", base)
        outcomes = {}
        for symbol, prepared in data.items():
            self.progress.update(self.task, description=f"model: {symbol}")
            outcomes[symbol] = prepared
            if prepared.success:
                outcomes[symbol] = prepared.then(self._run(symbol, MODEL_ASSETS))
            self._show(symbol, outcomes[symbol])
        return base, outcomes

    def forecast_variance(self, data: Mapping[str, RunOutcome]) -> dict[str, RunOutcome]:
        """Train and score the variance model of every symbol whose data is ready; show each outcome."""
        outcomes = {}
        for symbol, prepared in data.items():
            self.progress.update(self.task, description=f"variance: {symbol}")
            outcomes[symbol] = prepared
            if prepared.success:
                run = run_job(self.defs, self.instance, "volatility_pipeline", partition=symbol)
                outcomes[symbol] = prepared.then(run)
            self._show(symbol, outcomes[symbol])
        return outcomes

    def _prepare_here(self, symbol: str) -> RunOutcome:
        return self._run(symbol, DATA_ASSETS)

    def _run(self, symbol: str, assets: Sequence[str]) -> RunOutcome:
        return run_job(self.defs, self.instance, "symbol_pipeline", partition=symbol, assets=assets)

    def _show(self, name: str, outcome: RunOutcome) -> None:
        state = "passed" if outcome.success else f"stopped: {outcome.reason}"
        self.progress.advance(self.task)
        self.progress.console.print(
            f"{name}: {outcome.gates_passed} gates passed, {outcome.seconds:.0f} s, {state}", markup=False
        )


def _problems_text(source: PriceSource) -> str:
    problems = source.problems()
    return "refused: " + "; ".join(map(str, problems)) if problems else "the source is empty"
