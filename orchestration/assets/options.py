"""The option network and what it costs to ask it."""

import dagster as dg

from ml_assets.gates.options import (
    greeks_gate,
    latency_gate,
    no_arbitrage_gate,
    parity_gate,
    price_gate,
    residual_gate,
)
from ml_assets.pinn import PinnRecipe, PinnWeights
from ml_assets.pinn.latency import measure_latency
from ml_assets.storage import ArtifactStore
from orchestration.gating import Certified, Staged, gated_asset, verified
from orchestration.settings import Settings

__all__ = ["latency_benchmark", "pinn_weights"]


@gated_asset(
    group_name="options",
    description="Option network trained by physics alone; the closed form is used only to judge it.",
    gates={
        "parity": "Put-call parity on the wide grid.",
        "residual": "Residual of the Black-Scholes equation.",
        "price": "Prices against the closed form.",
        "greeks": "Delta, gamma, vega, theta and rho against the closed form.",
        "no_arbitrage": "Bounds, monotonicity and convexity without a violation.",
    },
)
def pinn_weights(context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings]) -> Staged:
    """Train the network."""
    from ml_assets.pinn.training import train_pinn  # imports TensorFlow: not before it is needed

    recipe = PinnRecipe(
        adam_steps=settings.pinn_adam_steps, bfgs_iterations=settings.pinn_bfgs_iterations, seed=settings.seed
    )
    weights = train_pinn(recipe, progress=context.log.info)
    return Staged(
        weights,
        gates={
            "parity": parity_gate,
            "residual": residual_gate,
            "price": price_gate,
            "greeks": greeks_gate,
            "no_arbitrage": no_arbitrage_gate,
        },
        metadata=weights.summary(),
        alias="models/pinn/option_pricing/option_pricing.npz",
    )


@gated_asset(
    group_name="options",
    description="Latency, throughput and memory of the price server, measured in a fresh process.",
    ins={"weights": verified("pinn_weights")},
    gates={"sla": "Service level: p95 single and cached, batch rate, resident memory."},
)
def latency_benchmark(
    context: dg.AssetExecutionContext,
    weights: Certified[PinnWeights],
    store: dg.ResourceParam[ArtifactStore],
) -> Staged:
    """Measure the very version that was read."""
    report = measure_latency(store, sha256=weights.certificate.sha256)
    return Staged(report, gates={"sla": latency_gate}, inputs=[weights], metadata=report.summary())
