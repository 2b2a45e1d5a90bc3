"""The job `fleet_update`: a fleet, or some of its symbols, in order (`orchestration.fleet.order`).

A schedule or sensor that asked for one run per symbol could not make the models wait for the base model, nor
the verdict for the models; and each run would import TensorFlow. Here one run does it in a process per core,
as the command does, and each symbol is a recorded run of its own: it shows under its partition, and if it
fails, the others go on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import dagster as dg
from pydantic import Field

from ml_assets.forecasts.controls import CONTROLS
from ml_assets.prices import PriceSource
from ml_assets.storage import ProcessId
from orchestration.fleet.order import Fleet, forecast_beside, forecast_direction, judge
from orchestration.fleet.resume import unfinished
from orchestration.fleet.run import Graph, RunOutcome, forecast_succeeded, register_symbols
from orchestration.fleet.state import known_symbols, nobody_else_at_work
from orchestration.fleet.steps import PLANS, Step
from orchestration.instance import PROCESS, close_dead_runs
from orchestration.settings import Settings

__all__ = ["CHILDREN", "FLEET_RUN", "REASON", "FleetUpdate", "fleet_update", "request_update"]

REASON = "gated-mamba/reason"
"""Tag: why a run was made."""
FLEET_RUN = "gated-mamba/fleet-run"
"""Tag: the run of the job that made this one."""
CHILDREN = "failed_runs"
"""Metadata of the job's failure: the runs that failed in it, which have been reported themselves."""


class FleetUpdate(dg.Config):
    """What to work through."""

    symbols: list[str] = Field(default_factory=list)
    """Which symbols; none: every one that the settings want and the source has."""
    renew_base: bool = True
    """Whether the base model is trained again between data and models."""
    beside: list[str] = Field(default_factory=list)
    """Targets that follow direction even where no setting asks for them, by the names of their commands."""
    reason: str = "asked for by hand"


def request_update(
    symbols: Sequence[str],
    reason: str,
    *,
    renew_base: bool,
    run_key: str,
    beside: Sequence[str] = (),
    tags: Mapping[str, str] | None = None,
) -> dg.RunRequest:
    """Ask for a run of the job; its reason stands in the tags."""
    config = {"symbols": list(symbols), "renew_base": renew_base, "beside": list(beside), "reason": reason}
    tags = {REASON: reason[:250], "gated-mamba/symbols": (",".join(symbols) or "all")[:250], **(tags or {})}
    return dg.RunRequest(run_key, run_config={"ops": {"update_fleet": {"config": config}}}, tags=tags)


@dg.op
def update_fleet(
    context: dg.OpExecutionContext,
    config: FleetUpdate,
    graph: dg.ResourceParam[Graph],
    settings: dg.ResourceParam[Settings],
    source: dg.ResourceParam[PriceSource],
) -> None:
    """Work through the symbols; a failing one never stops the others."""
    context.instance.add_run_tags(context.run_id, {PROCESS: ProcessId.of_self().tag})
    with nobody_else_at_work(settings, context.log.info):
        close_dead_runs(context.instance)
        symbols = _symbols(context, config, settings, source)
        with unfinished(settings, "fleet_update", context.log.info) as since:
            tags = {FLEET_RUN: context.run_id, REASON: config.reason[:250]}
            fleet = Fleet(graph, context.instance, _Log(context), since, tags)
            direction = forecast_direction(fleet, symbols, renew_base=config.renew_base)
            (verdict,) = judge(fleet)
            beside: dict[str, list[RunOutcome]] = {}
            # Controls alone, tried once more, have no symbol's variance to be forecast beside theirs.
            stocks = not set(direction.ready) <= set(CONTROLS)
            for plan in PLANS:
                if stocks and (getattr(settings, plan.command) or plan.command in config.beside):
                    chosen = plan.symbols(direction.ready)
                    register_symbols(context.instance, chosen)
                    outcomes, others = forecast_beside(fleet, plan, chosen)
                    beside[plan.target.name] = [*outcomes.values(), *others]
    base = [] if direction.base is None else [direction.base]
    _close(context, direction.symbols, base, verdict, beside)


def _symbols(
    context: dg.OpExecutionContext, config: FleetUpdate, settings: Settings, source: PriceSource
) -> list[str]:
    if not config.symbols:
        symbols = settings.wanted_symbols(source.symbols())
        register_symbols(context.instance, symbols)
        return symbols
    known = set(known_symbols(context.instance))
    if unknown := [symbol for symbol in config.symbols if symbol not in known]:
        context.log.warning(f"no partition, so left out: {', '.join(unknown)}")
    return [symbol for symbol in config.symbols if symbol in known]


@dataclass(frozen=True)
class _Log:
    """Writes what has been done into the run's log; a :class:`orchestration.fleet.order.Watcher`."""

    context: dg.OpExecutionContext

    def begins(self, step: Step, symbols: int, kept: Sequence[str]) -> None:
        """Name the step, and what of it a stopped run has left."""
        left = f": {len(kept)} of {symbols} symbols kept from the stopped run" if kept else ""
        self.context.log.info(step.title + left)

    def ended(self, step: Step, outcome: RunOutcome) -> None:
        """Say what a run came to."""
        name = f"{outcome.job}[{outcome.partition}]" if outcome.partition else outcome.job
        self.context.log.info(f"{name}: {step.title}: {outcome.text}")


def _close(
    context: dg.OpExecutionContext,
    outcomes: Mapping[str, RunOutcome],
    others: Sequence[RunOutcome],
    verdict: RunOutcome,
    beside: Mapping[str, Sequence[RunOutcome]],
) -> None:
    """Show what came out; fail as the commands do: if nothing passed, or a verdict or release did not."""
    of_others = [outcome for runs in beside.values() for outcome in runs]
    failed = [o for o in [*outcomes.values(), *others, verdict, *of_others] if not o.success]
    stopped = {s: str(o.reason) for s, o in outcomes.items() if not o.success}
    context.add_output_metadata({"passed": len(outcomes) - len(stopped), "stopped": stopped})
    trouble = []
    if not verdict.success:
        trouble.append("the fleet's verdict failed")
    elif outcomes and len(stopped) == len(outcomes):
        trouble.append("no symbol passed")
    trouble += [
        f"the {name} step failed (direction has its verdict)"
        for name, runs in beside.items()
        if not forecast_succeeded(runs)
    ]
    if trouble:
        raise dg.Failure(
            f"{' and '.join(trouble)}: " + "; ".join(f"{o.partition or o.job}: {o.reason}" for o in failed),
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
