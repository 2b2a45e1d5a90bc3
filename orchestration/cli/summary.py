"""The table at the end of a run: what passed, what the numbers are, where to look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ml_assets.chains.walk_forward import OptionWalkForward
from ml_assets.forecasts.target import Target
from ml_assets.forecasts.targets import DIRECTION
from ml_assets.forecasts.verdicts import Promotion
from ml_assets.pinn import LatencyReport
from ml_assets.prices import Problem
from ml_assets.reports.option_walk import walk_table
from ml_assets.storage import ArtifactStore, NotCertified
from orchestration.fleet.run import RunOutcome

__all__ = ["print_quotes", "print_summary", "print_target"]


def print_summary(
    console: Console,
    store: ArtifactStore,
    outcomes: Mapping[str, RunOutcome],
    others: Sequence[RunOutcome],
    problems: Sequence[Problem],
) -> None:
    """Print the closing table.

    Parameters
    ----------
    console
        Where to print.
    store
        Where the certified verdicts lie.
    outcomes
        The symbols' runs.
    others
        The runs of options and fleet.
    problems
        Files or symbols that the price source refused.
    """
    data = _made_now(store, DIRECTION.verdicts, others)
    verdicts = None if data is None else DIRECTION.promotion.from_bytes(data)
    table = Table(title="Fleet", caption="accuracy on sealed test days; p: Pesaran-Timmermann, one-sided")
    for column in ("symbol", "gates", "days", "accuracy", "best baseline", "p", "verdict", "why"):
        table.add_column(column, overflow="fold", justify="left")
    for symbol, outcome in outcomes.items():
        cells = (symbol, _gates(outcome), *_figures(symbol, outcome, verdicts))
        table.add_row(*map(Text, cells))  # as it stands: a bracket in a reason is no markup
    console.print(table)
    for outcome in others:
        _print_outcome(console, outcome)
    _print_latency(console, _made_now(store, "latency_benchmark", others))
    _print_walk(console, store, _walk_made_now(store, others))
    _print_quarantine(console, [*outcomes.values(), *others])
    _print_problems(console, problems)
    console.print(f"\nArtifacts, certificates, quarantine: {store.root}", markup=False)
    console.print("Runs, checks, metadata in the UI:    make ui", markup=False)


def print_quotes(console: Console, store: ArtifactStore, outcome: RunOutcome) -> None:
    """Print what the walk forward over option quotes came to, with the table of its models."""
    walk = _walk_made_now(store, [outcome])
    if walk is not None:
        console.print(walk_table(walk) + "\n", markup=False)
    _print_outcome(console, outcome)
    _print_walk(console, store, walk)
    _print_quarantine(console, [outcome])


def _walk_made_now(store: ArtifactStore, runs: Sequence[RunOutcome]) -> OptionWalkForward | None:
    data = _made_now(store, "option_walk_forward", runs)
    return None if data is None else OptionWalkForward.from_bytes(data)


def _print_walk(console: Console, store: ArtifactStore, walk: OptionWalkForward | None) -> None:
    if walk is None:
        return
    kind = "SIMULATED prices" if walk.simulated else f"prices from {walk.source}"
    errors = walk.errors()
    console.print(
        f"option walk forward: {len(walk.forecasts):,} {kind} on {walk.days} days, mean error "
        f"${errors['smile']:.2f} (sticky strike ${errors['sticky_strike']:.2f}); "
        f"{store.root}/reports/options/{walk.name}.md",
        markup=False,
        soft_wrap=True,
    )


def print_target(
    console: Console,
    store: ArtifactStore,
    target: Target,
    outcomes: Mapping[str, RunOutcome],
    others: Sequence[RunOutcome],
    problems: Sequence[Problem],
) -> None:
    """Print the closing table of a target that is forecast beside direction; others as of `print_summary`."""
    data = _made_now(store, target.verdicts, others)
    score, write = ("accuracy", "{:.1%}") if target.higher_is_better else ("QLIKE", "{:.4f}")
    test = "Pesaran-Timmermann" if target.higher_is_better else "Diebold-Mariano"
    table = Table(
        title=target.name.capitalize(),
        caption=f"{score} on sealed days; p: {test}, one-sided, times attempts",
    )
    heads = ("symbol", "days ahead", "days", score, f"{score} gain", "best baseline", "p", "verdict", "why")
    for column in heads:
        table.add_column(column, overflow="fold", justify="left")
    promotion = None if data is None else target.promotion.from_bytes(data)
    for v in [] if promotion is None else promotion.everyone:
        if v.symbol in outcomes:
            level = "-" if v.level is None else write.format(v.level)
            gain = "-" if v.gain is None else f"{v.gain:+.4f}"
            p, best = f"{v.p_value:.4f}", v.best_baseline or "-"
            cells = (v.symbol, str(v.horizon), str(v.days), level, gain, best, p, v.verdict, v.reason)
            table.add_row(*map(Text, cells))
    console.print(table)
    for symbol, outcome in outcomes.items():
        if not outcome.success:
            console.print(f"{symbol}: stopped: {outcome.reason}", markup=False)
    for outcome in others:
        _print_outcome(console, outcome)
    if promotion is not None and promotion.void is not None:
        console.print(f"No promotion of this run counts: {promotion.void}", markup=False)
    _print_quarantine(console, [*outcomes.values(), *others])
    _print_problems(console, problems)


def _made_now(store: ArtifactStore, asset: str, runs: Sequence[RunOutcome]) -> bytes | None:
    """Read what one of these runs published; an older version would pass for this run's result."""
    try:
        data, certificate = store.read(asset)
    except NotCertified:
        return None
    return data if certificate.run_id in {run.run_id for run in runs} else None


