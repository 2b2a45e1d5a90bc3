"""The job that works through symbols in order: data, base model, models, verdict.

A schedule or sensor that asked for one run per symbol could not make the models wait for the base model, nor
the verdict for the models; and each run would import TensorFlow. Here one run does it in a process per core,
as the command does, and each symbol is a recorded run of its own: it shows under its partition, and if it
fails, the others go on.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

from ml_assets.forecasts.controls import CONTROLS
from ml_assets.prices import PriceSource
from ml_assets.storage import ArtifactStore, ProcessId
from orchestration.fleet.run import RunOutcome, forecast_succeeded, register_symbols, run_job
from orchestration.fleet.state import current, known_symbols, nobody_else_at_work
from orchestration.instance import PROCESS, close_dead_runs
from orchestration.settings import Settings

if TYPE_CHECKING:
    from orchestration.fleet.workers import Workers  # which imports this module

__all__ = ["CHILDREN", "FLEET_RUN", "REASON", "FleetUpdate", "Graph", "fleet_update", "request_update"]

REASON = "gated-mamba/reason"
"""Tag: why a run was made."""
FLEET_RUN = "gated-mamba/fleet-run"
"""Tag: the run of the job that made this one."""
CHILDREN = "failed_runs"
"""Metadata of the job's failure: the runs that failed in it, which have been reported themselves."""


@dataclass(frozen=True)
class Graph:
    """The definitions that a run belongs to, for a job that runs other jobs of them.

    Parameters
    ----------
    defs
        Returns them; they do not exist yet when this is made.
    own_process_only
        Whether other processes could not build the same definitions: then this one does everything.
    """

    defs: Callable[[], dg.Definitions]
    own_process_only: bool = False


class FleetUpdate(dg.Config):
    """What to work through."""

    symbols: list[str] = Field(default_factory=list)
    """Which symbols; none: every one that the settings want and the source has."""
    renew_base: bool = True
    """Whether the base model is trained again between data and models."""
    variance: bool = False
    """Whether variance follows even where the setting ``volatility`` does not ask for it."""
    reason: str = "asked for by hand"


def request_update(
    symbols: Sequence[str],
    reason: str,
    *,
    renew_base: bool,
    run_key: str,
    variance: bool = False,
    tags: Mapping[str, str] | None = None,
) -> dg.RunRequest:
    """Ask for a run of the job; its reason stands in the tags."""
    config = {"symbols": list(symbols), "renew_base": renew_base, "variance": variance, "reason": reason}
    told = {REASON: reason[:250], "gated-mamba/symbols": (",".join(symbols) or "all")[:250], **(tags or {})}
    return dg.RunRequest(run_key, run_config={"ops": {"update_fleet": {"config": config}}}, tags=told)


@dg.op
def update_fleet(
    context: dg.OpExecutionContext,
    config: FleetUpdate,
    graph: dg.ResourceParam[Graph],
    settings: dg.ResourceParam[Settings],
    source: dg.ResourceParam[PriceSource],
    store: dg.ResourceParam[ArtifactStore],
) -> None:
    """Work through the symbols; a failing one never stops the others."""
    context.instance.add_run_tags(context.run_id, {PROCESS: ProcessId.of_self().tag})
    with nobody_else_at_work(settings, context.log.info):
        close_dead_runs(context.instance)
        _Work(context, config, graph, settings, source, store).run()


