"""A look at the released variance models of a symbol: are they still as good against their baselines?"""

from dataclasses import replace
from typing import Any

import dagster as dg

from ml_assets.forecasts.champions import features_since
from ml_assets.forecasts.drift import feature_drift
from ml_assets.forecasts.release import Release
from ml_assets.forecasts.variance.champions import LiveVariance, variance_forecast, variance_of
from ml_assets.forecasts.variance.drift import VolatilityDriftReport
from ml_assets.gates.core import GateResult
from ml_assets.gates.forecasts.drift import features_recomputed
from ml_assets.gates.forecasts.variance_drift import (
    every_new_day,
    judged_scores,
    loss_drift_recomputed,
    released_models,
    variances_reproduced,
)
from ml_assets.prices import PriceHistory
from ml_assets.storage import ArtifactStore
from ml_assets.windows.rolling import Floats
from ml_assets.windows.steps import Steps
from orchestration.gating import Certified, Staged, gated_asset, verified
from orchestration.partitions import SYMBOLS
from orchestration.settings import Settings

__all__ = ["volatility_drift_report"]


@gated_asset(
    partitions_def=SYMBOLS,
    group_name="watch",
    description="The released variance models on the days since their reports, beside their baselines.",
    ins={"prices": verified("raw_prices"), "released": verified("release")},
    gates={
        "released_version": "The weights looked at are those released, and their reports are quoted rightly.",
        "new_days_only": "Every new day of the full blocks of each released horizon, once, and no other.",
        "drift_recomputed": "Outcomes, baselines, losses and p-values derived again from the raw prices.",
        "forecasts_reproduced": "The released weights, asked once more, say the same.",
        "features_recomputed": "Distances of the features and their p-value derived again.",
    },
)
def volatility_drift_report(
    context: dg.AssetExecutionContext,
    prices: Certified[PriceHistory],
    released: Certified[Release],
    store: dg.ResourceParam[ArtifactStore],
    steps: dg.ResourceParam[Steps],
    settings: dg.ResourceParam[Settings],
) -> Staged:
    """Forecast the new days and compare."""
    symbol, block, false_alarms = context.partition_key, settings.drift_days, settings.drift_false_alarms
    try:
        watched = variance_of(store, released.value, released.certificate, symbol)
        live = [LiveVariance.of(store, found, prices.value, steps) for found in watched]
        # One without a full block waits for it; if none has one, the first says so.
        live = [one for one in live if one.days >= block] or live[:1]
        report = VolatilityDriftReport(
            symbol=symbol,
            looks=[one.look(prices.value, block=block, false_alarms=false_alarms) for one in live],
        )
        if (
            released.value.version("mamba_weights", symbol) is None
        ):  # else its own watch looks at the features
            before, since, names = _features(report, prices.value, steps)
            found = feature_drift(before, since[-block:], names, limit=false_alarms)
            report = replace(report, features=found)
    except (LookupError, ValueError) as error:
        raise dg.Failure(f"{symbol}: no look was taken: {error}", allow_retries=False) from error
    by_horizon = {one.found.horizon: one for one in live}
    judged = judged_scores(store, released.certificate, symbol)
    return Staged(
        report,
        gates={
            "released_version": lambda r: released_models(r, judged),
            "new_days_only": lambda r: every_new_day(r, prices.value, judged, block=block),
            "drift_recomputed": lambda r: loss_drift_recomputed(
                r,
                prices.value,
                {h: one.parts for h, one in by_horizon.items()},
                judged,
                block=block,
                false_alarms=false_alarms,
            ),
            "forecasts_reproduced": lambda r: variances_reproduced(
                r, lambda h: variance_forecast(by_horizon[h].weights, by_horizon[h].parts, prices.value, h)
            ),
            "features_recomputed": lambda r: _features_recomputed(
                r, released.value, prices.value, steps, block, false_alarms
            ),
        },
        inputs=[prices, released],
        metadata=_metadata(report),
    )


def _features(
    report: VolatilityDriftReport, prices: PriceHistory, steps: Steps
) -> tuple[Floats, Floats, tuple[str, ...]]:
    """Features before and since, up to the last day of the first look: each block is compared once.

    A look at a longer horizon, some days later, meets the same block again, and finds the same.
    """
    first = report.looks[0]
    until = replace(prices, frame=prices.frame.loc[: first.dates[-1]])
    return features_since(until, steps, first.judged_until)


def _features_recomputed(
    report: VolatilityDriftReport,
    released: Release,
    prices: PriceHistory,
    steps: Steps,
    block: int,
    false_alarms: float,
) -> GateResult:
    symbol = report.symbol
    if released.version("mamba_weights", symbol) is not None:
        said = "direction is released, and its own watch looks at the features"
        return GateResult("features_recomputed", report.features is None, said, 1)
    features = _features(report, prices, steps)
    return features_recomputed(symbol, report.features, features, block=block, limit=false_alarms)


def _metadata(report: VolatilityDriftReport) -> dict[str, Any]:
    reasons = [text for seen in report.seen().values() for text in seen.reasons.values()]
    shown: dict[str, Any] = {"drift": "; ".join(reasons) or "none"}
    for look in report.looks:
        shown |= {
            f"days_{look.horizon}": look.drift.days,
            f"live_excess_{look.horizon}": look.drift.excess,
            f"reported_excess_{look.horizon}": look.drift.reported_excess,
            f"p_value_{look.horizon}": look.drift.p_value,
        }
    return shown
