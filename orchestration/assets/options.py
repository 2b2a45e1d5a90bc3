"""The option network and what it costs to ask it."""

import functools
import time
from collections.abc import Callable, Mapping

import dagster as dg

from ml_assets.gates.core import GateResult
from ml_assets.gates.options.latency import latency_gate, missed_targets
from ml_assets.gates.options.options import pinn_gates
from ml_assets.pinn import LatencyReport, PinnRecipe, PinnWeights, measure_latency
from ml_assets.reports.option_latency import latency_pages
from ml_assets.reports.option_training import training_pages
from ml_assets.reports.pictures import markdown_pictures
from ml_assets.storage import ArtifactStore
from orchestration.cli.progress import report_progress, report_stage
from orchestration.gating import Certified, Staged, gated_asset, verified
from orchestration.settings import Settings
from orchestration.version import code_version

__all__ = ["latency_benchmark", "pinn_weights"]

PINN_GATES = {
    "pinn_parity": "Put-call parity on the wide grid.",
    "pinn_residual": "Residual of the Black-Scholes equation.",
    "pinn_price": "Prices against the closed form.",
    "pinn_greeks": "Delta, gamma, vega, theta and rho against the closed form.",
    "pinn_no_arbitrage": "Bounds, monotonicity and convexity without a violation.",
}


@gated_asset(
    group_name="options",
    description="Option network trained by physics alone; the closed form is used only to judge it.",
    gates=PINN_GATES,
)
def pinn_weights(context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings]) -> Staged:
    """Train the network."""
    # They import TensorFlow: not before it is needed.
    from ml_assets.pinn import train_pinn
    from ml_assets.pinn.european.soft import compare_soft

    recipe = PinnRecipe(
        adam_steps=settings.pinn_adam_steps, bfgs_iterations=settings.pinn_bfgs_iterations, seed=settings.seed
    )
    start = time.monotonic()
    weights = train_pinn(
        recipe,
        progress=lambda p: report_progress(context, p),
        # A state that other code has made would give weights that no code gives.
        checkpoint_dir=settings.home / "checkpoints" / "pinn_weights" / code_version(),
    )
    seconds = round(time.monotonic() - start, 1)
    report_stage(context, "trained; judging it against the closed form")
    results = tuple(_all_gates(weights.to_bytes()).values())
    pages = training_pages(weights, results, compare_soft() if settings.pinn_soft else None)
    return Staged(
        weights,
        gates={name: _gate(name) for name in PINN_GATES},
        metadata={"seconds": seconds, **weights.figures, **_shown(pages)},
        events=weights.recovery.messages,
        alias="models/pinn/option_pricing/option_pricing.npz",
        pages=pages,
    )


@gated_asset(
    group_name="options",
    description="Latency, throughput and memory of the price server, measured in a fresh process.",
    ins={"weights": verified("pinn_weights")},
    gates={
        "sla": "Service level: p95 single and cached, batch rate, resident memory, no TensorFlow.",
        "measured_version": "The network that was measured is the certified one that was read.",
    },
)
def latency_benchmark(
    context: dg.AssetExecutionContext,
    weights: Certified[PinnWeights],
    store: dg.ResourceParam[ArtifactStore],
    settings: dg.ResourceParam[Settings],
) -> Staged:
    """Measure the very version that was read."""
    report = measure_latency(str(store.root), batches=sorted({64, 10_000, settings.latency_batch}))
    if missed := missed_targets(report):
        context.log.warning(f"targets missed (a busy machine?): {'; '.join(missed)}")
    pages = latency_pages(report)
    return Staged(
        report,
        pages=pages,
        gates={
            "sla": latency_gate,
            "measured_version": lambda r: _measured_version(r, weights.certificate.sha256),
        },
        inputs=[weights],
        metadata={
            "single_p95_ms": report.single.p95,
            "cached_p95_ms": report.cached.p95,
            "batch_per_second": report.best_batch_per_second,
            "resident_mb": report.resident_mb,
            "cold_start_ms": report.cold_start_ms,
            "machine": report.machine,
            **_shown(pages),
        },
    )


def _shown(pages: Mapping[str, bytes]) -> dict[str, dg.MetadataValue]:
    """Pictures of a report as the UI shows them, by the names of their files."""
    return {name: dg.MetadataValue.md(picture) for name, picture in markdown_pictures(pages).items()}


def _gate(name: str) -> Callable[[PinnWeights], GateResult]:
    def gate(weights: PinnWeights) -> GateResult:
        return _all_gates(weights.to_bytes())[name]

    return gate


@functools.lru_cache(maxsize=1)
def _all_gates(data: bytes) -> dict[str, GateResult]:
    """Value the grid once for all five gates."""
    return {result.gate: result for result in pinn_gates(PinnWeights.from_bytes(data))}


def _measured_version(report: LatencyReport, read: str) -> GateResult:
    message = f"measured {report.weights_sha256[:12]}, read {read[:12]}"
    return GateResult("measured_version", report.weights_sha256 == read, message, 1)