@dataclass(frozen=True)
class _Work:
    context: dg.OpExecutionContext
    config: FleetUpdate
    graph: Graph
    settings: Settings
    source: PriceSource
    store: ArtifactStore

    def run(self) -> None:
        from orchestration.definitions import DATA_ASSETS, MODEL_ASSETS  # which imports this module
        from orchestration.fleet.workers import Workers

        symbols = self._symbols()
        together = 1 if self.graph.own_process_only else len(symbols)
        with Workers(self.settings, together, tags=self._tags()) as workers:
            data = dict(self._each(workers, symbols, DATA_ASSETS))
            ready = [symbol for symbol in symbols if data[symbol].success]
            # Without a base model the symbols train from scratch: less skilled, but no failure of the run.
            others = [self._step("base_pipeline")] if self.config.renew_base and ready else []
            models = dict(self._each(workers, ready, MODEL_ASSETS))
        verdict = self._step("fleet_verdict", self._verdict_assets())
        variance: list[RunOutcome] = []
        # Controls alone, tried once more, have no symbol's variance to be forecast beside theirs.
        if (self.settings.volatility or self.config.variance) and not set(ready) <= set(CONTROLS):
            variance = self._forecast_variance(ready, together)
        self._close({**data, **models}, [*others, verdict], verdict, variance)

    def _forecast_variance(self, ready: Sequence[str], together: int) -> list[RunOutcome]:
        """Also the variance of these symbols; whatever comes of it, the verdict on direction stands."""
        from orchestration.fleet.volatility import forecast_fleet, variance_symbols

        symbols = variance_symbols(ready)
        register_symbols(self.context.instance, symbols)
        outcomes = []
        for outcome in forecast_fleet(
            self.settings, self.store, symbols, self._run, together, tags=self._tags()
        ):
            self._log(outcome)
            outcomes.append(outcome)
        return outcomes

    def _symbols(self) -> list[str]:
        if self.config.symbols:
            known = set(known_symbols(self.context.instance))
            if unknown := [symbol for symbol in self.config.symbols if symbol not in known]:
                self.context.log.warning(f"no partition, so left out: {', '.join(unknown)}")
            return [symbol for symbol in self.config.symbols if symbol in known]
        symbols = self.settings.wanted_symbols(self.source.symbols())
        register_symbols(self.context.instance, symbols)
        return symbols

    def _each(
        self, workers: "Workers", symbols: Sequence[str], assets: Sequence[str]
    ) -> Iterator[tuple[str, RunOutcome]]:
        """Run the assets of every symbol, several at a time."""

        def here(symbol: str) -> RunOutcome:
            return self._run("symbol_pipeline", symbol, assets)

        for symbol, outcome in workers.each(symbols, assets, here):
            self._log(outcome)
            yield symbol, outcome

    def _verdict_assets(self) -> Sequence[str] | None:
        """All of the job, but no release before there is a measured option network to put into it."""
        if current(self.store, "latency_benchmark") is not None:
            return None
        self.context.log.info("no option network yet: the fleet is judged, the release follows by its sensor")
        nodes = self.graph.defs().resolve_job_def("fleet_verdict").asset_layer.selected_asset_keys
        return [key.to_user_string() for key in nodes if key.to_user_string() != "release"]

    def _step(self, job: str, assets: Sequence[str] | None = None) -> RunOutcome:
        outcome = self._run(job, None, assets)
        self._log(outcome)
        return outcome

    def _run(self, job: str, partition: str | None, assets: Sequence[str] | None) -> RunOutcome:
        return run_job(
            self.graph.defs(),
            self.context.instance,
            job,
            partition=partition,
            assets=assets,
            tags=self._tags(),
        )

    def _log(self, outcome: RunOutcome) -> None:
        state = "passed" if outcome.success else f"stopped: {outcome.reason}"
        name = f"{outcome.job}[{outcome.partition}]" if outcome.partition else outcome.job
        self.context.log.info(
            f"{name}: {outcome.gates_passed} gates passed, {outcome.seconds:.0f} s, {state}"
        )

    def _tags(self) -> dict[str, str]:
        return {FLEET_RUN: self.context.run_id, REASON: self.config.reason[:250]}

    def _close(
        self,
        outcomes: Mapping[str, RunOutcome],
        others: Sequence[RunOutcome],
        verdict: RunOutcome,
        variance: Sequence[RunOutcome],
    ) -> None:
        """Show what came out; fail as the commands do: if nothing passed, or a verdict or release did not."""
        failed = [o for o in [*outcomes.values(), *others, *variance] if not o.success]
        stopped = {s: str(o.reason) for s, o in outcomes.items() if not o.success}
        self.context.add_output_metadata({"passed": len(outcomes) - len(stopped), "stopped": stopped})
        trouble = []
        if not verdict.success:
            trouble.append("the fleet's verdict failed")
        elif outcomes and len(stopped) == len(outcomes):
            trouble.append("no symbol passed")
        if variance and not forecast_succeeded(variance):
            trouble.append("the variance step failed (direction has its verdict)")
        if trouble:
            raise dg.Failure(
                f"{' and '.join(trouble)}: "
                + "; ".join(f"{o.partition or o.job}: {o.reason}" for o in failed),
                metadata={CHILDREN: [o.run_id for o in failed]},
                allow_retries=False,
            )


@dg.job(
    description="Works through symbols in order: data, base model, models, verdict; each a run of its own.",
    executor_def=dg.in_process_executor,
)
def fleet_update() -> None:
    """One op, since what it does are runs of their own."""
    update_fleet()
