"""Variance over the next day and week: a model per symbol, and its sealed score."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import dagster as dg
import numpy as np
from numpy.typing import NDArray

from ml_assets.forecasts.attempts import attempt_number, earlier_versions
from ml_assets.forecasts.targets import VARIANCE
from ml_assets.forecasts.variance import (
    HorizonScore,
    VarianceRecord,
    VarianceSet,
    VolatilityReport,
    VolatilityWeights,
    score_variance,
    variance_rows,
)
from ml_assets.forecasts.variance.succession import variance_record
from ml_assets.gates._verdict import all_pass
from ml_assets.gates.forecasts.champion import champion_asked
from ml_assets.gates.forecasts.folds import retrained_fold, same_count
from ml_assets.gates.forecasts.volatility import (
    forecasts_reproduced,
    variance_days_scored,
    variance_figures,
    variance_folds,
)
from ml_assets.gates.forecasts.volatility_rows import (
    horizons_purged,
    variance_learned,
    variance_oracle,
    variance_reload,
)
from ml_assets.gates.forecasts.volatility_start import start_causal, start_recomputed
from ml_assets.gates.models.lineage import variance_lineage
from ml_assets.gates.models.training import weights_finite_and_complete
from ml_assets.prices import PriceHistory
from ml_assets.reports.pictures import markdown_pictures
from ml_assets.reports.volatility import volatility_pages
from ml_assets.storage import ArtifactStore
from ml_assets.windows.sequences import SequenceSet
from orchestration.assets._champions import served_model
from orchestration.gating import Certified, Staged, gated_asset, verified
from orchestration.partitions import SYMBOLS
from orchestration.settings import Settings

__all__ = ["volatility_report", "volatility_weights"]

Floats = NDArray[np.float64]


@gated_asset(
    partitions_def=SYMBOLS,
    group_name="volatility",
    description="One small Mamba that corrects a GARCH and HAR forecast of variance, all horizons at once.",
    ins={"prices": verified("raw_prices"), "sequences": verified("split_sequences")},
    gates={
        "one_lineage": "The sequences were split from the very prices whose variance is the label.",
        "oracle": "Labels equal an independent recomputation from the raw closes.",
        "ledger": "No label of one part, at the longest horizon, reaches a window of the part after.",
        "non_interference": "Bit-equal rows and start when the prices after each part are redrawn.",
        "start_recomputed": "Every start value again from raw closes; no better fit on the training days.",
        "finite_and_complete": "Every weight exists, has its shape, is finite and was trained.",
        "reload": "A fresh model from the stored bytes answers bit for bit the same; trained on these rows.",
        "learned": "Validation loss is finite and no worse than that of the start.",
    },
)
def volatility_weights(
    context: dg.AssetExecutionContext,
    prices: Certified[PriceHistory],
    sequences: Certified[SequenceSet],
    settings: dg.ResourceParam[Settings],
) -> Staged:
    """Train the model of one symbol on the newest fold."""
    from ml_assets.forecasts.variance import (  # imports TensorFlow: not earlier
        VOLATILITY_RECIPE,
        train_volatility,
    )

    horizons = settings.volatility_horizons

    def rebuild(source: SequenceSet, closes: Floats) -> VarianceSet:
        return variance_rows(source, closes, horizons)

    rows = rebuild(sequences.value, _closes(prices))
    weights = train_volatility(
        rows, recipe=replace(VOLATILITY_RECIPE, epochs=settings.epochs), seed=settings.seed
    )
    context.log.info(f"best epoch {weights.validation['best_epoch']:.0f} of {len(weights.history)}")
    return Staged(
        weights,
        gates={
            "one_lineage": lambda _: variance_lineage(prices.certificate, sequences.certificate),
            "oracle": lambda _: variance_oracle(prices.value, rows),
            "ledger": lambda _: horizons_purged(sequences.value, rows),
            "non_interference": lambda _: start_causal(
                prices.value, sequences.value, rows, rebuild, seed=settings.seed
            ),
            "start_recomputed": lambda _: start_recomputed(prices.value, rows),
            "finite_and_complete": weights_finite_and_complete,
            "reload": lambda w: variance_reload(w.to_bytes(), rows),
            "learned": lambda w: variance_learned(w, rows),
        },
        inputs=[prices, sequences],
        metadata={
            "horizons": list(horizons),
            "training_rows": weights.training_rows,
            "known_until": weights.known_until,
            "epochs": len(weights.history),
            "seconds": round(weights.seconds, 2),
            **{f"validation_{name}": float(figure) for name, figure in weights.validation.items()},
        },
    )


@gated_asset(
    partitions_def=SYMBOLS,
    group_name="volatility",
    description="Sealed variance forecasts, a model trained before each fold, beside EWMA, GARCH and HAR.",
    ins={
        "prices": verified("raw_prices"),
        "sequences": verified("split_sequences"),
        "weights": verified("volatility_weights"),
    },
    gates={
        "one_lineage": "The weights were trained on the split that they are scored on, of the same prices.",
        "oracle": "Labels of every fold equal an independent recomputation from the raw closes.",
        "ledger": "In every fold, labels of one part end before the part after begins to read.",
        "start_recomputed": "The start of every fold likewise, from the raw closes.",
        "folds_sealed": "What each fold's model knew ends before its test windows begin.",
        "every_test_day_scored": "One forecast per sealed day and horizon, none dropped, none added.",
        "figures_recomputed": "Outcomes, losses, baselines and p-values derived again from the raw prices.",
        "predictions_reproduced": "Certified weights, a fold trained again and the champion say the same.",
        "attempts_counted": "How often these days have been tried is what the store says.",
    },
)
def volatility_report(
    prices: Certified[PriceHistory],
    sequences: Certified[SequenceSet],
    weights: Certified[VolatilityWeights],
    store: dg.ResourceParam[ArtifactStore],
) -> Staged:
    """Train the earlier folds as the last one was, and score all of them."""
    source, closes = sequences.value, _closes(prices)
    symbol = source.symbol
    folds = [source.fold(k + 1) for k in range(source.folds)]
    rows = [variance_rows(fold, closes, weights.value.horizons) for fold in folds]
    forecast = _forecaster(folds, rows, weights.value, closes)
    scored = score_variance(
        prices.value.frame, folds, rows, [forecast(number) for number in range(1, len(folds) + 1)]
    )
    earlier = earlier_versions(store, "volatility_report", symbol, VolatilityReport)
    # Looked up once: verdicts in the meantime must not change whose record the gate expects.
    newest = weights.certificate.sha256
    served = {h: _served(served_model(store, VARIANCE, symbol, h, newest)) for h in scored.horizons}

    def champion(score: HorizonScore) -> VarianceRecord | None:
        return _champion(served[score.horizon], source, score, closes)

    scores = [replace(score, champion=champion(score)) for score in scored.scores]
    report = replace(scored, scores=scores, attempt=attempt_number(scored, earlier))
    again = retrained_fold(weights.certificate.sha256, folds)
    pages = volatility_pages(report)
    # A second one: what it has trained is not what the first one has kept.
    forecast_again = _forecaster(folds, rows, weights.value, closes)
    return Staged(
        report,
        gates={
            "one_lineage": lambda _: variance_lineage(
                prices.certificate, sequences.certificate, weights.certificate
            ),
            "oracle": lambda _: all_pass("oracle", [variance_oracle(prices.value, of) for of in rows]),
            "ledger": lambda _: all_pass(
                "ledger", [horizons_purged(*p) for p in zip(folds, rows, strict=True)]
            ),
            "start_recomputed": lambda _: all_pass(
                "start_recomputed", [start_recomputed(prices.value, of) for of in rows]
            ),
            "folds_sealed": lambda r: variance_folds(folds, rows, r),
            "every_test_day_scored": lambda r: variance_days_scored(prices.value, source, r),
            "figures_recomputed": lambda r: variance_figures(prices.value, folds, r),
            "predictions_reproduced": lambda r: all_pass(
                "predictions_reproduced",
                [
                    *(champion_asked(source, s.champion, served[s.horizon]) for s in r.scores),
                    forecasts_reproduced(folds, r, forecast_again, again, champion),
                ],
            ),
            "attempts_counted": lambda r: same_count(symbol, r, earlier),
        },
        inputs=[prices, sequences, weights],
        metadata=_metadata(report, pages),
        pages=pages,
    )


def _closes(prices: Certified[PriceHistory]) -> Floats:
    return prices.value.frame["close"].to_numpy(dtype=np.float64)


def _forecaster(
    folds: list[SequenceSet], rows: list[VarianceSet], weights: VolatilityWeights, closes: Floats
) -> Callable[[int], Floats]:
    """Give the forecasts for a fold's test rows: by the certified weights for the last one, else trained."""
    from ml_assets.forecasts.variance import predict_variance, train_volatility

    @cache
    def forecast(number: int) -> Floats:
        fold = folds[number - 1]
        model = weights
        if number < len(folds):
            model = train_volatility(rows[number - 1], weights.config, weights.recipe, seed=weights.seed)
        return predict_variance(model, fold, closes, fold.positions("test"))

    return forecast


def _served(found: tuple[str, bytes] | None) -> tuple[str, VolatilityWeights] | None:
    return None if found is None else (found[0], VolatilityWeights.from_bytes(found[1]))


def _champion(
    found: tuple[str, VolatilityWeights] | None, sequences: SequenceSet, score: HorizonScore, closes: Floats
) -> VarianceRecord | None:
    """What the model in service, found as version and weights, says about the last fold."""
    from ml_assets.forecasts.variance import predict_variance

    if found is None:
        return None
    return variance_record(
        sequences, score, found[1], found[0], lambda w, at: predict_variance(w, sequences, closes, at)
    )


def _metadata(report: VolatilityReport, pages: Mapping[str, bytes]) -> dict[str, Any]:
    shown: dict[str, Any] = {"attempt": report.attempt}
    for score in report.scores:
        shown |= {
            f"qlike_gain_{score.horizon}": score.gain,
            f"best_baseline_{score.horizon}": score.best_baseline,
            f"p_value_{score.horizon}": score.p_value,
            f"calibration_{score.horizon}": score.calibration,
            f"days_{score.horizon}": score.days,
        }
    shown["picture"] = dg.MetadataValue.md("".join(markdown_pictures(pages).values()))
    return shown