def _print_outcome(console: Console, outcome: RunOutcome) -> None:
    state = "ok" if outcome.success else f"FAILED: {outcome.reason}"
    console.print(f"{outcome.job}: gates {_gates(outcome)}, {outcome.seconds:.0f} s, {state}", markup=False)


def _gates(outcome: RunOutcome) -> str:
    total = outcome.gates_passed + outcome.gates_failed
    return f"{outcome.gates_passed}/{total} passed"


def _figures(
    symbol: str, outcome: RunOutcome, promotion: Promotion | None
) -> tuple[str, str, str, str, str, str]:
    everyone = promotion.everyone if promotion else []
    verdict = next((v for v in everyone if v.symbol == symbol), None)
    if not outcome.success:
        return "-", "-", "-", "-", "STOPPED", outcome.reason or ""
    if verdict is None:
        return "-", "-", "-", "-", "no verdict", "the fleet's verdict is missing; see fleet_verdict below"
    if verdict.level is None or verdict.baseline_level is None:
        return "-", "-", "-", "-", verdict.verdict, verdict.reason
    return (
        str(verdict.days),
        f"{verdict.level:.1%}",
        f"{verdict.best_baseline} {verdict.baseline_level:.1%}",
        f"{verdict.p_value:.3f}",
        verdict.verdict,
        verdict.reason,
    )


def _print_quarantine(console: Console, outcomes: Sequence[RunOutcome]) -> None:
    places = [outcome.quarantine for outcome in outcomes if outcome.quarantine is not None]
    if places:
        console.print("\nRefused candidates, each with the certificate that says why:", markup=False)
    for place in places:
        console.print(f"  {place}", markup=False, soft_wrap=True)


def _print_problems(console: Console, problems: Sequence[Problem]) -> None:
    """List what calls for action; count what does not."""
    urgent = [problem for problem in problems if problem.kind in ("refused", "conflict")]
    if urgent:
        console.print(f"\nThe price source refused {len(urgent)}:", markup=False)
    for problem in urgent:
        console.print(f"  - {problem.message}", markup=False)
    if others := len(problems) - len(urgent):
        console.print(
            f"{others} more files repeat prices that another file gives better; none was needed.",
            markup=False,
        )


def _print_latency(console: Console, data: bytes | None) -> None:
    if data is None:
        return
    report = LatencyReport.from_bytes(data)
    closed_form = (
        f"closed form {report.closed_form.p95:.2f} ms" if report.closed_form else "no peers measured"
    )
    console.print(
        f"option quotes with Greeks: p95 {report.single.p95:.2f} ms, cached {report.cached.p95:.3f} ms "
        f"({closed_form}), {report.best_batch_per_second:,.0f}/s in batch, "
        f"{report.resident_mb:.0f} MB",
        markup=False,
    )
