"""Score forecasts of direction: share of days, Pesaran-Timmermann, and an interval by blocks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml_assets.forecasts.direction.forecasters import BASELINES, PROMOTION_BASELINES
from ml_assets.forecasts.forecaster import FoldRows
from ml_assets.forecasts.report import Fold, Record, Report, Score
from ml_assets.forecasts.statistics import block_interval, pesaran_timmermann
from ml_assets.forecasts.walk_forward import Scoring

__all__ = ["DIRECTION_SCORING", "WalkForwardReport", "hit_rate"]

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class WalkForwardReport(Report):
    """Sealed forecasts of direction: probabilities of a rise, and the simple returns that followed.

    Levels are shares of scored days. Further figures of the model: ``interval_low`` and ``interval_high``
    hold 95 % of the accuracies resampled in blocks of 20 days; ``log_loss`` is in nats.
    """

    kind: ClassVar[str] = "walk_forward_report"

    @classmethod
    def is_old(cls, _held: Mapping[str, Any]) -> bool:
        """Earlier reports had one horizon and no list of scores."""
        return "probability" in _held

    @classmethod
    def renewed(cls, held: Mapping[str, Any]) -> dict[str, Any]:
        """Put the figures of an earlier report where they stand now."""
        old = held.get("champion")
        record = old and Record(
            old["weights_sha256"], old["dates"], old["probability"], old.get("askable", True)
        )
        folds = [
            Fold(
                f["number"], f["training_rows"], f["trained_until"], f["validated_until"], f["first_day"],
                f["last_day"], f["days"], f["origin"], [f["accuracy"]], [],
            )
            for f in held["folds"]
        ]  # fmt: skip
        levels = {"model": held["accuracy"], **held["baselines"]}
        low, high = held["interval"]
        score = Score(
            horizon=held["horizon"],
            dates=held["dates"],
            forecast=held["probability"],
            realized=held["realized"],
            baseline_forecast=[],
            levels=levels,
            p_value=held["p_value"],
            figures=_figures(low, high, held["log_loss"]),
            champion=record,
            **_against_the_best(levels),
        )
        return {
            "symbol": held["symbol"], "scores": [score], "folds": folds, "attempt": held.get("attempt", 1)
        }  # fmt: skip


def hit_rate(forecast_up: Bools, realized: Floats) -> float:
    """Share of days whose direction was forecast; an unchanged price counts as not up."""
    return float(np.mean(forecast_up == (realized > 0)))


def _level(forecast: Floats, realized: Floats) -> float:
    return hit_rate(forecast > 0.5, realized)


def _score(horizon: int, dates: list[str], forecasts: dict[str, Floats], realized: Floats) -> Score:
    up, rose = forecasts["model"] > 0.5, realized > 0
    levels = {name: _level(forecast, realized) for name, forecast in forecasts.items()}
    best = _against_the_best(levels)
    return Score(
        horizon=horizon,
        dates=dates,
        forecast=forecasts["model"].tolist(),
        realized=realized.tolist(),
        baseline_forecast=forecasts[best["best_baseline"]].tolist(),
        levels=levels,
        p_value=pesaran_timmermann(up, rose),
        figures=_figures(*block_interval(up == rose), _log_loss(forecasts["model"], rose)),
        **best,
    )


def _against_the_best(levels: Mapping[str, float]) -> dict[str, Any]:
    best = max((name for name in PROMOTION_BASELINES if name in levels), key=levels.__getitem__)
    return {"best_baseline": best, "gain": levels["model"] - levels[best]}


def _figures(low: float, high: float, log_loss: float) -> dict[str, dict[str, float]]:
    named = {"interval_low": low, "interval_high": high, "log_loss": log_loss}
    return {name: {"model": figure} for name, figure in named.items()}


def _log_loss(probability: Floats, up: Bools) -> float:
    """Mean negative log-likelihood of the outcomes [nats]; certainty is cut off at 1e-12."""
    chance = np.clip(np.where(up, probability, 1.0 - probability), 1e-12, 1.0)
    return float(-np.mean(np.log(chance)))


def _outcomes(_frame: pd.DataFrame, rows: FoldRows) -> Floats:
    return rows.sequences.returns[rows.days][:, None]


DIRECTION_SCORING = Scoring(
    report=WalkForwardReport,
    baselines=BASELINES,
    overlapping=False,  # the test of skill takes days for independent
    outcomes=_outcomes,
    possible=lambda forecast: (forecast >= 0) & (forecast <= 1),
    unit="a probability in [0, 1]",
    level=_level,
    score=_score,
)
