"""What each symbol's model is worth on days that it has not seen, fold after fold."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache, partial

import dagster as dg
import numpy as np
from numpy.typing import NDArray

from ml_assets.forecasts.attempts import attempt_number, earlier_reports
from ml_assets.forecasts.direction import WalkForwardReport, score
from ml_assets.forecasts.direction.champion import champion_record
from ml_assets.forecasts.targets import DIRECTION
from ml_assets.gates._verdict import all_pass
from ml_assets.gates.forecasts.champion import champion_asked
from ml_assets.gates.forecasts.folds import attempts_counted, folds_sealed, retrained_fold
from ml_assets.gates.forecasts.skill import every_test_day_scored, figures_recomputed, predictions_reproduced
from ml_assets.gates.models.lineage import one_lineage
from ml_assets.mamba import MambaBaseWeights, MambaWeights
from ml_assets.prices import PriceHistory
from ml_assets.reports.pictures import markdown_pictures
from ml_assets.reports.walk_forward import walk_forward_pages
from ml_assets.storage import ArtifactStore, read_input
from ml_assets.windows.augmentation import AugmentConfig, augment_sequences
from ml_assets.windows.sequences import SequenceConfig, SequenceSet, build_sequences
from ml_assets.windows.steps import Steps
from orchestration.assets._champions import served_model
from orchestration.gating import Certified, Staged, gated_asset, verified
from orchestration.partitions import SYMBOLS
from orchestration.settings import Settings

__all__ = ["walk_forward_report"]

Floats = NDArray[np.float64]
FoldModel = Callable[[int], MambaWeights]


@gated_asset(
    partitions_def=SYMBOLS,
    group_name="training",
    description="Sealed predictions, a model trained anew before each fold, beside rules without a model.",
    ins={
        "prices": verified("raw_prices"),
        "sequences": verified("split_sequences"),
        "weights": verified("mamba_weights"),
    },
    gates={
        "one_lineage": "The weights were trained on the split that they are scored on, of the same prices.",
        "folds_sealed": "Each fold equals what the prices up to it give; training ends before its test days.",
        "every_test_day_scored": "One prediction per sealed day, none dropped, none added.",
        "figures_recomputed": "Outcomes, accuracy, baselines and p-value derived again from the raw closes.",
        "predictions_reproduced": "Certified weights, and a fold trained again, give the very probabilities.",
        "attempts_counted": "How often these days have been tried is what the store says.",
    },
)
def walk_forward_report(
    prices: Certified[PriceHistory],
    sequences: Certified[SequenceSet],
    weights: Certified[MambaWeights],
    store: dg.ResourceParam[ArtifactStore],
    steps: dg.ResourceParam[Steps],
    settings: dg.ResourceParam[Settings],
) -> Staged:
    """Train the earlier folds as the last one was, and score all of them."""
    from ml_assets.mamba import predict_direction  # imports TensorFlow: not before it is needed

    base = _base_of(store, weights)
    folds = [sequences.value.fold(k + 1) for k in range(sequences.value.folds)]
    augment = AugmentConfig(copies=settings.augmented_copies, seed=settings.seed)
    train = partial(_fold_models, folds, weights.value, base, augment, steps)
    model = train()

    def predict(models: FoldModel, number: int) -> Floats:
        return predict_direction(models(number), folds[number - 1].X("test"))

    def rebuild(history: PriceHistory, test_days: int) -> SequenceSet:
        source = sequences.value
        config = SequenceConfig(source.window, source.horizon, source.split, test_days)
        return build_sequences(history, config, steps=steps)

    # Looked up once: verdicts in the meantime must not change whose record the gate expects.
    served = _served(store, weights, sequences.value)
    scored = score(
        folds,
        [predict(model, number) for number in range(1, len(folds) + 1)],
        origins=[model(number).origin for number in range(1, len(folds) + 1)],
        champion=None
        if served is None
        else champion_record(sequences.value, served[1], served[0], predict_direction),
    )
    report = replace(scored, attempt=attempt_number(scored, earlier_reports(store, scored.symbol)))
    again = retrained_fold(weights.certificate.sha256, folds)
    pages = walk_forward_pages(report)
    return Staged(
        report,
        gates={
            "one_lineage": lambda _: one_lineage(
                store, prices.certificate, sequences.certificate, weights.certificate
            ),
            "folds_sealed": lambda r: folds_sealed(prices.value, sequences.value, r, base, rebuild),
            "every_test_day_scored": lambda r: every_test_day_scored(sequences.value, r),
            "figures_recomputed": lambda r: figures_recomputed(prices.value, folds, r),
            "predictions_reproduced": lambda r: all_pass(
                "predictions_reproduced",
                [
                    champion_asked(sequences.value, r.champion, served),
                    predictions_reproduced(folds, r, partial(predict, train()), again),
                ],
            ),
            "attempts_counted": lambda r: attempts_counted(store, r),
        },
        inputs=[prices, sequences, weights],
        metadata=_metadata(report, pages),
        pages=pages,
    )


def _fold_models(
    folds: list[SequenceSet],
    weights: MambaWeights,
    base: MambaBaseWeights | None,
    augment: AugmentConfig,
    steps: Steps,
) -> FoldModel:
    """Give the model of each fold: the certified weights for the last, trained when asked for the others."""
    from ml_assets.mamba import train_mamba

    @cache
    def model(number: int) -> MambaWeights:
        if number == len(folds):
            return weights
        rows = augment_sequences(folds[number - 1], augment, steps=steps)
        start = base if base is not None and base.unfit_for(rows, weights.config) is None else None
        return train_mamba(rows, weights.config, weights.recipe, base=start, seed=weights.seed)

    return model


def _base_of(store: ArtifactStore, weights: Certified[MambaWeights]) -> MambaBaseWeights | None:
    """The very base model that the certified weights had to start from, if any."""
    if weights.value.base_sha256 is None:
        return None
    data, _ = read_input(store, weights.certificate, "mamba_base_weights", None)
    return MambaBaseWeights.from_bytes(data)


def _served(
    store: ArtifactStore, weights: Certified[MambaWeights], sequences: SequenceSet
) -> tuple[str, MambaWeights] | None:
    """Version and weights of the model in service, if there is one and it is not this very version."""
    found = served_model(store, DIRECTION, sequences.symbol, sequences.horizon, weights.certificate.sha256)
    return None if found is None else (found[0], MambaWeights.from_bytes(found[1]))


def _metadata(report: WalkForwardReport, pages: Mapping[str, bytes]) -> dict[str, object]:
    name, baseline = report.best_baseline
    return {
        "days": report.days,
        "accuracy": report.accuracy,
        "interval": f"{report.interval[0]:.3f} - {report.interval[1]:.3f}",
        "best_baseline": f"{name} {baseline:.4f}",
        "always_up": report.baselines["always_up"],
        "p_value": report.p_value,
        "attempt": report.attempt,
        "folds": ", ".join(f"{fold.first_day}: {fold.accuracy:.3f} ({fold.origin})" for fold in report.folds),
        "picture": dg.MetadataValue.md("".join(markdown_pictures(pages).values())),
    }
