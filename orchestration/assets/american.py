"""The network for American options: minutes of training, so outside of the default run."""

import functools
import time
from collections.abc import Callable

import dagster as dg

from ml_assets.gates.core import GateResult
from ml_assets.gates.options.american import AmericanThresholds, american_gates
from ml_assets.pinn.american import AmericanRecipe, AmericanWeights
from ml_assets.reports.pictures import markdown_picture
from orchestration.cli.progress import report_progress, report_stage
from orchestration.gating import Staged, gated_asset
from orchestration.settings import Settings
from orchestration.version import code_version

__all__ = ["LIMITS", "american_weights"]

LIMITS = AmericanThresholds()

AMERICAN_GATES = {
    "american_price": "Prices against QuantLib over the domain and its corners.",
    "american_greeks": "Delta, gamma, vega, theta and rho against differences of QuantLib's prices.",
    "american_no_arbitrage": "Bounds, monotonicity and convexity without a violation.",
    "american_boundary": "The boundary is bounded, falls with time, and price and delta are pasted there.",
}


@gated_asset(
    group_name="options",
    description="Exercise boundary of American options, trained by its integral equation alone; QuantLib "
    "is used only to judge it.",
    gates=AMERICAN_GATES,
)
def american_weights(context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings]) -> Staged:
    """Train the network."""
    from ml_assets.pinn.american import train_american  # imports TensorFlow: not before it is needed
    from ml_assets.reports.american import american_report

    recipe = AmericanRecipe(
        adam_steps=settings.american_adam_steps,
        bfgs_iterations=settings.american_bfgs_iterations,
        seed=settings.seed,
    )
    start = time.monotonic()
    weights = train_american(
        recipe,
        progress=lambda p: report_progress(context, p),
        # A state that other code has made would give weights that no code gives.
        checkpoint_dir=settings.home / "checkpoints" / "american_weights" / code_version(),
    )
    seconds = round(time.monotonic() - start, 1)
    report_stage(context, "trained; judging it against QuantLib")
    report = american_report(weights, _all_gates(weights.to_bytes()), LIMITS, seconds)
    return Staged(
        weights,
        gates={name: _gate(name) for name in AMERICAN_GATES},
        metadata={
            "seconds": seconds,
            **weights.figures,
            "accuracy": dg.MetadataValue.md(report.table),
            "training": dg.MetadataValue.md(markdown_picture(report.training, "loss along the training")),
        },
        events=weights.recovery.messages,
        alias="models/pinn/american/american.npz",
        pages=report.pages,
    )


def _gate(name: str) -> Callable[[AmericanWeights], GateResult]:
    def gate(weights: AmericanWeights) -> GateResult:
        return next(result for result in _all_gates(weights.to_bytes()) if result.gate == name)

    return gate


@functools.lru_cache(maxsize=1)
def _all_gates(data: bytes) -> tuple[GateResult, ...]:
    """Judge once for all gates and the report."""
    return american_gates(AmericanWeights.from_bytes(data), LIMITS)
