"""Looks at released models, one asset per target: do they still do what their reports say?"""

from dataclasses import replace
from typing import Any

import dagster as dg

from ml_assets.forecasts.champions import watched_models
from ml_assets.forecasts.drift import DriftReport
from ml_assets.forecasts.feature_drift import feature_drift, features_since
from ml_assets.forecasts.release import Release
from ml_assets.forecasts.target import Target
from ml_assets.forecasts.targets import DIRECTION, RELATIVE, TARGETS, VARIANCE
from ml_assets.gates.forecasts.drift import DriftEvidence, drift_gates
from ml_assets.prices import PriceHistory
from ml_assets.storage import ArtifactStore
from ml_assets.windows.rolling import Floats
from ml_assets.windows.steps import Steps
from orchestration.gating import Certified, Staged, gated_asset, verified
from orchestration.partitions import SYMBOLS
from orchestration.settings import Settings

__all__ = ["drift_asset", "drift_report", "relative_drift_report", "volatility_drift_report"]


def drift_asset(target: Target, description: str) -> dg.AssetsDefinition:
    """Make the asset that looks at the released models of a target."""

    @gated_asset(
        name=target.drift.kind,
        partitions_def=SYMBOLS,
        group_name="watch",
        description=description,
        ins={"prices": verified("raw_prices"), "released": verified("release")},
        gates=drift_gates(target),
    )
    def look(
        context: dg.AssetExecutionContext,
        prices: Certified[PriceHistory],
        released: Certified[Release],
        store: dg.ResourceParam[ArtifactStore],
        steps: dg.ResourceParam[Steps],
        settings: dg.ResourceParam[Settings],
    ) -> Staged:
        symbol, block, false_alarms = (
            context.partition_key,
            settings.drift_days,
            settings.drift_false_alarms,
        )
        try:
            models = watched_models(store, target, released.value, released.certificate, symbol)
            live = [target.live(store, model, prices.value, steps) for model in models]
            # One without a full block waits for it; if none has one, the first says so.
            live = [one for one in live if one.days >= block] or live[:1]
            report = target.drift(symbol, [one.look(block=block, false_alarms=false_alarms) for one in live])
            features = None
            if _first_released(released.value, symbol) is target:
                features = _features(report, prices.value, steps)
                before, since, names = features
                report = replace(
                    report, features=feature_drift(before, since[-block:], names, limit=false_alarms)
                )
        except (LookupError, ValueError) as error:
            raise dg.Failure(f"{symbol}: no look was taken: {error}", allow_retries=False) from error
        return Staged(
            report,
            evidence=DriftEvidence(
                target,
                store,
                released.certificate,
                prices.value,
                {one.model.horizon: one for one in live},
                features,
                block,
                false_alarms,
            ),
            inputs=[prices, released],
            metadata=_metadata(report),
        )

    return look


def _first_released(release: Release, symbol: str) -> Target | None:
    """The target whose watch looks at the features of a symbol: they are the same for all."""
    return next((target for target in TARGETS if release.models(target, symbol)), None)


def _features(
    report: DriftReport, prices: PriceHistory, steps: Steps
) -> tuple[Floats, Floats, tuple[str, ...]]:
    """Features before and since, up to the last day of the first look: each block is compared once.

    A look at a longer horizon, some days later, meets the same block again, and finds the same.
    """
    first = report.looks[0]
    until = replace(prices, frame=prices.frame.loc[: first.dates[-1]])
    return features_since(until, steps, first.judged_until)


def _metadata(report: DriftReport) -> dict[str, Any]:
    reasons = [text for seen in report.seen().values() for text in seen.reasons.values()]
    features = report.features
    shown: dict[str, Any] = {
        "drift": "; ".join(reasons) or "none",
        "features": "not compared here"
        if features is None
        else f"worst {features.feature}, distance {features.distance:.3f}, p {features.p_value:.3g}",
    }
    for look in report.looks:
        shown |= {
            f"days_{look.horizon}": look.drift.days,
            f"live_level_{look.horizon}": look.drift.level,
            f"reported_level_{look.horizon}": look.drift.reported_level,
            f"p_value_{look.horizon}": look.drift.p_value,
        }
    return shown


drift_report = drift_asset(
    DIRECTION, "The released model on the days since its report: accuracy and features, then and now."
)
volatility_drift_report = drift_asset(
    VARIANCE, "The released variance models on the days since their reports, beside their baselines."
)
relative_drift_report = drift_asset(
    RELATIVE, "The released models of relative direction on the days since their reports."
)
