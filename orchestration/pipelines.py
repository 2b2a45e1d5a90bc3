"""Names of assets and jobs, plain: whoever orders work needs names, not the definitions behind them.

`orchestration.definitions` makes a Dagster job of each entry of `JOBS`; a test holds that every name exists.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["DATA", "JOBS", "MODEL", "RELATIVE", "VARIANCE"]

DATA = ("raw_prices", "split_sequences", "augmented_training_set")
"""First half of a symbol's way; after it the base model is trained."""
MODEL = ("mamba_weights", "walk_forward_report")
"""Second half: it may start from the base model."""
VARIANCE = ("raw_prices", "split_sequences", "volatility_weights", "volatility_report")
"""All that a symbol's variance needs, which is not all of its data."""
RELATIVE = ("relative_sequences", "relative_weights", "relative_report")
"""What a symbol's relative direction needs once prices and the fleet's median are there."""

JOBS: Mapping[str, tuple[str, ...]] = {
    "symbol_pipeline": (*DATA, *MODEL),
    "base_pipeline": ("mamba_base_weights",),
    "option_pipeline": ("pinn_weights", "latency_benchmark"),
    "quotes_pipeline": ("option_quotes", "option_walk_forward"),
    "american_pipeline": ("american_weights",),
    "volatility_pipeline": VARIANCE,
    "volatility_verdict": ("volatility_promotion",),
    "median_pipeline": ("fleet_median",),
    "relative_pipeline": ("raw_prices", *RELATIVE),
    "relative_verdict": ("relative_promotion",),
    "fleet_verdict": ("promotion", "release"),
    "drift_check": ("raw_prices", "drift_report"),
    "volatility_drift_check": ("raw_prices", "volatility_drift_report"),
    "relative_drift_check": ("raw_prices", "relative_drift_report"),
}
"""Assets of each job, in the order in which data flows."""
