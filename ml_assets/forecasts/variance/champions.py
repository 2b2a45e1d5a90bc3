"""The released variance models and their days since: as `ml_assets.forecasts.champions` for direction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ml_assets.forecasts.forecaster import FoldRows
from ml_assets.forecasts.release import VARIANCE, Release
from ml_assets.forecasts.report import Score
from ml_assets.forecasts.variance import (
    BASELINES,
    VolatilityPromotion,
    VolatilityReport,
    VolatilityWeights,
    qlike,
)
from ml_assets.forecasts.variance.drift import VarianceLook, loss_drift, place_of
from ml_assets.prices import PriceHistory
from ml_assets.storage import ArtifactStore, Certificate, NotCertified, read_input
from ml_assets.windows.labels import forward_variance
from ml_assets.windows.sequences import SequenceConfig, SequenceSet, build_sequences
from ml_assets.windows.steps import Steps

__all__ = ["LiveVariance", "WatchedVariance", "variance_champions", "variance_forecast", "variance_of"]


@dataclass(frozen=True)
class WatchedVariance:
    """A released variance model: version of its weights and of the report that won it the place."""

    symbol: str
    horizon: int
    weights: str
    report_sha256: str
    judged_until: str

    @property
    def place(self) -> str:
        """Name of what is watched, of which a symbol may have several."""
        return place_of(self.weights, self.horizon)

    def outcomes(self, new_days: int) -> int:
        """How many of the days after the last judged one have an outcome that shares no day with its own.

        They may share days with each other: the test allows for it.
        """
        return max(0, new_days - 2 * self.horizon + 1)


def variance_champions(store: ArtifactStore) -> list[WatchedVariance]:
    """Variance models of the current release; none if a link of the chain is broken."""
    try:
        data, certificate = store.read("release")
        release = Release.from_bytes(data)
        symbols = sorted({str(v.partition) for v in release.versions if v.asset == VARIANCE.weights})
        return [found for symbol in symbols for found in variance_of(store, release, certificate, symbol)]
    except NotCertified:
        return []


def variance_of(
    store: ArtifactStore, release: Release, certificate: Certificate, symbol: str
) -> list[WatchedVariance]:
    """Find the variance models of a symbol through the certificates of its release, by horizon.

    Raises
    ------
    NotCertified
        If the verdicts behind the release cannot be verified any more.
    LookupError
        If no variance model of the symbol is in the release.
    """
    released = {
        v.horizon: v.sha256 for v in release.versions if (v.asset, v.partition) == (VARIANCE.weights, symbol)
    }
    if not released:
        raise LookupError(f"{symbol} has no released variance model, so there is nothing to watch")
    verdicts = VolatilityPromotion.from_bytes(
        read_input(store, certificate, VolatilityPromotion.kind, None)[0]
    )
    return [
        WatchedVariance(symbol, h, released[h], champion.report_sha256, champion.scored_until)
        for h, champion in sorted(verdicts.champions[symbol].items())
        if h in released
    ]


@dataclass(frozen=True)
class LiveVariance:
    """A released variance model on its new days.

    ``parts`` are stretches of these days as long as a fold of the report, each the test part of sequences
    that end with it: baselines are fitted anew before each, on all days before its windows, as in the report.
    """

    found: WatchedVariance
    score: Score
    weights: VolatilityWeights
    parts: list[SequenceSet]

    @classmethod
    def of(
        cls, store: ArtifactStore, found: WatchedVariance, prices: PriceHistory, steps: Steps
    ) -> LiveVariance:
        """Read the model and its report, and cut the new days with a known outcome into stretches.

        Raises
        ------
        ValueError
            If the prices no longer have the columns that the model needs.
        NotCertified
            If weights or report cannot be verified any more.
        """
        weights = VolatilityWeights.from_bytes(store.read(VARIANCE.weights, found.symbol, found.weights)[0])
        report = VolatilityReport.from_bytes(
            store.read(VARIANCE.report, found.symbol, found.report_sha256)[0]
        )
        names = tuple(steps.names(prices.frame))
        if names != weights.feature_names:
            raise ValueError(
                f"{found.symbol}: the variance model reads {len(weights.feature_names)} features, the prices "
                f"now give {len(names)}: columns came or went in the source; retrain the symbol"
            )
        score = next(s for s in report.scores if s.horizon == found.horizon)
        first = report.folds[0]
        length = sum(first.first_day <= day <= first.last_day for day in score.dates)
        return cls(found, score, weights, list(_parts(found, prices, steps, weights.window, length)))

    @property
    def days(self) -> int:
        """Number of new days with a known outcome."""
        return sum(len(part.positions("test")) for part in self.parts)

    def look(self, prices: PriceHistory, *, block: int, false_alarms: float) -> VarianceLook:
        """Compare the loss beside that of the baseline, now and in the report.

        Raises
        ------
        ValueError
            If there is no full block yet, or the baseline cannot be had from these prices.
        """
        if self.days < block:
            raise ValueError(f"{self.days} live days over {self.found.horizon} day(s), {block} are a block")
        h, name = self.found.horizon, self.score.best_baseline
        labels = forward_variance(prices.frame["close"].to_numpy(dtype=np.float64), h)
        at = np.concatenate([part.positions("test") for part in self.parts])
        realized, rival = (
            labels[at],
            np.concatenate([self._rival(prices, part) for part in self.parts]),
        )
        forecast = variance_forecast(self.weights, self.parts, prices, h)
        reported = np.array(self.score.realized)
        drift = loss_drift(
            qlike(forecast, realized) - qlike(rival, realized),
            qlike(np.array(self.score.forecast), reported)
            - qlike(np.array(self.score.baseline_forecast), reported),
            horizon=h,
            block=block,
            false_alarms=false_alarms,
        )
        dates = np.concatenate([part.as_of("test") for part in self.parts])
        return VarianceLook(
            horizon=h,
            champion=self.found.weights,
            judged_until=self.found.judged_until,
            baseline=name,
            dates=[str(day) for day in dates[: drift.days]],
            forecast=[float(v) for v in forecast[: drift.days]],
            realized=[float(v) for v in realized[: drift.days]],
            baseline_forecast=[float(v) for v in rival[: drift.days]],
            drift=drift,
        )

    def _rival(self, prices: PriceHistory, part: SequenceSet) -> NDArray[np.float64]:
        """Forecasts of the best baseline, fitted anew."""
        baseline = next((b for b in BASELINES if b.name == self.score.best_baseline), None)
        if baseline is None or not baseline.columns <= set(prices.frame.columns):
            raise ValueError(
                f"{self.found.symbol}: the model was judged against {self.score.best_baseline}, which these "
                "prices do not allow: columns went in the source; retrain the symbol"
            )
        rows = FoldRows(prices.frame.iloc[: len(part.dates)], part, (self.found.horizon,))
        return baseline.fit(rows).forecast(rows)[:, 0]


def variance_forecast(
    weights: VolatilityWeights, parts: Sequence[SequenceSet], prices: PriceHistory, horizon: int
) -> NDArray[np.float64]:
    """What a model says of its live days, over one horizon."""
    from ml_assets.forecasts.variance.training import predict_variance  # imports TensorFlow

    closes, column = prices.frame["close"].to_numpy(dtype=np.float64), weights.horizons.index(horizon)
    said = [predict_variance(weights, part, closes, part.positions("test"))[:, column] for part in parts]
    return np.concatenate(said)


def _parts(
    found: WatchedVariance, prices: PriceHistory, steps: Steps, window: int, length: int
) -> Iterator[SequenceSet]:
    days = prices.dates.to_numpy()
    # The last judged outcome reaches horizon days beyond its own day: the next distinct one starts there.
    first = int(np.searchsorted(days, np.datetime64(found.judged_until), side="right")) + found.horizon - 1
    stop = len(days) - found.horizon
    for begin in range(first, stop, length):
        end = min(begin + length, stop)
        until = replace(prices, frame=prices.frame.iloc[: end + 1])  # the last label needs a day more
        yield build_sequences(until, SequenceConfig(window=window, test_days=end - begin), steps=steps)
