"""Score sealed variance forecasts, fold after fold, beside those of the baselines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

from ml_assets.forecasts.variance.fitted_baselines import rival_forecasts
from ml_assets.forecasts.variance.losses import diebold_mariano, qlike, squared_error
from ml_assets.forecasts.variance.rows import VarianceSet
from ml_assets.storage.artifact import JsonArtifact
from ml_assets.windows.labels import forward_variance
from ml_assets.windows.rolling import Floats
from ml_assets.windows.sequence_set import SequenceSet

__all__ = ["HorizonScore", "VarianceFold", "VarianceRecord", "VolatilityReport", "score_variance"]

_PERCENT2 = 1e4  # squared log returns to squared percent


@dataclass(frozen=True)
class VarianceFold:
    """One part of the sealed span, and what the model that forecast it was trained on; days are ISO dates.

    ``trained_until`` is the day on which the last training label ends, ``known_until`` that on which the
    last one ends that decided when to stop. ``qlike`` and ``baseline_qlike`` hold the model's and the best
    baseline's mean loss at each horizon.
    """

    number: int
    training_rows: int
    trained_until: str
    known_until: str
    first_day: str
    last_day: str
    qlike: list[float]
    baseline_qlike: list[float]


@dataclass(frozen=True)
class VarianceRecord:
    """What the model in service said at one horizon about days that it has not been trained on either.

    ``askable`` is false where it reads other features or another window than there are now.
    """

    weights_sha256: str
    dates: list[str]
    forecast: list[float]
    askable: bool = True


@dataclass(frozen=True)
class HorizonScore:
    """Sealed forecasts over one horizon and what they are worth.

    ``forecast``, ``realized`` and ``baseline_forecast`` (that of ``best_baseline``) are variances over the
    horizon, in squared log returns, per day of ``dates``. ``qlike`` [nats] and ``mse`` [squared percent per
    day, squared] are means over these days of the ``model`` and of each baseline. ``p_values`` are those of
    Diebold and Mariano, one-sided, against each baseline by QLIKE. ``calibration`` is the mean of realized
    over forecast variance. ``champion`` is what the released model said, where there is another one.
    """

    horizon: int
    dates: list[str]
    forecast: list[float]
    realized: list[float]
    baseline_forecast: list[float]
    best_baseline: str
    qlike: dict[str, float]
    mse: dict[str, float]
    p_values: dict[str, float]
    calibration: float
    champion: VarianceRecord | None = None

    @property
    def days(self) -> int:
        """Number of scored days."""
        return len(self.dates)

    @property
    def p_value(self) -> float:
        """P-value against the best baseline."""
        return self.p_values[self.best_baseline]

    @property
    def gain(self) -> float:
        """By how much the model's QLIKE is below the best baseline's, in nats."""
        return self.qlike[self.best_baseline] - self.qlike["model"]


@dataclass(frozen=True)
class VolatilityReport(JsonArtifact):
    """Sealed variance forecasts of one symbol. ``attempt`` counts how often these days have been tried."""

    kind: ClassVar[str] = "volatility_report"

    symbol: str
    scores: list[HorizonScore]
    folds: list[VarianceFold]
    attempt: int = 1

    @property
    def horizons(self) -> tuple[int, ...]:
        """Days ahead."""
        return tuple(score.horizon for score in self.scores)

    @property
    def dates(self) -> list[str]:
        """Scored days of the first horizon, ISO."""
        return self.scores[0].dates

    @property
    def predictions(self) -> list[list[float]]:
        """The model's forecasts at each horizon."""
        return [score.forecast for score in self.scores]

    def corrected_p(self, score: HorizonScore) -> float:
        """The p-value times the number of attempts on these days (Bonferroni)."""
        return min(1.0, score.p_value * self.attempt)


@dataclass(frozen=True)
class _Scored:
    """Days, outcomes and everybody's forecasts of one fold and horizon."""

    dates: np.ndarray
    realized: Floats
    forecasts: dict[str, Floats]


