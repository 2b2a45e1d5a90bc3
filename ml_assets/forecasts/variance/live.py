"""A released variance model on its new days."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ml_assets.forecasts.drift import Look, WatchedModel, full_blocks, require_columns
from ml_assets.forecasts.forecaster import FoldRows
from ml_assets.forecasts.report import Score
from ml_assets.forecasts.variance.drift import loss_drift
from ml_assets.forecasts.variance.forecasters import BASELINES
from ml_assets.forecasts.variance.losses import qlike
from ml_assets.forecasts.variance.report import VolatilityReport
from ml_assets.forecasts.variance.weights import VolatilityWeights
from ml_assets.prices import PriceHistory
from ml_assets.storage import ArtifactStore
from ml_assets.windows.labels import forward_variance
from ml_assets.windows.sequences import SequenceConfig, SequenceSet, build_sequences
from ml_assets.windows.steps import Steps

__all__ = ["LiveVariance"]


@dataclass(frozen=True)
class LiveVariance:
    """A released variance model on its new days.

    ``parts`` are stretches of these days as long as a fold of the report, each the test part of sequences
    that end with it: baselines are fitted anew before each, on all days before its windows, as in the report.
    """

    model: WatchedModel
    score: Score
    weights: VolatilityWeights
    prices: PriceHistory
    parts: list[SequenceSet]

    @classmethod
    def of(
        cls, store: ArtifactStore, model: WatchedModel, prices: PriceHistory, steps: Steps
    ) -> LiveVariance:
        """Read the model and its report, and cut the new days with a known outcome into stretches.

        Raises
        ------
        ValueError
            If the prices no longer have the columns that the model needs.
        NotCertified
            If weights or report cannot be verified any more.
        """
        weights = VolatilityWeights.from_bytes(
            store.read("volatility_weights", model.symbol, model.weights)[0]
        )
        report = VolatilityReport.from_bytes(
            store.read("volatility_report", model.symbol, model.report_sha256)[0]
        )
        require_columns(model, weights.feature_names, steps.names(prices.frame))
        score = next(s for s in report.scores if s.horizon == model.horizon)
        first = report.folds[0]
        length = sum(first.first_day <= day <= first.last_day for day in score.dates)
        return cls(model, score, weights, prices, list(_parts(model, prices, steps, weights.window, length)))

    @property
    def days(self) -> int:
        """Number of new days with a known outcome."""
        return sum(len(part.positions("test")) for part in self.parts)

    def forecast(self) -> NDArray[np.float64]:
        """Variance over the horizon from each new day on, by the released weights."""
        from ml_assets.forecasts.variance.training import predict_variance  # imports TensorFlow

        closes = self.prices.frame["close"].to_numpy(dtype=np.float64)
        column = self.weights.horizons.index(self.model.horizon)
        return np.concatenate(
            [
                predict_variance(self.weights, part, closes, part.positions("test"))[:, column]
                for part in self.parts
            ]
        )

    def look(self, *, block: int, false_alarms: float) -> Look:
        """Compare the loss beside that of the baseline, now and in the report.

        Raises
        ------
        ValueError
            If there is no full block yet, or the baseline cannot be had from these prices.
        """
        full_blocks(self.days, block)
        h, score = self.model.horizon, self.score
        labels = forward_variance(self.prices.frame["close"].to_numpy(dtype=np.float64), h)
        realized = labels[np.concatenate([part.positions("test") for part in self.parts])]
        baseline = np.concatenate([self._baseline(part) for part in self.parts])
        forecast = self.forecast()
        reported = np.array(score.realized)
        drift = loss_drift(
            qlike(forecast, realized) - qlike(baseline, realized),
            qlike(np.array(score.forecast), reported) - qlike(np.array(score.baseline_forecast), reported),
            horizon=h,
            block=block,
            false_alarms=false_alarms,
        )
        dates = np.concatenate([part.as_of("test") for part in self.parts])[: drift.days]
        return Look(
            horizon=h,
            champion=self.model.weights,
            judged_until=self.model.judged_until,
            baseline=score.best_baseline,
            dates=[str(day) for day in dates],
            forecast=[float(v) for v in forecast[: drift.days]],
            realized=[float(v) for v in realized[: drift.days]],
            baseline_forecast=[float(v) for v in baseline[: drift.days]],
            drift=drift,
        )

    def _baseline(self, part: SequenceSet) -> NDArray[np.float64]:
        """Forecasts of the best baseline, fitted anew."""
        name, frame = self.score.best_baseline, self.prices.frame
        baseline = next((b for b in BASELINES if b.name == name), None)
        if baseline is None or not baseline.columns <= set(frame.columns):
            raise ValueError(
                f"{self.model.symbol}: the model was judged against {name}, which these prices do not allow: "
                "columns went in the source; retrain the symbol"
            )
        rows = FoldRows(frame.iloc[: len(part.dates)], part, (self.model.horizon,))
        return baseline.fit(rows).forecast(rows)[:, 0]


def _parts(
    model: WatchedModel, prices: PriceHistory, steps: Steps, window: int, length: int
) -> Iterator[SequenceSet]:
    days = prices.dates.to_numpy()
    # The last judged outcome reaches horizon days beyond its own day: the next distinct one starts there.
    first = int(np.searchsorted(days, np.datetime64(model.judged_until), side="right")) + model.horizon - 1
    stop = len(days) - model.horizon
    for begin in range(first, stop, length):
        end = min(begin + length, stop)
        until = replace(prices, frame=prices.frame.iloc[: end + 1])  # the last label needs a day more
        yield build_sequences(until, SequenceConfig(window=window, test_days=end - begin), steps=steps)
