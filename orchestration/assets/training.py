"""From certified prices to a scored model: split first, then augment, train, score on sealed days."""

import dagster as dg

from ml_assets.gates.data.gates import (
    AUGMENTED_GATES,
    SEQUENCE_GATES,
    AugmentedEvidence,
    SequenceEvidence,
)
from ml_assets.gates.forecasts.gates import DIRECTION_WEIGHT_GATES, DirectionWeightEvidence
from ml_assets.mamba import MambaBaseWeights, MambaConfig, TrainingRecipe
from ml_assets.prices import PriceHistory
from ml_assets.storage.symbols import slug
from ml_assets.windows.augmentation import AugmentConfig, AugmentedSet, augment_sequences
from ml_assets.windows.sequences import SequenceConfig, SequenceSet, build_sequences
from ml_assets.windows.steps import Steps
from orchestration.assets.base import log_epochs
from orchestration.gating import Certified, Refusal, Staged, gated_asset, verified
from orchestration.partitions import SYMBOLS
from orchestration.settings import Settings

__all__ = ["augmented_training_set", "mamba_weights", "sequence_config", "split_sequences"]


def sequence_config(settings: Settings) -> SequenceConfig:
    """How a history is cut into windows and parts, as the settings say."""
    return SequenceConfig(
        window=settings.window, horizon=settings.horizon, split=settings.split, test_days=settings.test_days,
        folds=settings.folds,
    )  # fmt: skip


@gated_asset(
    partitions_def=SYMBOLS,
    group_name="training",
    description="Causal features, windows, labels in temporal order: train, validation, sealed test; purged.",
    ins={"prices": verified("raw_prices")},
    gates=SEQUENCE_GATES,
)
def split_sequences(
    prices: Certified[PriceHistory],
    steps: dg.ResourceParam[Steps],
    settings: dg.ResourceParam[Settings],
) -> Staged:
    """Build the sequences of one symbol."""
    config = sequence_config(settings)

    def rebuild(history: PriceHistory) -> SequenceSet:
        return build_sequences(history, config, steps=steps)

    sequences = rebuild(prices.value)
    counts = sequences.ledger["split"].value_counts().to_dict()
    return Staged(
        sequences,
        evidence=SequenceEvidence(prices.value, rebuild, settings.seed),
        inputs=[prices],
        metadata={
            "rows": {name: int(count) for name, count in counts.items()},
            "features": ", ".join(sequences.feature_names),
            "train_end": str(sequences.train_end),
            "validation_end": str(sequences.validation_end),
        },
    )


@gated_asset(
    partitions_def=SYMBOLS,
    group_name="training",
    description="Training rows and augmented copies, normalized; validation rows untouched; no test row.",
    ins={"sequences": verified("split_sequences")},
    gates=AUGMENTED_GATES,
)
def augmented_training_set(
    sequences: Certified[SequenceSet],
    steps: dg.ResourceParam[Steps],
    settings: dg.ResourceParam[Settings],
) -> Staged:
    """Augment the training rows of one symbol."""
    config = AugmentConfig(copies=settings.augmented_copies, seed=settings.seed)

    def rebuild(source: SequenceSet) -> AugmentedSet:
        return augment_sequences(source, config, steps=steps)

    augmented = rebuild(sequences.value)
    return Staged(
        augmented,
        evidence=AugmentedEvidence(sequences.value, rebuild, settings.seed),
        inputs=[sequences],
        metadata={
            "training_rows": len(augmented.X),
            "of_which_copies": int(augmented.is_copy.sum()),
            "validation_rows": len(augmented.X_val),
        },
    )


@gated_asset(
    partitions_def=SYMBOLS,
    group_name="training",
    description="One small Mamba model: fine-tuned from the base model or from scratch, as validation says.",
    ins={
        "augmented": verified("augmented_training_set"),
        "base": verified("mamba_base_weights", keep_refusals=True),
    },
    gates=DIRECTION_WEIGHT_GATES,
)
def mamba_weights(
    context: dg.AssetExecutionContext,
    augmented: Certified[AugmentedSet],
    base: Certified[MambaBaseWeights] | Refusal,
    settings: dg.ResourceParam[Settings],
) -> Staged:
    """Train the model of one symbol."""
    from ml_assets.mamba import train_mamba  # imports TensorFlow: not before it is needed

    rows = augmented.value
    config, recipe = MambaConfig(), TrainingRecipe(epochs=settings.epochs)
    unfit = base.reason if isinstance(base, Refusal) else base.value.unfit_for(rows, config)
    start = base if isinstance(base, Certified) and unfit is None else None
    context.log.info("starting from the base model" if unfit is None else f"no base model: {unfit}")
    weights = train_mamba(
        rows,
        config,
        recipe,
        base=None if start is None else start.value,
        seed=settings.seed,
        progress=log_epochs(context),
    )
    return Staged(
        weights,
        evidence=DirectionWeightEvidence(rows, None if start is None else start.value),
        inputs=[augmented] if start is None else [augmented, start],
        metadata={
            "origin": weights.origin,
            "base": unfit or "used",
            "candidates": dict(weights.candidates),
            "epochs": len(weights.history),
            "seconds": round(weights.seconds, 2),
            "parameters": sum(array.size for array in weights.arrays.values()),
            **{f"validation_{name}": float(figure) for name, figure in weights.validation.items()},
        },
        events=weights.recovery.messages,
        alias=f"weights/{slug(context.partition_key)}.weights.h5",
    )
