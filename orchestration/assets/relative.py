"""Relative direction: the fleet's median, each symbol's sequences with that label, and its model.

The fan-in keeps one column of closes per symbol: 5,000 symbols of 20 years take 400 MB.
"""

from collections.abc import Mapping
from functools import partial

import dagster as dg

from ml_assets.forecasts.controls import CONTROLS
from ml_assets.forecasts.relative import FleetMedian, fleet_median, relative_sequences
from ml_assets.gates.data.gates import AugmentedEvidence
from ml_assets.gates.forecasts.relative import (
    FLEET_MEDIAN_GATES,
    RELATIVE_SEQUENCE_GATES,
    RELATIVE_WEIGHT_GATES,
    MedianEvidence,
    RelativeSequenceEvidence,
    RelativeWeightEvidence,
)
from ml_assets.gates.models.lineage import median_lineage
from ml_assets.mamba import MambaConfig, TrainingRecipe
from ml_assets.prices import PriceHistory
from ml_assets.windows.augmentation import AugmentConfig, AugmentedSet, augment_sequences
from ml_assets.windows.sequences import SequenceSet
from ml_assets.windows.steps import Steps
from orchestration.assets.base import log_epochs
from orchestration.assets.training import sequence_config
from orchestration.gating import Certified, Refusal, Staged, gated_asset, verified
from orchestration.partitions import SYMBOLS
from orchestration.settings import Settings

__all__ = ["median_asset", "relative_sequences_asset", "relative_weights"]


@gated_asset(
    name="fleet_median",
    group_name="relative",
    description="Return of the fleet's median stock on each session, known at its close; controls left out.",
    ins={"prices": verified("raw_prices", keep_refusals=True, read_later=True)},
    gates=FLEET_MEDIAN_GATES,
)
def median_asset(
    prices: Mapping[str, Certified[PriceHistory] | Refusal], settings: dg.ResourceParam[Settings]
) -> Staged:
    """Take the median over all stocks with certified prices."""
    closes, read, left_out = {}, [], {}
    for name in sorted(name for name in prices if name not in CONTROLS):
        one = prices[name]
        if isinstance(one, Refusal):
            left_out[name] = one.reason
        else:
            closes[name] = one.value.frame["close"].copy()  # the other columns are let go
            read.append(Certified(None, one.certificate))
    try:
        median = fleet_median(closes)
    except ValueError as error:
        raise dg.Failure(f"no median: {error}", allow_retries=False) from error
    return Staged(
        median,
        evidence=MedianEvidence(closes, fleet_median, settings.seed),
        inputs=read,
        metadata={
            "members": ", ".join(median.members),
            "left_out": left_out,
            "sessions": f"{median.sessions[0]} to {median.sessions[-1]}",
            "counted": f"{median.counted[1:].min()} to {median.counted.max()} stocks a session",
        },
    )


@gated_asset(
    name="relative_sequences",
    partitions_def=SYMBOLS,
    group_name="relative",
    description="Sequences as those of direction; the label is the return relative to the fleet's median.",
    ins={"prices": verified("raw_prices"), "median": verified("fleet_median")},
    gates=RELATIVE_SEQUENCE_GATES,
)
def relative_sequences_asset(
    prices: Certified[PriceHistory],
    median: Certified[FleetMedian],
    steps: dg.ResourceParam[Steps],
    settings: dg.ResourceParam[Settings],
) -> Staged:
    """Build the sequences of one symbol."""
    config = sequence_config(settings)

    def rebuild(history: PriceHistory) -> SequenceSet:
        return relative_sequences(history, median.value, config, steps=steps)

    sequences = rebuild(prices.value)
    return Staged(
        sequences,
        evidence=RelativeSequenceEvidence(
            prices.value,
            rebuild,
            settings.seed,
            median=median.value,
            lineage=partial(median_lineage, prices.certificate, median.certificate),
        ),
        inputs=[prices, median],
        metadata={
            "rows": {n: int(count) for n, count in sequences.ledger["split"].value_counts().items()},
            "better_than_the_median": float((sequences.y("train") > 0).mean()),
        },
    )


@gated_asset(
    partitions_def=SYMBOLS,
    group_name="relative",
    description="One small Mamba model from scratch: the base model was taught another label.",
    ins={"sequences": verified("relative_sequences")},
    gates=RELATIVE_WEIGHT_GATES,
)
def relative_weights(
    context: dg.AssetExecutionContext,
    sequences: Certified[SequenceSet],
    steps: dg.ResourceParam[Steps],
    settings: dg.ResourceParam[Settings],
) -> Staged:
    """Train the model of one symbol."""
    from ml_assets.mamba import train_mamba  # imports TensorFlow: not before it is needed

    config = AugmentConfig(copies=settings.augmented_copies, seed=settings.seed)

    def rebuild(source: SequenceSet) -> AugmentedSet:
        return augment_sequences(source, config, steps=steps)

    rows = rebuild(sequences.value)
    weights = train_mamba(
        rows,
        MambaConfig(),
        TrainingRecipe(epochs=settings.epochs),
        seed=settings.seed,
        progress=log_epochs(context),
    )
    return Staged(
        weights,
        evidence=RelativeWeightEvidence(
            rows, None, AugmentedEvidence(sequences.value, rebuild, settings.seed)
        ),
        inputs=[sequences],
        metadata={
            "epochs": len(weights.history),
            "seconds": round(weights.seconds, 2),
            **{f"validation_{name}": float(figure) for name, figure in weights.validation.items()},
        },
        events=weights.recovery.messages,
    )
