"""A released model of relative direction on its new days."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from ml_assets.forecasts.direction.drift import DirectionDrift, LiveDirection
from ml_assets.forecasts.drift import WatchedModel
from ml_assets.forecasts.relative.median import FEWEST, FleetMedian
from ml_assets.forecasts.relative.report import RelativeReport
from ml_assets.forecasts.relative.rows import relative_steps
from ml_assets.prices import PriceHistory
from ml_assets.storage import ArtifactStore
from ml_assets.windows.steps import Steps

__all__ = ["LiveRelative", "RelativeDrift"]


@dataclass(frozen=True)
class RelativeDrift(DirectionDrift):
    """A look at the released model of relative direction."""

    kind: ClassVar[str] = "relative_drift_report"


@dataclass(frozen=True)
class LiveRelative(LiveDirection):
    """The same for relative direction: its outcomes need the fleet's median on the new days."""

    median: FleetMedian

    @classmethod
    def read(cls, store: ArtifactStore, model: WatchedModel, prices: PriceHistory, steps: Steps) -> Self:
        """Read model, report and the current median, and find the new days.

        Raises
        ------
        ValueError
            Further, if the fleet's median is not known for each new day.
        """
        median = FleetMedian.from_bytes(store.read("fleet_median")[0])
        days = prices.dates.to_numpy().astype("datetime64[D]")
        new = days[days > np.datetime64(model.judged_until)]
        missing = np.setdiff1d(new, median.sessions[median.counted >= FEWEST])
        if missing.size:
            raise ValueError(f"the fleet's median is not known on {missing[0]}; run gated-mamba relative")
        live = LiveDirection.of(
            store,
            model,
            prices,
            relative_steps(prices, median, steps),
            asset="relative_weights",
            report=RelativeReport,
        )
        return cls(**vars(live), median=median)
