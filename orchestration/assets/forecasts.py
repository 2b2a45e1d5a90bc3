"""The report of each target: what a symbol's model is worth on days that it has not seen, fold after fold.

One factory makes them all. What differs between targets stands in a `Track`; the folds are trained and scored
by `ml_assets.forecasts.walk_forward`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import dagster as dg

from ml_assets.forecasts.attempts import attempt_number, earlier_versions
from ml_assets.forecasts.direction import MambaDirection
from ml_assets.forecasts.forecaster import TrainedForecaster, fold_rows
from ml_assets.forecasts.relative import FleetMedian, relative_sequences
from ml_assets.forecasts.report import Report
from ml_assets.forecasts.target import Target
from ml_assets.forecasts.targets import DIRECTION, RELATIVE, VARIANCE
from ml_assets.forecasts.variance import MambaVariance
from ml_assets.forecasts.variance.mamba import rows_of
from ml_assets.forecasts.walk_forward import FoldModels, champion_record, walk_forward
from ml_assets.gates.core import Gate
from ml_assets.gates.forecasts.gates import (
    DIRECTION_REPORT_GATES,
    VARIANCE_REPORT_GATES,
    DirectionEvidence,
    VarianceEvidence,
)
from ml_assets.gates.forecasts.relative import RELATIVE_REPORT_GATES, RelativeEvidence
from ml_assets.gates.forecasts.report import retrained_fold
from ml_assets.gates.models.lineage import one_lineage, relative_lineage, variance_lineage
from ml_assets.mamba import MambaBaseWeights
from ml_assets.prices import PriceHistory
from ml_assets.reports.forecasts import relative_pages, volatility_pages, walk_forward_pages
from ml_assets.reports.pictures import markdown_pictures
from ml_assets.storage import ArtifactStore, Certificate, read_input
from ml_assets.windows.augmentation import AugmentConfig
from ml_assets.windows.sequences import SequenceConfig, SequenceSet, build_sequences
from ml_assets.windows.steps import Steps
from orchestration.assets._champions import served_model
from orchestration.gating import Certified, Staged, gated_asset, verified
from orchestration.partitions import SYMBOLS
from orchestration.settings import Settings

__all__ = ["relative_report", "volatility_report", "walk_forward_report"]


@dataclass(frozen=True)
class Read:
    """What the report of one symbol is made from."""

    prices: Certified[PriceHistory]
    sequences: Certified[SequenceSet]
    weights: Certified[Any]
    store: ArtifactStore
    steps: Steps
    settings: Settings

    @property
    def certificates(self) -> tuple[Certificate, Certificate, Certificate]:
        """Of prices, sequences and weights."""
        return self.prices.certificate, self.sequences.certificate, self.weights.certificate


@dataclass(frozen=True)
class Track:
    """What differs between the reports of two targets.

    Parameters
    ----------
    target : Target
    group, description : str
        As shown in the UI.
    gates : sequence of Gate
    forecaster : callable
        ``read -> forecaster`` that trains the earlier folds as the certified weights were trained.
    evidence : callable
        ``(read, models, what every report is judged by) -> evidence`` of the gates.
    pages, metadata : callable
        What a person is shown of the report.
    sequences : str
        Asset of the sequences that are scored.
    """

    target: Target
    group: str
    description: str
    gates: Sequence[Gate[Any, Any]]
    forecaster: Callable[[Read], TrainedForecaster]
    evidence: Callable[[Read, FoldModels, Mapping[str, Any]], Any]
    pages: Callable[[Any], dict[str, bytes]]
    metadata: Callable[[Any], dict[str, Any]]
    sequences: str = "split_sequences"


def report_asset(track: Track) -> dg.AssetsDefinition:
    """Make the asset: train the earlier folds as the last one was, score all of them, count the attempt."""
    target = track.target

    def report(
        prices: Certified[PriceHistory],
        sequences: Certified[SequenceSet],
        weights: Certified[Any],
        store: dg.ResourceParam[ArtifactStore],
        steps: dg.ResourceParam[Steps],
        settings: dg.ResourceParam[Settings],
    ) -> Staged:
        read = Read(prices, sequences, weights, store, steps, settings)
        source, forecaster = sequences.value, track.forecaster(read)
        newest = forecaster.from_bytes(weights.value.to_bytes())
        version, horizons = weights.certificate.sha256, newest.horizons
        folds = fold_rows(prices.value.frame, source, horizons)
        models = FoldModels(forecaster, folds, newest)
        scored = walk_forward(target.scoring, models, prices.value.frame, folds)
        earlier = earlier_versions(store, target.report, source.symbol, target.scoring.report)
        # Looked up once: verdicts in the meantime must not change whose record the gate expects.
        served = {
            h: (found[0], forecaster.from_bytes(found[1]))
            for h in horizons
            if (found := served_model(store, target, source.symbol, h, version)) is not None
        }
        asked = [
            replace(score, champion=champion_record(folds[-1], score, *served[score.horizon]))
            if score.horizon in served
            else score
            for score in scored.scores
        ]
        made = replace(scored, scores=asked, attempt=attempt_number(scored, earlier))
        common = {
            "prices": prices.value,
            "sequences": source,
            "horizons": horizons,
            # Models of their own: what they train is not what the first ones have kept.
            "forecast": FoldModels(forecaster, folds, newest, like=models).forecast,
            "retrained": retrained_fold(version, len(folds)),
            "served": served,
            "earlier": earlier,
        }
        pages = track.pages(made)
        picture = dg.MetadataValue.md("".join(markdown_pictures(pages).values()))
        return Staged(
            made,
            evidence=track.evidence(read, models, common),
            inputs=[prices, sequences, weights],
            metadata={**track.metadata(made), "attempt": made.attempt, "picture": picture},
            pages=pages,
            events=models.events,
        )

    upstream = {"prices": "raw_prices", "sequences": track.sequences, "weights": target.weights}
    return gated_asset(
        name=target.report,
        partitions_def=SYMBOLS,
        group_name=track.group,
        description=track.description,
        ins={name: verified(asset) for name, asset in upstream.items()},
        gates=track.gates,
    )(report)


def _direction(read: Read) -> MambaDirection:
    weights = read.weights.value
    return MambaDirection(
        config=weights.config,
        recipe=weights.recipe,
        base=_base(read),
        augment=AugmentConfig(copies=read.settings.augmented_copies, seed=read.settings.seed),
        steps=read.steps,
        seed=weights.seed,
        horizon=read.sequences.value.horizon,
    )


def _base(read: Read) -> MambaBaseWeights | None:
    """The very base model that the certified weights had to start from, if any."""
    if read.weights.value.base_sha256 is None:
        return None
    data, _ = read_input(read.store, read.weights.certificate, "mamba_base_weights", None)
    return MambaBaseWeights.from_bytes(data)


def _direction_evidence(read: Read, _: FoldModels, common: Mapping[str, Any]) -> DirectionEvidence:
    def rebuild(history: PriceHistory, test_days: int) -> SequenceSet:
        return build_sequences(history, _fold_config(read, test_days), steps=read.steps)

    return DirectionEvidence(
        **common,
        lineage=partial(one_lineage, read.store, *read.certificates),
        base=_base(read),
        rebuild=rebuild,
    )


def _fold_config(read: Read, test_days: int) -> SequenceConfig:
    source = read.sequences.value
    return SequenceConfig(source.window, source.horizon, source.split, test_days)


def _relative_evidence(read: Read, _: FoldModels, common: Mapping[str, Any]) -> RelativeEvidence:
    # The version by which the sequences were labelled, whatever the newest one is.
    median = FleetMedian.from_bytes(
        read_input(read.store, read.sequences.certificate, "fleet_median", None)[0]
    )

    def rebuild(history: PriceHistory, test_days: int) -> SequenceSet:
        return relative_sequences(history, median, _fold_config(read, test_days), steps=read.steps)

    return RelativeEvidence(
        **common,
        lineage=partial(relative_lineage, *read.certificates),
        base=None,
        rebuild=rebuild,
        median=median,
    )


def _direction_figures(report: Report) -> dict[str, Any]:
    score = report.scores[0]
    low, high = (score.figures[name]["model"] for name in ("interval_low", "interval_high"))
    return {
        "days": score.days,
        "accuracy": score.level,
        "interval": f"{low:.3f} - {high:.3f}",
        "best_baseline": f"{score.best_baseline} {score.baseline_level:.4f}",
        "always_up": score.levels["always_up"],
        "p_value": score.p_value,
        "folds": ", ".join(f"{f.first_day}: {f.levels[0]:.3f} ({f.origin})" for f in report.folds),
    }


def _variance(read: Read) -> MambaVariance:
    weights = read.weights.value
    return MambaVariance(weights.config, weights.recipe, weights.seed)


def _variance_evidence(read: Read, models: FoldModels, common: Mapping[str, Any]) -> VarianceEvidence:
    return VarianceEvidence(
        **common,
        lineage=partial(variance_lineage, *read.certificates),
        rows=[rows_of(*fold) for fold in models],
    )


def _variance_figures(report: Report) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    for score in report.scores:
        shown |= {
            f"qlike_gain_{score.horizon}": score.gain,
            f"best_baseline_{score.horizon}": score.best_baseline,
            f"p_value_{score.horizon}": score.p_value,
            f"calibration_{score.horizon}": score.figures["calibration"]["model"],
            f"days_{score.horizon}": score.days,
        }
    return shown


_RULES = "Sealed {}, a model trained {}before each fold, beside {}."

walk_forward_report = report_asset(
    Track(
        target=DIRECTION,
        group="training",
        description=_RULES.format("predictions", "anew ", "rules without a model"),
        gates=DIRECTION_REPORT_GATES,
        forecaster=_direction,
        evidence=_direction_evidence,
        pages=walk_forward_pages,
        metadata=_direction_figures,
    )
)
relative_report = report_asset(
    Track(
        target=RELATIVE,
        group="relative",
        description=_RULES.format("predictions", "anew ", "rules without a model"),
        gates=RELATIVE_REPORT_GATES,
        forecaster=_direction,
        evidence=_relative_evidence,
        pages=relative_pages,
        metadata=_direction_figures,
        sequences="relative_sequences",
    )
)
volatility_report = report_asset(
    Track(
        target=VARIANCE,
        group="volatility",
        description=_RULES.format("variance forecasts", "", "EWMA, GARCH and HAR"),
        gates=VARIANCE_REPORT_GATES,
        forecaster=_variance,
        evidence=_variance_evidence,
        pages=volatility_pages,
        metadata=_variance_figures,
    )
)
