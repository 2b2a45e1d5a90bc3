"""The base model: what many symbols teach together, up to the day on which the first validation begins.

However large the fleet, the process holds the sequences of at most ``base_members`` symbols: it reads one
after another and stops there. So memory and time of this step are those of 64 symbols, with 5,000 as well.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

import dagster as dg

from ml_assets.forecasts.controls import CONTROLS
from ml_assets.gates.models.gates import BASE_GATES, BaseEvidence
from ml_assets.mamba import pool_sequences
from ml_assets.windows.sequence_set import SequenceSet
from orchestration.gating import Certified, Refusal, Staged, gated_asset, verified
from orchestration.settings import Settings

__all__ = ["log_epochs", "mamba_base_weights"]


@gated_asset(
    group_name="training",
    description="One Mamba model pooled over the symbols under one calendar boundary; a start for their own.",
    ins={"sequences": verified("split_sequences", keep_refusals=True, read_later=True)},
    gates=BASE_GATES,
)
def mamba_base_weights(
    context: dg.AssetExecutionContext,
    sequences: Mapping[str, Certified[SequenceSet] | Refusal],
    settings: dg.ResourceParam[Settings],
) -> Staged:
    """Pool and train."""
    from ml_assets.mamba import BASE_RECIPE, train_base  # imports TensorFlow: not before it is needed

    read, left_out = _read_members(sequences, settings.base_members)
    sets = [s.value for s in read]
    try:
        pooled = pool_sequences(sets)
    except ValueError as error:
        raise dg.Failure(f"no base model: {error}", allow_retries=False) from error
    recipe = replace(BASE_RECIPE, epochs=min(BASE_RECIPE.epochs, settings.epochs))
    weights = train_base(pooled, recipe=recipe, seed=settings.seed, progress=log_epochs(context))
    return Staged(
        weights,
        evidence=BaseEvidence(sets, pool_sequences, pooled, settings.seed),
        inputs=read,
        metadata={
            "boundary": weights.boundary,
            "known_until": weights.known_until,
            "members": ", ".join(weights.members),
            "left_out": {**pooled.excluded, **left_out},
            "not_read": len(sequences) - len(read) - len(left_out),
            "training_rows": weights.training_rows,
            "epochs": len(weights.history),
            "seconds": round(weights.seconds, 2),
            **{f"validation_{name}": float(figure) for name, figure in weights.validation.items()},
        },
        events=weights.recovery.messages,
    )


def _read_members(
    sequences: Mapping[str, Certified[SequenceSet] | Refusal], most: int
) -> tuple[list[Certified[SequenceSet]], dict[str, str]]:
    """Read symbols in the order of their names' hashes until there are enough.

    Returns
    -------
    read : list of Certified
        By name; each as it stood at its first fold, since the base model serves every fold and may know no
        later day.
    left_out : dict of str to str
        Symbols that could not be read, and why.
    """
    read: dict[str, Certified[SequenceSet]] = {}
    left_out: dict[str, str] = {}
    # Not the controls: what is planted in them must not teach the models of real stocks.
    for name in _by_hash(name for name in sequences if name not in CONTROLS):
        if len(read) == most:
            break
        one = sequences[name]
        if isinstance(one, Refusal):
            left_out[name] = one.reason
        else:
            read[name] = replace(one, value=one.value.fold(1))
    return [read[name] for name in sorted(read)], left_out


def _by_hash(names: Iterable[str]) -> list[str]:
    """Order names so that neither their letters nor anybody's choice says who comes first."""
    return sorted(names, key=lambda name: hashlib.sha256(name.encode()).digest())


def log_epochs(context: dg.AssetExecutionContext, every: int = 10) -> Callable[[Mapping[str, float]], None]:
    """Return a progress function that writes every tenth epoch as a plain line into the run's log."""

    def log(entry: Mapping[str, float]) -> None:
        if entry["epoch"] % every == 1:
            context.log.info(
                f"epoch {entry['epoch']}: loss {entry['loss']:.4f}, validation loss "
                f"{entry['validation_loss']:.4f}, accuracy {entry['validation_accuracy']:.3f}"
            )

    return log
