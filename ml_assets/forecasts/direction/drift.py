"""A released model of direction on its new days: is it right less often than its report says?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt
from scipy.stats import hypergeom

from ml_assets.forecasts.direction.report import WalkForwardReport
from ml_assets.forecasts.drift import (
    DriftReport,
    LevelDrift,
    Look,
    WatchedModel,
    full_blocks,
    limit_of,
    require_columns,
)
from ml_assets.mamba.weights import MambaWeights
from ml_assets.prices import PriceHistory
from ml_assets.storage import ArtifactStore
from ml_assets.storage.arrays import unfold_windows
from ml_assets.windows.rolling import Floats
from ml_assets.windows.steps import Steps

__all__ = ["DirectionDrift", "LiveDirection", "accuracy_drift"]


@dataclass(frozen=True)
class DirectionDrift(DriftReport):
    """A look at the released model of direction. Its forecasts are probabilities of a rise."""

    kind: ClassVar[str] = "drift_report"

    @staticmethod
    def reason(look: Look) -> tuple[str, str]:
        """Name a drift and describe it."""
        d = look.drift
        return "accuracy", (
            f"accuracy {d.level:.1%} on {d.days} days since {look.judged_until}, reported were "
            f"{d.reported_level:.1%} (p {d.p_value:.2g} <= {d.limit:.2g})"
        )


@dataclass(frozen=True)
class LiveDirection:
    """A released model of direction on its new days: every ``horizon``-th, so that outcomes are distinct."""

    model: WatchedModel
    report: WalkForwardReport
    weights: MambaWeights
    prices: PriceHistory
    dates: list[str]
    windows: npt.NDArray[np.float32]
    realized: Floats

    @classmethod
    def of(
        cls,
        store: ArtifactStore,
        model: WatchedModel,
        prices: PriceHistory,
        steps: Steps,
        *,
        asset: str = "mamba_weights",
        report: type[WalkForwardReport] = WalkForwardReport,
    ) -> Self:
        """Read the model, an `asset`, and its report, and find its new days.

        Raises
        ------
        ValueError
            If the prices no longer have the columns that the model needs.
        NotCertified
            If weights or report cannot be verified any more.
        """
        weights = MambaWeights.from_bytes(store.read(asset, model.symbol, model.weights)[0])
        won = store.read(report.kind, model.symbol, model.report_sha256)[0]
        require_columns(model, weights.feature_names, steps.names(prices.frame))
        features = np.asarray(steps.features(prices.frame.copy(deep=False)), dtype=np.float32)
        returns = steps.labels(prices.frame["close"].to_numpy(), model.horizon)
        is_new = prices.dates.to_numpy() > np.datetime64(model.judged_until)
        rows = steps.rows(features, returns, weights.window)
        # The last judged outcome reaches horizon days beyond its own day: the next distinct one starts there.
        rows = rows[is_new[rows - model.horizon + 1] & is_new[rows]][:: model.horizon]
        return cls(
            model,
            report.from_bytes(won),
            weights,
            prices,
            [str(day) for day in prices.dates.to_numpy()[rows].astype("datetime64[D]")],
            unfold_windows(features, rows - weights.window + 1, weights.window),
            returns[rows],
        )

    @property
    def days(self) -> int:
        """Number of new days with a known outcome."""
        return len(self.dates)

    def forecast(self) -> Floats:
        """Probability of a rise on each new day, by the released weights."""
        from ml_assets.mamba import predict_direction  # imports TensorFlow

        return predict_direction(self.weights, self.windows)

    def look(self, *, block: int, false_alarms: float) -> Look:
        """Count the right days, beside those of the report."""
        full_blocks(self.days, block)
        probability = self.forecast()
        hits = (probability > 0.5) == (self.realized > 0)
        score = self.report.scores[0]
        reported = round(score.level * score.days), score.days
        drift = accuracy_drift(hits, reported, block=block, false_alarms=false_alarms)
        return Look(
            horizon=self.model.horizon,
            champion=self.model.weights,
            judged_until=self.model.judged_until,
            baseline="",
            dates=self.dates[: drift.days],
            forecast=[float(p) for p in probability[: drift.days]],
            realized=[float(r) for r in self.realized[: drift.days]],
            baseline_forecast=[],
            drift=drift,
        )


def accuracy_drift(
    hits: npt.ArrayLike, reported: tuple[int, int], *, block: int, false_alarms: float
) -> LevelDrift:
    """Test whether live days are right less often than the reported ones.

    One-sided exact test of two proportions: given all right days, their number among the live ones is
    hypergeometric. Unlike a binomial test against the reported accuracy it allows for the chance in the
    report itself. Only full blocks count, and look k is tested at ``false_alarms / (k (k + 1))``, which
    adds up to ``false_alarms`` over all looks.

    Parameters
    ----------
    hits : array_like of bool, shape (n,)
        In the order of time.
    reported
        Right days and all days of the report.

    Raises
    ------
    ValueError
        If there is no full block, or the report is none.

    References
    ----------
    Fisher (1935), The Design of Experiments, on the exact test; the limits are a union bound.
    """
    right = np.asarray(hits, dtype=bool)
    reported_hits, reported_days = reported
    if not 0 <= reported_hits <= reported_days or not reported_days:
        raise ValueError(f"{right.size} live days against a report of {reported_hits}/{reported_days}")
    look = full_blocks(right.size, block)
    days = look * block
    live = int(right[:days].sum())
    p = float(hypergeom.cdf(live, days + reported_days, live + reported_hits, days))
    return LevelDrift(
        look,
        days,
        live / days,
        reported_days,
        reported_hits / reported_days,
        min(p, 1.0),
        limit_of(look, false_alarms),
    )
