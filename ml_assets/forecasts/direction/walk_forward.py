"""Score a model on days that nothing before this module has seen, fold after fold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from ml_assets.forecasts.direction.baselines import (
    ar1_forecast,
    boosting_forecast,
    logistic_forecast,
    majority_forecast,
    persistence_forecast,
)
from ml_assets.forecasts.statistics import block_interval, pesaran_timmermann
from ml_assets.storage.artifact import JsonArtifact
from ml_assets.windows.sequences import SequenceSet

__all__ = ["PROMOTION_BASELINES", "ChampionRecord", "Fold", "WalkForwardReport", "hit_rate", "score"]

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

PROMOTION_BASELINES = ("majority", "persistence", "ar1", "always_up", "logistic")
"""What must be beaten to be promoted; boosted trees are shown beside them."""


@dataclass(frozen=True)
class Fold:
    """One part of the sealed span, and what the model that forecast it was trained on; days are ISO dates."""

    number: int
    training_rows: int
    trained_until: str
    validated_until: str
    first_day: str
    last_day: str
    days: int
    origin: str
    accuracy: float


@dataclass(frozen=True)
class ChampionRecord:
    """What the model in service said about the last fold's days, which it has not been trained on either.

    ``askable`` is false where it reads other features or another window than there are now.
    """

    weights_sha256: str
    dates: list[str]
    probability: list[float]
    askable: bool = True


@dataclass(frozen=True)
class WalkForwardReport(JsonArtifact):
    """Sealed predictions of one symbol and what they are worth.

    ``probability`` is the forecast probability that the price rises over the horizon; ``realized`` the
    simple return that followed; both per scored day in ``dates`` (ISO), the folds one after another.
    Accuracies are shares of scored days; ``interval`` holds 95 % of the resampled ones, in blocks of 20 days.
    ``log_loss`` is in nats. ``attempt`` counts how often this symbol has been tried on these days.
    """

    kind: ClassVar[str] = "walk_forward_report"

    symbol: str
    horizon: int
    dates: list[str]
    probability: list[float]
    realized: list[float]
    accuracy: float
    interval: list[float]
    log_loss: float
    baselines: dict[str, float]
    p_value: float
    folds: list[Fold]
    attempt: int = 1
    champion: ChampionRecord | None = None

    @property
    def days(self) -> int:
        """Number of scored days."""
        return len(self.dates)

    @property
    def predictions(self) -> list[float]:
        """What was forecast, for telling attempts apart."""
        return self.probability

    @property
    def best_baseline(self) -> tuple[str, float]:
        """Name and accuracy of the strongest baseline that a promotion has to beat."""
        named = {name: self.baselines[name] for name in PROMOTION_BASELINES if name in self.baselines}
        return max(named.items(), key=lambda item: item[1])

    @property
    def corrected_p(self) -> float:
        """The p-value times the number of attempts on these days (Bonferroni)."""
        return min(1.0, self.p_value * self.attempt)

    @property
    def right(self) -> Bools:
        """Whether each day's forecast was right, (days,)."""
        return np.asarray((np.array(self.probability) > 0.5) == (np.array(self.realized) > 0), dtype=bool)


def hit_rate(forecast_up: Bools, realized: Floats) -> float:
    """Share of days whose direction was forecast; an unchanged price counts as not up."""
    return float(np.mean(forecast_up == (realized > 0)))


