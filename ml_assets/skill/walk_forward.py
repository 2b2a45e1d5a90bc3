"""Score a model on days that nothing before this module has seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from ml_assets.artifact import JsonArtifact
from ml_assets.sequences import SequenceSet
from ml_assets.skill.baselines import ar1_forecast, majority_forecast, persistence_forecast
from ml_assets.skill.statistics import pesaran_timmermann

__all__ = ["WalkForwardReport", "hit_rate", "score"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class WalkForwardReport(JsonArtifact):
    """Sealed predictions of one symbol and what they are worth.

    ``probability`` is the forecast probability that the price rises over the horizon; ``realized`` the simple
    return that followed; both per scored day in ``dates`` (ISO). Accuracies are shares of scored days.
    """

    kind: ClassVar[str] = "walk_forward_report"

    symbol: str
    horizon: int
    dates: list[str]
    probability: list[float]
    realized: list[float]
    accuracy: float
    baselines: dict[str, float]
    p_value: float

    @property
    def days(self) -> int:
        """Number of scored days."""
        return len(self.dates)

    @property
    def best_baseline(self) -> tuple[str, float]:
        """Name and accuracy of the strongest baseline."""
        return max(self.baselines.items(), key=lambda item: item[1])


def hit_rate(forecast_up: npt.NDArray[np.bool_], realized: Floats) -> float:
    """Share of days whose direction was forecast; an unchanged price counts as not up."""
    return float(np.mean(forecast_up == (realized > 0)))


def score(sequences: SequenceSet, probability: Floats) -> WalkForwardReport:
    """Compare sealed predictions with what followed and with the baselines.

    Parameters
    ----------
    sequences
        The symbol's sequences; only the test rows are scored, training rows fit the baselines.
    probability : ndarray, shape (number of test rows,)
        Forecast probability of a rise for each test row, in the order of the ledger.

    Raises
    ------
    ValueError
        If there is not exactly one finite probability in [0, 1] per test row.

    Notes
    -----
    With a horizon of h days, labels of neighboring rows overlap: only every h-th row is scored, so that the
    scored outcomes are distinct.
    """
    ledger = sequences.ledger
    test = ledger.loc[ledger["split"] == "test", "position"].to_numpy()
    if probability.shape != test.shape or not np.isfinite(probability).all():
        raise ValueError(f"{sequences.symbol}: {probability.shape} predictions for {test.shape} test rows")
    if probability.min() < 0 or probability.max() > 1:
        raise ValueError(f"{sequences.symbol}: a probability lies outside [0, 1]")
    chosen = slice(None, None, sequences.horizon)
    test, probability = test[chosen], probability[chosen]
    train = ledger.loc[ledger["split"] == "train", "position"].to_numpy()
    realized = sequences.returns[test]
    up = probability > 0.5
    last = _last_returns(sequences)
    forecasts = {
        "majority": majority_forecast(sequences.returns[train], test.size),
        "persistence": persistence_forecast(last[test]),
        "ar1": ar1_forecast(last[train], sequences.returns[train], last[test]),
        "always_up": np.ones(test.size, dtype=bool),
    }
    return WalkForwardReport(
        symbol=sequences.symbol,
        horizon=sequences.horizon,
        dates=[str(day) for day in sequences.dates[test].astype("datetime64[D]")],
        probability=[float(p) for p in probability],
        realized=[float(r) for r in realized],
        accuracy=hit_rate(up, realized),
        baselines={name: hit_rate(forecast, realized) for name, forecast in forecasts.items()},
        p_value=pesaran_timmermann(up, realized > 0),
    )


def _last_returns(sequences: SequenceSet) -> Floats:
    """Return over the ``horizon`` days that end at each day: what was known then."""
    last = np.full(sequences.returns.shape, np.nan)
    last[sequences.horizon :] = sequences.returns[: -sequences.horizon]
    return last
