"""What the commands do; a target that is forecast beside direction has one of its own, see `run_beside`."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

import dagster as dg
from rich.console import Console

from ml_assets.forecasts.controls import CONTROLS
from orchestration.cli.progress import watching
from orchestration.cli.setup import FleetProgress, open_fleet, wide_console
from orchestration.cli.summary import print_quotes, print_summary, print_target
from orchestration.definitions import build_defs
from orchestration.fleet.order import Fleet, forecast_beside, forecast_direction, judge
from orchestration.fleet.resume import unfinished
from orchestration.fleet.run import forecast_succeeded, register_symbols, run_job
from orchestration.fleet.state import nobody_else_at_work
from orchestration.fleet.steps import Plan
from orchestration.instance import open_instance
from orchestration.resources import open_store
from orchestration.settings import Settings

__all__ = ["roll_back", "run_all", "run_beside", "run_quotes", "train_american", "train_options"]


def train_options(settings: Settings) -> int:
    """Train and gate the option network; 0 if it was published."""
    return _train_network(settings, "option_pipeline", "pinn_weights")


def train_american(settings: Settings) -> int:
    """Train and gate the network for American options; 0 if it was published."""
    return _train_network(settings, "american_pipeline", "american_weights")


def _train_network(settings: Settings, job: str, asset: str) -> int:
    console = Console()
    with open_instance(settings) as instance, watching(asset, console):
        outcome = run_job(build_defs(settings=settings), instance, job, assets=[asset])
    if outcome.success:
        done = f"{asset}: {outcome.gates_passed} gates passed, published after {outcome.seconds:.0f} s"
        console.print(f"{done}; reports in {settings.store_url}/reports", markup=False, highlight=False)
    else:
        logging.getLogger(__name__).error("%s: %s", asset, outcome.reason)
    return 0 if outcome.success else 1


def run_quotes(settings: Settings) -> int:
    """Load the option quotes and walk forward over them; 0 if both passed.

    Trains the option network first if the store has none.
    """
    console = wide_console()
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
    matching = [c for c in others if version is None or c.sha256.startswith(version)]
    if not matching or (version is not None and len(matching) > 1):
        listed = "\n".join(f"  {c.sha256[:12]}  {c.created_at[:19]}" for c in others) or "  none"
        print(f"{len(matching)} earlier releases match {version or 'anything'}; the store keeps:\n{listed}")
        return 2
    with open_instance(settings) as instance:
        outcome = run_job(
            build_defs(settings=settings), instance, "fleet_verdict", assets=["release"],
            config={"release": {"rollback_to": matching[0].sha256}},
        )  # fmt: skip
    state = "serves again" if outcome.success else f"was refused: {outcome.reason}"
    print(f"release {matching[0].sha256[:12]} of {matching[0].created_at[:19]} {state}")
    return 0 if outcome.success else 1


def run_all(settings: Settings, *, every_symbol: bool, anew: bool = False) -> int:
    """Materialize the whole graph; after a run that was stopped, go on where it stopped unless `anew`.

    Returns 0 if the option network, the fleet's verdict and at least one symbol passed, also when no symbol
    shows skill: one bad file must not fail the night's run of fifty. Returns 1 otherwise, and 2 if there was
    nothing to run on.
    """
    console = wide_console()
    opened = open_fleet(console, settings, every_symbol=every_symbol)
    if opened is None:
        return 2
    graph, source, symbols = opened
    with _alone(console, settings, "run", symbols, anew=anew) as (instance, since):
        with FleetProgress(console, total=2 * len(symbols) + 1) as watcher:
            fleet = Fleet(graph, instance, watcher, since)
            direction = forecast_direction(fleet, symbols, network=True)
        with console.status("measuring latency, walking over option quotes, judging the fleet"):
            shared = judge(fleet, options=True)
    if direction.network is not None and not direction.network.success:
        shared.insert(0, direction.network)
    # Without a base model the symbols train from scratch: less skilled, but no failure of the run.
    base = [] if direction.base is None else [direction.base]
    print_summary(console, fleet.store, direction.symbols, [*base, *shared], source.problems())
    passed = any(o.success for s, o in direction.symbols.items() if s not in CONTROLS)
    return 0 if passed and all(outcome.success for outcome in shared) else 1


def run_beside(settings: Settings, plan: Plan, *, every_symbol: bool, anew: bool = False) -> int:
    """Forecast a target of each symbol, judge it, release what has passed; goes on as `run_all` does.

    Returns 0 if the fleet's verdict and at least one symbol passed, 2 if there was nothing to run on, else 1.
    """
    console = wide_console()
    opened = open_fleet(console, settings, every_symbol=every_symbol)
    if opened is None:
        return 2
    graph, source, chosen = opened
    symbols = plan.symbols(chosen)
    steps = len(symbols) * (1 if plan.first is None else 2) + (1 if plan.shared is None else 2)
    with (
        _alone(console, settings, plan.command, symbols, anew=anew) as (instance, since),
        FleetProgress(console, total=steps) as watcher,
    ):
        fleet = Fleet(graph, instance, watcher, since)
        outcomes, others = forecast_beside(fleet, plan, symbols)
    print_target(console, fleet.store, plan.target, outcomes, others, source.problems())
    return 0 if forecast_succeeded([*outcomes.values(), *others]) else 1


@contextmanager
def _alone(
    console: Console, settings: Settings, command: str, symbols: Sequence[str], *, anew: bool
) -> Iterator[tuple[dg.DagsterInstance, datetime | None]]:
    """Hold the fleet; yield the instance, and when the stopped run began that this one goes on with."""

    def report(text: str) -> None:
        console.print(text, markup=False, highlight=False)

    with (
        nobody_else_at_work(settings, report),
        open_instance(settings) as instance,
        unfinished(settings, command, report, anew=anew) as since,
    ):
        register_symbols(instance, symbols)
        yield instance, since
