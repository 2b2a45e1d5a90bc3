"""How old prices, reports and release may become before the UI marks them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import dagster as dg

from orchestration.settings import Settings

__all__ = ["with_freshness"]


def with_freshness(assets: Sequence[dg.AssetsDefinition], settings: Settings) -> list[dg.AssetsDefinition]:
    """Attach the policies: marked after the days that the settings give, failed after twice as many.

    A partitioned asset is as fresh as its newest symbol; which symbol is old stands in the metadata of
    ``promotion``.
    """
    days = {
        "raw_prices": settings.prices_fresh_days,
        "walk_forward_report": settings.models_fresh_days,
        "release": settings.models_fresh_days,
    }

    def attach(spec: dg.AssetSpec) -> dg.AssetSpec:
        limit = days.get(spec.key.to_user_string())
        if limit is None:
            return spec
        policy = dg.FreshnessPolicy.time_window(
            fail_window=timedelta(days=2 * limit), warn_window=timedelta(days=limit)
        )
        return spec.replace_attributes(freshness_policy=policy)

    return list(dg.map_asset_specs(attach, assets))
