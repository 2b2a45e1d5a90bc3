"""Fit before each fold, forecast its sealed days, score: the same way for every target and forecaster.

It needs no Dagster. In a notebook, ``walk_forward(DIRECTION_SCORING, MambaDirection(), frame, folds)`` gives
a report, where ``folds = fold_rows(frame, sequences, (1,))``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ml_assets.forecasts.forecaster import (
    FoldRows,
    Forecaster,
    Model,
    TrainedForecaster,
    TrainedModel,
    purged_rows,
)
from ml_assets.forecasts.report import Fold, Record, Report, Score
from ml_assets.windows.rolling import Floats

__all__ = ["FoldModels", "Scoring", "champion_record", "walk_forward"]

R = TypeVar("R", bound=Report, covariant=True)


@dataclass(frozen=True)
class Scoring(Generic[R]):
    """How forecasts of a target are scored.

    Parameters
    ----------
    report : type
        Class of its reports.
    baselines : sequence of Forecaster
        What stands beside the model.
    overlapping : bool
        Whether scored outcomes may share days with each other; else every h-th sealed day is scored, so that
        the outcomes are distinct.
    outcomes : callable
        ``(frame of the whole history, rows) -> outcomes (n, H)`` of ``rows.days``; NaN where not known yet.
    possible : callable
        Which forecasts are values of the target, elementwise.
    unit : str
        What a forecast is, for messages.
    level : callable
        ``(forecast, realized) -> mean score``.
    score : callable
        ``(horizon, dates, forecasts by name, realized) -> Score``.
    """

    report: type[R]
    baselines: Sequence[Forecaster]
    overlapping: bool
    outcomes: Callable[[pd.DataFrame, FoldRows], Floats]
    possible: Callable[[Floats], NDArray[np.bool_]]
    unit: str
    level: Callable[[Floats, Floats], float]
    score: Callable[[int, list[str], dict[str, Floats], Floats], Score]

    def require_possible(self, rows: FoldRows, forecast: Floats) -> None:
        """Raise ValueError unless there is one possible forecast for each day and horizon."""
        symbol, wanted = rows.sequences.symbol, (rows.days.size, len(rows.horizons))
        if forecast.shape != wanted:
            raise ValueError(f"{symbol}: forecasts of shape {forecast.shape}, {wanted} are needed")
        good = np.isfinite(forecast) & self.possible(forecast)
        if not good.all():
            row, column = np.argwhere(~good)[0]
            raise ValueError(
                f"{symbol} {rows.sequences.dates[rows.days[row]]}: the forecast over {rows.horizons[column]} "
                f"day(s) is {forecast[row, column]}, not {self.unit}"
            )


class FoldModels:
    """The model of each fold, by its number from 1: fitted when first asked for.

    Parameters
    ----------
    forecaster : Forecaster
    folds : sequence of FoldRows
    *last : Model
        Models of the last folds that are there already.
    like : FoldModels, optional
        Of the same trained forecaster: each fold is trained under the conditions that its model had there,
        for instance a smaller batch after memory had run out, so that the very same weights come out.
    """

    def __init__(
        self,
        forecaster: Forecaster,
        folds: Sequence[FoldRows],
        *last: Model,
        like: FoldModels | None = None,
    ) -> None:
        self._forecaster, self._folds, self._like = forecaster, folds, like
        self._models: dict[int, Model] = dict(enumerate(last, 1 + len(folds) - len(last)))
        self._given = frozenset(self._models)

    def __call__(self, number: int) -> Model:
        """Fit on the fold's rows, once."""
        if number not in self._models:  # the one place where models of folds are trained
            rows = self._folds[number - 1]
            self._models[number] = (
                self._forecaster.fit(rows)
                if self._like is None
                else cast(TrainedForecaster, self._forecaster).fit(
                    rows, like=cast(TrainedModel, self._like(number))
                )
            )
        return self._models[number]

    def __iter__(self) -> Iterator[tuple[FoldRows, Model]]:
        """The rows of each fold with its model."""
        return ((rows, self(number)) for number, rows in enumerate(self._folds, 1))

    @property
    def events(self) -> list[str]:
        """What went wrong while the models were trained that were not there before, and how it was mended."""
        return [
            f"fold {number}: {message}"
            for number, model in sorted(self._models.items())
            if number not in self._given
            for message in getattr(model, "events", ())
        ]

    def forecast(self, number: int) -> Floats:
        """Forecasts of the fold's days, (n, H)."""
        return self(number).forecast(self._folds[number - 1])


@dataclass(frozen=True)
class _Scored:
    """Scored days of one fold at one horizon: outcomes and everybody's forecasts."""

    dates: NDArray[np.datetime64]
    realized: Floats
    forecasts: dict[str, Floats]


