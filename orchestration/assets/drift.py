"""A look at a released model: does it still meet the markets that it was judged on?"""

import dagster as dg

from ml_assets.forecasts.champions import champion, features_since, live_days
from ml_assets.forecasts.drift import DriftReport, look_for_drift
from ml_assets.forecasts.release import Release
from ml_assets.gates.forecasts.drift import (
    drift_recomputed,
    features_recomputed,
    new_days_only,
    released_version,
)
from ml_assets.prices import PriceHistory
from ml_assets.storage import ArtifactStore
from ml_assets.windows.steps import Steps
from orchestration.gating import Certified, Staged, gated_asset, verified
from orchestration.partitions import SYMBOLS
from orchestration.settings import Settings

__all__ = ["drift_report"]


@gated_asset(
    partitions_def=SYMBOLS,
    group_name="watch",
    description="The released model on the days since its report: accuracy and features, then and now.",
    ins={"prices": verified("raw_prices"), "released": verified("release")},
    gates={
        "released_version": "The weights looked at are those which the release names.",
        "new_days_only": "Each scored day is later than the last judged one, and none counts twice.",
        "drift_recomputed": "Right days and p-value derived again, in whole numbers.",
        "features_recomputed": "Distances of the features and their p-value derived again.",
    },
)
def drift_report(
    context: dg.AssetExecutionContext,
    prices: Certified[PriceHistory],
    released: Certified[Release],
    store: dg.ResourceParam[ArtifactStore],
    steps: dg.ResourceParam[Steps],
    settings: dg.ResourceParam[Settings],
) -> Staged:
    """Score the new days and compare."""
    symbol, block, false_alarms = context.partition_key, settings.drift_days, settings.drift_false_alarms
    try:
        found = champion(store, released.value, released.certificate, symbol)
        report = look_for_drift(
            symbol,
            found.weights,
            found.judged_until,
            (found.hits, found.days),
            live_days(store, found, prices.value, steps),
            features_since(prices.value, steps, found.judged_until),
            block=block,
            false_alarms=false_alarms,
        )
    except (LookupError, ValueError) as error:
        raise dg.Failure(f"{symbol}: no look was taken: {error}", allow_retries=False) from error
    return Staged(
        report,
        gates={
            "released_version": lambda r: released_version(r, released.value),
            "new_days_only": lambda r: new_days_only(r, prices.value),
            "drift_recomputed": lambda r: drift_recomputed(r, block=block),
            "features_recomputed": lambda r: features_recomputed(
                symbol,
                r.features,
                features_since(prices.value, steps, r.judged_until),
                block=block,
                limit=false_alarms,
            ),
        },
        inputs=[prices, released],
        metadata=_metadata(report),
    )


def _metadata(report: DriftReport) -> dict[str, object]:
    accuracy, features = report.accuracy, report.features
    return {
        "drift": "; ".join(report.reasons.values()) or "none",
        "days": accuracy.days,
        "live_accuracy": accuracy.hits / accuracy.days,
        "reported_accuracy": accuracy.reported_hits / accuracy.reported_days,
        "p_accuracy": accuracy.p_value,
        "features": "too little to compare with"
        if features is None
        else f"worst {features.feature}, distance {features.distance:.3f}, p {features.p_value:.3g}",
    }
