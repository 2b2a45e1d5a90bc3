"""What ``gated-mamba run`` does, and ``options``, ``american`` and ``quotes``."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import dagster as dg
from rich.console import Console
from rich.progress import Progress, TaskID

from ml_assets.forecasts.controls import CONTROLS
from orchestration.cli.progress import watching
from orchestration.cli.setup import open_fleet, progress_bar
from orchestration.cli.summary import print_quotes, print_summary
from orchestration.definitions import DATA_ASSETS, MODEL_ASSETS, build_defs
from orchestration.fleet.run import RunOutcome, register_symbols, run_job, training_options
from orchestration.fleet.state import nobody_else_at_work
from orchestration.fleet.workers import Workers
from orchestration.instance import open_instance
from orchestration.resources import open_store
from orchestration.settings import Settings

__all__ = ["roll_back", "run_all", "run_quotes", "train_american", "train_options"]


def train_options(settings: Settings, *, quiet: bool = False) -> int:
    """Train and gate the option network; 0 if it was published."""
    return _train_network(settings, "option_pipeline", "pinn_weights", quiet=quiet)


def train_american(settings: Settings) -> int:
    """Train and gate the network for American options; 0 if it was published."""
    return _train_network(settings, "american_pipeline", "american_weights")


def _train_network(settings: Settings, job: str, asset: str, *, quiet: bool = False) -> int:
    console = Console(quiet=quiet)
    with open_instance(settings) as instance, watching(asset, console):
        outcome = run_job(build_defs(settings=settings), instance, job, assets=[asset])
    if outcome.success:
        said = (
            f"{asset}: {outcome.gates_passed} gates passed, published after {outcome.seconds:.0f} s; reports"
        )
        console.print(f"{said} in {settings.store_url}/reports", markup=False, highlight=False)
    else:
        logging.getLogger(__name__).error("%s: %s", asset, outcome.reason)
    return 0 if outcome.success else 1


def run_quotes(settings: Settings) -> int:
    """Load the option quotes and walk forward over them; 0 if both passed.

    Trains the option network first if the store has none.
    """
    console = Console(width=None if Console().is_terminal else 160)
    defs, store = build_defs(settings=settings), open_store(settings)
    with open_instance(settings) as instance:
        if store.current("pinn_weights") is None:
            console.print("no certified option network yet: training it first", markup=False)
            with watching("pinn_weights", console):
                run_job(defs, instance, "option_pipeline", assets=["pinn_weights"])
        with console.status(f"option quotes from options={settings.options!r}"):
            outcome = run_job(defs, instance, "quotes_pipeline")
    print_quotes(console, store, outcome)
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
    opened = open_fleet(console, settings, every_symbol=every_symbol)
    if opened is None:
        return 2
    defs, source, symbols = opened
    with nobody_else_at_work(settings, console.print), open_instance(settings) as instance:
        register_symbols(instance, symbols)
        with progress_bar(console) as progress, Workers(settings, len(symbols)) as workers:
            task = progress.add_task("", total=2 * len(symbols) + 1)
            fleet = _Fleet(defs, instance, workers, progress, task)
            data = fleet.prepare(symbols)
            # Only now: the data keeps every core busy, the base model only one.
            with training_options(["options"]) as wait_for_options:
                base, outcomes = fleet.train(data)
                progress.update(fleet.task, description="waiting for the option network (a second process)")
                options_failed = wait_for_options() != 0
        with console.status("measuring latency, walking over option quotes, judging the fleet"):
            others = [
                base,
                run_job(defs, instance, "option_pipeline", assets=["latency_benchmark"]),
                run_job(defs, instance, "quotes_pipeline"),
                run_job(defs, instance, "fleet_verdict"),
            ]
    print_summary(console, open_store(settings), outcomes, others, source.problems())
    if options_failed:
        console.print("The option network was not renewed: its gates or its training failed; see above.")
    # Without a base model the symbols train from scratch: less skilled, but no failure of the run.
    shared_passed = not options_failed and all(o.success for o in others if o is not base)
    passed = any(o.success for s, o in outcomes.items() if s not in CONTROLS)
    return 0 if shared_passed and passed else 1


@dataclass(frozen=True)
class _Fleet:
    """All symbols on their way: first the data of each, then the base model, then each one's own model."""

    defs: dg.Definitions
    instance: dg.DagsterInstance
    workers: Workers
    progress: Progress
    task: TaskID

    def prepare(self, symbols: Sequence[str]) -> dict[str, RunOutcome]:
        """Run the data assets of each symbol, several at a time; return the outcomes in the given order."""
        self.progress.update(self.task, description="data")
        outcomes = {}
        for symbol, outcome in self._each(symbols, DATA_ASSETS):
            outcomes[symbol] = outcome
            self.progress.update(self.task, advance=1, description=f"data: {symbol}")
        return {symbol: outcomes[symbol] for symbol in symbols}

    def train(self, data: Mapping[str, RunOutcome]) -> tuple[RunOutcome, dict[str, RunOutcome]]:
        """Train the base model on what was prepared, then the models of the symbols; show each outcome."""
        ready = [symbol for symbol, outcome in data.items() if outcome.success]
        self.progress.update(self.task, description=f"base model: {len(ready)} symbols")
        base = run_job(self.defs, self.instance, "base_pipeline", assets=["mamba_base_weights"])
        self._show("base model", base)
        self.progress.update(self.task, description="models")
        outcomes = dict(data)
        for symbol, outcome in data.items():
            if not outcome.success:
                self._show(symbol, outcome)
        for symbol, outcome in self._each(ready, MODEL_ASSETS):
            outcomes[symbol] = data[symbol].then(outcome)
            self._show(symbol, outcomes[symbol])
        return base, outcomes

    def _each(self, symbols: Sequence[str], assets: Sequence[str]) -> Iterator[tuple[str, RunOutcome]]:
        def here(symbol: str) -> RunOutcome:
            return run_job(self.defs, self.instance, "symbol_pipeline", partition=symbol, assets=assets)

        return self.workers.each(symbols, assets, here)

    def _show(self, name: str, outcome: RunOutcome) -> None:
        state = "passed" if outcome.success else f"stopped: {outcome.reason}"
        self.progress.advance(self.task)
        self.progress.console.print(
            f"{name}: {outcome.gates_passed} gates passed, {outcome.seconds:.0f} s, {state}", markup=False
        )
