"""The base model: what many symbols teach together, up to the day on which the first validation begins."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import dagster as dg

from ml_assets.forecasts.controls import CONTROLS
from ml_assets.gates.models.pooling import base_learned, calendar_boundary, pooled_non_interference
from ml_assets.gates.models.training import weights_finite_and_complete
from ml_assets.mamba import pool_sequences
from ml_assets.windows.sequence_set import SequenceSet
from orchestration.gating import Certified, Refusal, Staged, gated_asset, verified
from orchestration.settings import Settings

__all__ = ["log_epochs", "mamba_base_weights"]


@gated_asset(
    group_name="training",
    description="One Mamba model pooled over the symbols under one calendar boundary; a start for their own.",
    ins={"sequences": verified("split_sequences", keep_refusals=True)},
    gates={
        "calendar_boundary": "No training row or label of any symbol reaches any symbol's validation.",
        "pooled_non_interference": "Bit-equal training rows when all later days of all symbols are redrawn.",
        "finite_and_complete": "Every weight exists, has its shape, is finite and was trained.",
        "learned": "Validation loss is finite and no worse than before training.",
    },
)
def mamba_base_weights(
    context: dg.AssetExecutionContext,
    sequences: dict[str, Certified[SequenceSet] | Refusal],
    settings: dg.ResourceParam[Settings],
) -> Staged:
    """Pool and train."""
    from ml_assets.mamba import BASE_RECIPE, train_base  # imports TensorFlow: not before it is needed

    # Not the controls: what is planted in them must not teach the models of real stocks.
    read = [s for name, s in sequences.items() if isinstance(s, Certified) and name not in CONTROLS]
    # As they stood at the first fold: the base model serves every fold, so it may know no later day.
    sets = [s.value.fold(1) for s in read]
    try:
        pooled = pool_sequences(sets)
    except ValueError as error:
        raise dg.Failure(f"no base model: {error}", allow_retries=False) from error
    recipe = replace(BASE_RECIPE, epochs=min(BASE_RECIPE.epochs, settings.epochs))
    weights = train_base(pooled, recipe=recipe, seed=settings.seed, progress=log_epochs(context))
    refused = {name: s.reason for name, s in sequences.items() if isinstance(s, Refusal)}
    return Staged(
        weights,
        gates={
            "calendar_boundary": lambda w: calendar_boundary(w, sets, pool_sequences),
            "pooled_non_interference": lambda _: pooled_non_interference(
                sets, pool_sequences, seed=settings.seed
            ),
            "finite_and_complete": weights_finite_and_complete,
            "learned": lambda w: base_learned(w, pooled),
        },
        inputs=read,
        metadata={
            "boundary": weights.boundary,
            "known_until": weights.known_until,
            "members": ", ".join(weights.members),
            "left_out": {**pooled.excluded, **refused},
            "training_rows": weights.training_rows,
            "epochs": len(weights.history),
            "seconds": round(weights.seconds, 2),
            **{f"validation_{name}": float(figure) for name, figure in weights.validation.items()},
        },
        events=weights.recovery.messages,
    )


def log_epochs(context: dg.AssetExecutionContext, every: int = 10) -> Callable[[Mapping[str, float]], None]:
    """Return a progress function that writes every tenth epoch as a plain line into the run's log."""

    def log(entry: Mapping[str, float]) -> None:
        if entry["epoch"] % every == 1:
            context.log.info(
                f"epoch {entry['epoch']}: loss {entry['loss']:.4f}, validation loss "
                f"{entry['validation_loss']:.4f}, accuracy {entry['validation_accuracy']:.3f}"
            )

    return log