def score(
    folds: Sequence[SequenceSet],
    probabilities: Sequence[Floats],
    *,
    origins: Sequence[str] | None = None,
    attempt: int = 1,
    champion: ChampionRecord | None = None,
) -> WalkForwardReport:
    """Compare sealed predictions with what followed and with the baselines.

    Parameters
    ----------
    folds : sequence of SequenceSet
        The symbol's sequences as they stood at each fold (`SequenceSet.fold`). Their test rows are scored;
        their training rows fit the baselines, anew for each fold as for the model.
    probabilities : sequence of ndarray, shape (test rows of the fold,)
        Forecast probability of a rise for each test row, in the order of the ledger.
    origins : sequence of str, optional
        Where each fold's weights came from.
    attempt : int
        See `ml_assets.forecasts.attempts`.
    champion : ChampionRecord, optional
        What the model in service said.

    Raises
    ------
    ValueError
        If there is not exactly one finite probability in [0, 1] per test row.

    Notes
    -----
    With a horizon of h days, labels of neighboring rows overlap: only every h-th row is scored, so that the
    scored outcomes are distinct.
    """
    for sequences, probability in zip(folds, probabilities, strict=True):
        _require_probabilities(sequences, probability)
    symbol, horizon = folds[0].symbol, folds[0].horizon
    chosen = slice(None, None, horizon)
    joined = np.concatenate(probabilities)[chosen]
    realized = np.concatenate([s.y("test") for s in folds])[chosen]
    dates = np.concatenate([s.as_of("test") for s in folds])[chosen]
    forecasts = [_forecasts(sequences) for sequences in folds]
    up = joined > 0.5
    right = up == (realized > 0)
    names = origins or [""] * len(folds)
    return WalkForwardReport(
        symbol=symbol,
        horizon=horizon,
        dates=[str(day) for day in dates],
        probability=[float(p) for p in joined],
        realized=[float(r) for r in realized],
        accuracy=hit_rate(up, realized),
        interval=list(block_interval(right)),
        log_loss=log_loss(joined, realized > 0),
        baselines={
            name: hit_rate(np.concatenate([f[name] for f in forecasts])[chosen], realized)
            for name in forecasts[0]
        },
        p_value=pesaran_timmermann(up, realized > 0),
        folds=[
            _fold(i + 1, sequences, names[i], right[np.isin(dates, sequences.as_of("test"))])
            for i, sequences in enumerate(folds)
        ],
        attempt=attempt,
        champion=champion,
    )


def log_loss(probability: Floats, up: Bools) -> float:
    """Mean negative log-likelihood of the outcomes [nats]; certainty is cut off at 1e-12."""
    chance = np.clip(np.where(up, probability, 1.0 - probability), 1e-12, 1.0)
    return float(-np.mean(np.log(chance)))


def _require_probabilities(sequences: SequenceSet, probability: Floats) -> None:
    rows = sequences.positions("test").shape
    if probability.shape != rows or not np.isfinite(probability).all():
        raise ValueError(f"{sequences.symbol}: {probability.shape} predictions for {rows} test rows")
    if probability.min() < 0 or probability.max() > 1:
        raise ValueError(f"{sequences.symbol}: a probability lies outside [0, 1]")


def _forecasts(sequences: SequenceSet) -> dict[str, Bools]:
    """Baselines of one fold, fitted on its training rows."""
    train, test = sequences.positions("train"), sequences.positions("test")
    last, returns = _last_returns(sequences), sequences.returns
    days = sequences.normalize(sequences.features)
    tables = days[train], returns[train] > 0, days[test]
    return {
        "majority": majority_forecast(returns[train], test.size),
        "persistence": persistence_forecast(last[test]),
        "ar1": ar1_forecast(last[train], returns[train], last[test]),
        "always_up": np.ones(test.size, dtype=bool),
        "logistic": logistic_forecast(*tables),
        "boosting": boosting_forecast(*tables),
    }


def _fold(number: int, sequences: SequenceSet, origin: str, right: Bools) -> Fold:
    test = sequences.as_of("test")
    return Fold(
        number=number,
        training_rows=len(sequences.positions("train")),
        trained_until=str(sequences.train_end),
        validated_until=str(sequences.validation_end),
        first_day=str(test[0]),
        last_day=str(test[-1]),
        days=int(right.size),
        origin=origin,
        accuracy=float(np.mean(right)) if right.size else 0.0,
    )


def _last_returns(sequences: SequenceSet) -> Floats:
    """Return over the ``horizon`` days that end at each day: what was known then."""
    last = np.full(sequences.returns.shape, np.nan)
    last[sequences.horizon :] = sequences.returns[: -sequences.horizon]
    return last
