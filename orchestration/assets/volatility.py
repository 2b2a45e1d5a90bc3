"""Variance over the next day and week: the model of a symbol."""

from dataclasses import replace
from functools import partial

import dagster as dg
import numpy as np
from numpy.typing import NDArray

from ml_assets.forecasts.variance import VarianceSet, variance_rows
from ml_assets.gates.forecasts.gates import VARIANCE_WEIGHT_GATES, VarianceWeightEvidence
from ml_assets.gates.models.lineage import variance_lineage
from ml_assets.prices import PriceHistory
from ml_assets.windows.sequences import SequenceSet
from orchestration.gating import Certified, Staged, gated_asset, verified
from orchestration.partitions import SYMBOLS
from orchestration.settings import Settings

__all__ = ["volatility_weights"]

Floats = NDArray[np.float64]


@gated_asset(
    partitions_def=SYMBOLS,
    group_name="volatility",
    description="One small Mamba that corrects a GARCH and HAR forecast of variance, all horizons at once.",
    ins={"prices": verified("raw_prices"), "sequences": verified("split_sequences")},
    gates=VARIANCE_WEIGHT_GATES,
)
def volatility_weights(
    context: dg.AssetExecutionContext,
    prices: Certified[PriceHistory],
    sequences: Certified[SequenceSet],
    settings: dg.ResourceParam[Settings],
) -> Staged:
    """Train the model of one symbol on the newest fold."""
    from ml_assets.forecasts.variance.training import (  # imports TensorFlow: not earlier
        VOLATILITY_RECIPE,
        train_volatility,
    )

    horizons = settings.volatility_horizons

    def rebuild(source: SequenceSet, closes: Floats) -> VarianceSet:
        return variance_rows(source, closes, horizons)

    rows = rebuild(sequences.value, prices.value.frame["close"].to_numpy(dtype=np.float64))
    weights = train_volatility(
        rows, recipe=replace(VOLATILITY_RECIPE, epochs=settings.epochs), seed=settings.seed
    )
    context.log.info(f"best epoch {weights.validation['best_epoch']:.0f} of {len(weights.history)}")
    return Staged(
        weights,
        evidence=VarianceWeightEvidence(
            lineage=partial(variance_lineage, prices.certificate, sequences.certificate),
            prices=prices.value,
            sequences=sequences.value,
            rows=rows,
            rebuild=rebuild,
            seed=settings.seed,
        ),
        inputs=[prices, sequences],
        metadata={
            "horizons": list(horizons),
            "training_rows": weights.training_rows,
            "known_until": weights.known_until,
            "epochs": len(weights.history),
            "seconds": round(weights.seconds, 2),
            **{f"validation_{name}": float(figure) for name, figure in weights.validation.items()},
        },
        events=weights.recovery.messages,
    )
