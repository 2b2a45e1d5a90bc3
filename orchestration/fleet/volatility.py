"""What ``gated-mamba volatility`` does: data, variance model and score of each symbol, verdict, release."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from rich.console import Console

from ml_assets.forecasts.controls import CONTROLS, VARIANCE_CONTROLS
from ml_assets.storage import ArtifactStore
from orchestration.cli.setup import open_fleet, progress_bar
from orchestration.cli.summary import print_volatility
from orchestration.definitions import VARIANCE_PIPELINE
from orchestration.fleet.run import RunOutcome, forecast_succeeded, register_symbols, run_job
from orchestration.fleet.state import current, nobody_else_at_work
from orchestration.fleet.workers import Workers
from orchestration.instance import open_instance
from orchestration.resources import open_store
from orchestration.settings import Settings

__all__ = ["forecast_fleet", "run_volatility", "variance_symbols"]

Run = Callable[[str, str | None, Sequence[str] | None], RunOutcome]
"""``(job, partition, assets) -> outcome`` in this process; all assets of the job if None."""


def run_volatility(settings: Settings, *, every_symbol: bool) -> int:
    """Forecast the variance of each symbol, judge the fleet, and release what has passed.

    Returns 0 if the fleet's verdict and at least one symbol passed, 2 if there was nothing to run on, else 1.
    """
    console = Console(width=None if Console().is_terminal else 160)
    opened = open_fleet(console, settings, every_symbol=every_symbol)
    if opened is None:
        return 2
    defs, source, chosen = opened
    symbols, store = variance_symbols(chosen), open_store(settings)
    outcomes: list[RunOutcome] = []
    with nobody_else_at_work(settings, console.print), open_instance(settings) as instance:
        register_symbols(instance, symbols)

        def run(job: str, partition: str | None, assets: Sequence[str] | None) -> RunOutcome:
            return run_job(defs, instance, job, partition=partition, assets=assets)

        with progress_bar(console) as progress:
            task = progress.add_task("variance", total=len(symbols) + 1)
            for outcome in forecast_fleet(settings, store, symbols, run, len(symbols)):
                outcomes.append(outcome)
                progress.advance(task)
                if outcome.partition is not None:
                    progress.update(task, description=f"variance: {outcome.partition}")
    by_symbol = {o.partition: o for o in outcomes}
    others = [o for o in outcomes if o.partition is None]
    print_volatility(console, store, {s: by_symbol[s] for s in symbols}, others, source.problems())
    return 0 if forecast_succeeded(outcomes) else 1


def variance_symbols(chosen: Sequence[str]) -> list[str]:
    """The chosen symbols with the controls of variance, without those of direction."""
    return [*(s for s in chosen if s not in CONTROLS), *VARIANCE_CONTROLS]


def forecast_fleet(
    settings: Settings,
    store: ArtifactStore,
    symbols: Sequence[str],
    run: Run,
    together: int,
    tags: Mapping[str, str] | None = None,
) -> Iterator[RunOutcome]:
    """Work through the symbols, then judge them; yield each outcome as soon as it is seen.

    The release is renewed where it can be: it also needs the verdicts on direction and a measured option
    network.

    Parameters
    ----------
    settings, store
        Of the fleet.
    symbols
        They have partitions.
    run
        Runs a job in this process.
    together
        How many symbols may be worked on at once; 1 where other processes could not build the definitions.
    tags
        Of the runs in other processes.
    """
    with Workers(settings, together, tags=tags, job="volatility_pipeline") as workers:
        done = workers.each(
            symbols,
            VARIANCE_PIPELINE,
            lambda symbol: run("volatility_pipeline", symbol, VARIANCE_PIPELINE),
        )
        yield from (outcome for _, outcome in done)
    verdict = run("volatility_verdict", None, None)
    yield verdict
    if verdict.success and all(current(store, asset) for asset in ("promotion", "latency_benchmark")):
        yield run("fleet_verdict", None, ["release"])