def walk_forward(
    scoring: Scoring[R], models: FoldModels | Forecaster, frame: pd.DataFrame, folds: Sequence[FoldRows]
) -> R:
    """Forecast and score every fold, beside the baselines, which are fitted anew for each as the model is.

    Parameters
    ----------
    scoring : Scoring
        Of the target.
    models : FoldModels or Forecaster
        The forecaster, or its models of these folds.
    frame : DataFrame
        Prices of the whole history.
    folds : sequence of FoldRows
        See `ml_assets.forecasts.forecaster.fold_rows`.

    Raises
    ------
    ValueError
        If a forecast is missing or no value of the target.
    """
    models = models if isinstance(models, FoldModels) else FoldModels(models, folds)
    parts, before = [], 0
    for number, rows in enumerate(folds, 1):
        forecast = models.forecast(number)
        scoring.require_possible(rows, forecast)
        named = {"model": forecast} | {
            baseline.name: baseline.fit(rows).forecast(rows)
            for baseline in scoring.baselines
            if baseline.columns <= set(frame.columns)
        }
        outcomes = scoring.outcomes(frame, rows)
        parts.append([_scored(scoring, rows, i, before, named, outcomes) for i in range(len(rows.horizons))])
        before += rows.days.size
    scores = [_joined(scoring, h, [part[i] for part in parts]) for i, h in enumerate(folds[0].horizons)]
    return scoring.report(
        symbol=folds[0].sequences.symbol,
        scores=scores,
        folds=[_fold(scoring, i + 1, rows, models(i + 1), parts[i], scores) for i, rows in enumerate(folds)],
    )


def _scored(
    scoring: Scoring[R], rows: FoldRows, i: int, before: int, forecasts: dict[str, Floats], outcomes: Floats
) -> _Scored:
    """Keep the days to score whose outcome is known; `before` days of the span stand in earlier folds."""
    step = 1 if scoring.overlapping else rows.horizons[i]
    chosen = (before + np.arange(rows.days.size)) % step == 0
    chosen &= np.isfinite(outcomes[:, i])
    kept = {name: forecast[chosen, i] for name, forecast in forecasts.items()}
    return _Scored(rows.sequences.dates[rows.days[chosen]], outcomes[chosen, i], kept)


def _joined(scoring: Scoring[R], horizon: int, parts: Sequence[_Scored]) -> Score:
    realized = np.concatenate([part.realized for part in parts])
    forecasts = {name: np.concatenate([p.forecasts[name] for p in parts]) for name in parts[0].forecasts}
    return scoring.score(horizon, [str(day) for part in parts for day in part.dates], forecasts, realized)


def _fold(
    scoring: Scoring[R],
    number: int,
    rows: FoldRows,
    model: Model,
    parts: Sequence[_Scored],
    scores: Sequence[Score],
) -> Fold:
    reach = max(rows.horizons)
    train, validation = purged_rows(rows.sequences, reach)
    dates = rows.sequences.dates

    def levels(names: Sequence[str]) -> list[float]:
        return [
            scoring.level(part.forecasts[name], part.realized) if part.dates.size else 0.0
            for part, name in zip(parts, names, strict=True)
        ]

    return Fold(
        number=number,
        training_rows=len(train),
        trained_until=str(dates[train[-1] + reach]),
        known_until=str(dates[validation[-1] + reach]),
        first_day=str(dates[rows.days[0]]),
        last_day=str(dates[rows.days[-1]]),
        days=parts[0].dates.size,
        origin=getattr(model, "origin", "fitted"),
        levels=levels(["model"] * len(parts)),
        baseline_levels=levels([score.best_baseline for score in scores]),
    )


def champion_record(rows: FoldRows, score: Score, sha256: str, champion: TrainedModel) -> Record:
    """Let the model in service forecast the scored days of a fold that came after all it was trained on.

    Parameters
    ----------
    rows : FoldRows
        The newest fold.
    score : Score
        Of the new model.
    sha256 : str
        Version of the model in service.
    champion : TrainedModel
        That model.

    Returns
    -------
    Record
        Without days where it knows them all or has no such horizon, and marked where it cannot be asked:
        other features or another window.
    """
    sequences, days = rows.sequences, rows.days
    scored = np.isin(sequences.dates[days], np.array(score.dates, dtype="datetime64[D]"))
    days = days[scored & (days >= champion.first_unseen(sequences))]
    alike = (champion.feature_names, champion.window) == (sequences.feature_names, sequences.window)
    if not alike or score.horizon not in champion.horizons or not days.size:
        return Record(sha256, [], [], askable=alike)
    asked = replace(rows, horizons=champion.horizons, at=days)
    forecast = champion.forecast(asked)[:, champion.horizons.index(score.horizon)]
    return Record(sha256, [str(day) for day in sequences.dates[days]], forecast.tolist())
