"""What it costs to ask the option network."""

import dagster as dg

from ml_assets.gates.options.latency import LATENCY_GATES, LatencyEvidence, missed_targets
from ml_assets.pinn import PinnWeights, measure_latency
from ml_assets.reports.latency import latency_pages
from ml_assets.storage import ArtifactStore
from orchestration.assets.networks import shown
from orchestration.gating import Certified, Staged, gated_asset, verified
from orchestration.settings import Settings

__all__ = ["latency_benchmark"]


@gated_asset(
    group_name="options",
    description="Latency, throughput and memory of the price server, measured in a fresh process.",
    ins={"weights": verified("pinn_weights")},
    gates=LATENCY_GATES,
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
        evidence=LatencyEvidence(weights.certificate.sha256),
        inputs=[weights],
        metadata={
            "single_p95_ms": report.single.p95,
            "cached_p95_ms": report.cached.p95,
            "batch_per_second": report.best_batch_per_second,
            "resident_mb": report.resident_mb,
            "cold_start_ms": report.cold_start_ms,
            "machine": report.machine,
            **shown(pages),
        },
    )