def score_variance(
    frame: pd.DataFrame,
    folds: Sequence[SequenceSet],
    rows: Sequence[VarianceSet],
    forecasts: Sequence[Floats],
    *,
    attempt: int = 1,
) -> VolatilityReport:
    """Compare sealed forecasts with what followed and with the baselines.

    Every test day counts whose outcome is known, overlapping ones included: the test allows for dependence.

    Parameters
    ----------
    frame : DataFrame
        Prices of the whole history.
    folds : sequence of SequenceSet
        The symbol's sequences as they stood at each fold; their test rows are scored.
    rows : sequence of VarianceSet
        What the model of each fold was trained on.
    forecasts : sequence of ndarray, shape (test rows of the fold, H)
        Variance over each horizon from each test row on.
    attempt : int
        See `ml_assets.forecasts.attempts`.

    Raises
    ------
    ValueError
        If there is not exactly one positive finite variance per test row and horizon.
    """
    horizons, closes = rows[0].horizons, frame["close"].to_numpy(dtype=np.float64)
    labels = np.column_stack([forward_variance(closes, h) for h in horizons])
    for sequences, forecast in zip(folds, forecasts, strict=True):
        _require_variances(sequences, forecast, horizons)
    parts = [
        _of_fold(frame, sequences, labels, forecast, horizons)
        for sequences, forecast in zip(folds, forecasts, strict=True)
    ]
    scores = [_score(h, [part[i] for part in parts]) for i, h in enumerate(horizons)]
    return VolatilityReport(
        symbol=folds[0].symbol,
        scores=scores,
        folds=[_fold(i + 1, sequences, rows[i], parts[i], scores) for i, sequences in enumerate(folds)],
        attempt=attempt,
    )


def _of_fold(
    frame: pd.DataFrame, sequences: SequenceSet, labels: Floats, forecast: Floats, horizons: tuple[int, ...]
) -> list[_Scored]:
    test = sequences.positions("test")
    rivals = rival_forecasts(frame, sequences, labels, horizons)
    found = []
    for i in range(len(horizons)):
        known = np.isfinite(labels[test, i])
        at = test[known]
        named = {"model": forecast[known, i]} | {name: values[at] for name, values in rivals[i].items()}
        found.append(_Scored(sequences.dates[at], labels[at, i], named))
    return found


def _score(horizon: int, parts: Sequence[_Scored]) -> HorizonScore:
    realized = np.concatenate([part.realized for part in parts])
    joined = {name: np.concatenate([p.forecasts[name] for p in parts]) for name in parts[0].forecasts}
    losses = {name: qlike(forecast, realized) for name, forecast in joined.items()}
    means = {name: float(np.mean(loss)) for name, loss in losses.items()}
    per_day = _PERCENT2 / horizon
    best = min((name for name in means if name != "model"), key=means.__getitem__)
    return HorizonScore(
        horizon=horizon,
        dates=[str(day) for part in parts for day in part.dates],
        forecast=[float(v) for v in joined["model"]],
        realized=[float(v) for v in realized],
        baseline_forecast=[float(v) for v in joined[best]],
        best_baseline=best,
        qlike=means,
        mse={
            name: float(np.mean(squared_error(forecast * per_day, realized * per_day)))
            for name, forecast in joined.items()
        },
        p_values={
            name: diebold_mariano(losses["model"], loss) for name, loss in losses.items() if name != "model"
        },
        calibration=float(np.mean(realized / joined["model"])),
    )


def _fold(
    number: int,
    sequences: SequenceSet,
    rows: VarianceSet,
    parts: Sequence[_Scored],
    scores: Sequence[HorizonScore],
) -> VarianceFold:
    test = sequences.as_of("test")

    def losses(names: Sequence[str]) -> list[float]:
        return [
            float(np.mean(qlike(part.forecasts[name], part.realized)))
            for part, name in zip(parts, names, strict=True)
        ]

    return VarianceFold(
        number=number,
        training_rows=len(rows.train),
        trained_until=rows.trained_until,
        known_until=rows.known_until,
        first_day=str(test[0]),
        last_day=str(test[-1]),
        qlike=losses(["model"] * len(parts)),
        baseline_qlike=losses([score.best_baseline for score in scores]),
    )


def _require_variances(sequences: SequenceSet, forecast: Floats, horizons: tuple[int, ...]) -> None:
    wanted = (len(sequences.positions("test")), len(horizons))
    if forecast.shape != wanted:
        raise ValueError(f"{sequences.symbol}: forecasts of shape {forecast.shape}, {wanted} are needed")
    if not (np.isfinite(forecast).all() and (forecast > 0).all()):
        row, column = np.argwhere(~(np.isfinite(forecast) & (forecast > 0)))[0]
        raise ValueError(
            f"{sequences.symbol} {sequences.as_of('test')[row]}: the forecast over {horizons[column]} days "
            f"is {forecast[row, column]}, which is no variance"
        )
