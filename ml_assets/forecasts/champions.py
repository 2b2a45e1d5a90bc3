"""The released models and their days since: the one place that knows how a champion is found."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ml_assets.forecasts.direction import Promotion, WalkForwardReport
from ml_assets.forecasts.release import Release
from ml_assets.prices import PriceHistory
from ml_assets.storage import ArtifactStore, Certificate, NotCertified, read_input
from ml_assets.storage.arrays import unfold_windows
from ml_assets.windows.rolling import Floats
from ml_assets.windows.steps import Steps

__all__ = ["WatchedModel", "champion", "champions", "features_since", "live_days"]


@dataclass(frozen=True)
class WatchedModel:
    """A released model: the version of its weights, and what its report claims."""

    symbol: str
    weights: str
    judged_until: str
    days: int
    hits: int
    horizon: int

    @property
    def place(self) -> str:
        """Name of what is watched, of which a symbol may have several."""
        return self.weights

    def outcomes(self, new_days: int) -> int:
        """How many of the days after the last judged one have an outcome that shares no day with another."""
        return max(0, new_days - 2 * self.horizon + 1) // self.horizon


def champions(store: ArtifactStore) -> list[WatchedModel]:
    """Champions of the current release; none if nothing is released or a link of the chain is broken."""
    try:
        data, certificate = store.read("release")
        release = Release.from_bytes(data)
        return [champion(store, release, certificate, symbol) for symbol in _symbols(release)]
    except NotCertified:
        return []


def champion(store: ArtifactStore, release: Release, certificate: Certificate, symbol: str) -> WatchedModel:
    """Find the champion of a symbol through the certificates of its release.

    Raises
    ------
    NotCertified
        If the report behind the release cannot be verified any more.
    LookupError
        If the symbol is not in the release.
    """
    found = [v for v in release.versions if (v.asset, v.partition) == ("mamba_weights", symbol)]
    if not found:
        raise LookupError(
            f"{symbol} has no released model, so there is nothing to watch: "
            f"{release.withheld.get(symbol, 'it was never judged')}"
        )
    judged = Promotion.from_bytes(read_input(store, certificate, "promotion", None)[0]).champions[symbol]
    report = WalkForwardReport.from_bytes(store.read("walk_forward_report", symbol, judged.report_sha256)[0])
    return WatchedModel(
        symbol=symbol,
        weights=found[0].sha256,
        judged_until=report.dates[-1],
        days=report.days,
        hits=round(report.accuracy * report.days),
        horizon=report.horizon,
    )


def _symbols(release: Release) -> list[str]:
    return sorted(str(v.partition) for v in release.versions if v.asset == "mamba_weights")


def live_days(
    store: ArtifactStore, found: WatchedModel, prices: PriceHistory, steps: Steps
) -> tuple[list[str], npt.NDArray[np.bool_]]:
    """Let a champion forecast the days since its report.

    Parameters
    ----------
    store
        Where its weights lie.
    found
        The champion.
    prices
        Up to now.
    steps
        The functions of the pipeline that make features, labels and rows.

    Returns
    -------
    dates, hits
        The days whose outcome is known, every ``horizon``-th, so that the outcomes are distinct; and whether
        each was forecast rightly.

    Raises
    ------
    ValueError
        If the prices no longer have the columns that the champion needs.
    NotCertified
        If its weights cannot be verified any more.
    """
    from ml_assets.mamba import MambaWeights, predict_direction  # imports TensorFlow

    weights = MambaWeights.from_bytes(store.read("mamba_weights", found.symbol, found.weights)[0])
    features = np.asarray(steps.features(prices.frame.copy(deep=False)), dtype=np.float32)
    names = tuple(steps.names(prices.frame))
    if names != weights.feature_names:
        raise ValueError(
            f"{found.symbol}: the champion reads {len(weights.feature_names)} features, the prices now give "
            f"{len(names)}: columns came or went in the source; retrain the symbol"
        )
    returns = steps.labels(prices.frame["close"].to_numpy(), found.horizon)
    is_new = prices.dates.to_numpy() > np.datetime64(found.judged_until)
    rows = steps.rows(features, returns, weights.window)
    # The last judged outcome reaches horizon days beyond its own day: the next distinct one starts there.
    rows = rows[is_new[rows - found.horizon + 1] & is_new[rows]][:: found.horizon]
    up = predict_direction(weights, unfold_windows(features, rows - weights.window + 1, weights.window)) > 0.5
    dates = [str(day) for day in prices.dates.to_numpy()[rows].astype("datetime64[D]")]
    return dates, np.asarray(up == (returns[rows] > 0), dtype=bool)


def features_since(
    prices: PriceHistory, steps: Steps, judged_until: str
) -> tuple[Floats, Floats, tuple[str, ...]]:
    """Features of the days up to the last judged one, (m, F), and since, (n, F), and their names.

    Days on which one is missing are left out.
    """
    features = np.asarray(steps.features(prices.frame.copy(deep=False)), dtype=np.float32)
    complete = np.isfinite(features).all(axis=1)
    is_new = prices.dates.to_numpy() > np.datetime64(judged_until)
    before, since = (features[complete & chosen].astype(np.float64) for chosen in (~is_new, is_new))
    return before, since, tuple(steps.names(prices.frame))
