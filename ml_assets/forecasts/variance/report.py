"""Score forecasts of variance: QLIKE, Diebold-Mariano against each baseline, and calibration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from ml_assets.forecasts.forecaster import FoldRows
from ml_assets.forecasts.report import Fold, Record, Report, Score
from ml_assets.forecasts.variance.forecasters import BASELINES
from ml_assets.forecasts.variance.losses import diebold_mariano, qlike, squared_error
from ml_assets.forecasts.walk_forward import Scoring
from ml_assets.windows.labels import forward_variance
from ml_assets.windows.rolling import Floats

__all__ = ["VARIANCE_SCORING", "VolatilityReport"]

_PERCENT2 = 1e4  # squared log returns to squared percent


@dataclass(frozen=True)
class VolatilityReport(Report):
    """Sealed forecasts of variance, and realized variances, in squared log returns over the horizon.

    Levels are mean QLIKE [nats]. Further figures: ``mse`` [squared percent per day, squared], ``p_value`` by
    Diebold and Mariano against each baseline, one-sided, and the model's ``calibration``, the mean of
    realized over forecast variance.
    """

    kind: ClassVar[str] = "volatility_report"

    @classmethod
    def is_old(cls, _held: Mapping[str, Any]) -> bool:
        """Earlier reports called their level by its name."""
        return any("qlike" in score for score in _held.get("scores", []))

    @classmethod
    def renewed(cls, held: Mapping[str, Any]) -> dict[str, Any]:
        """Put the figures of an earlier report where they stand now."""
        dates = held["scores"][0]["dates"]
        folds = [
            Fold(
                f["number"], f["training_rows"], f["trained_until"], f["known_until"], f["first_day"],
                f["last_day"], sum(f["first_day"] <= day <= f["last_day"] for day in dates), "scratch",
                f["qlike"], f["baseline_qlike"],
            )
            for f in held["folds"]
        ]  # fmt: skip
        scores = [
            Score(
                **{name: s[name] for name in _KEPT},
                levels=s["qlike"],
                gain=s["qlike"][s["best_baseline"]] - s["qlike"]["model"],
                p_value=s["p_values"][s["best_baseline"]],
                figures=_figures(s["mse"], s["p_values"], s["calibration"]),
                champion=None if s.get("champion") is None else Record(**s["champion"]),
            )
            for s in held["scores"]
        ]
        return {"symbol": held["symbol"], "scores": scores, "folds": folds, "attempt": held["attempt"]}


_KEPT = ("horizon", "dates", "forecast", "realized", "baseline_forecast", "best_baseline")


def _level(forecast: Floats, realized: Floats) -> float:
    return float(np.mean(qlike(forecast, realized)))


def _score(horizon: int, dates: list[str], forecasts: dict[str, Floats], realized: Floats) -> Score:
    losses = {name: qlike(forecast, realized) for name, forecast in forecasts.items()}
    means = {name: float(np.mean(loss)) for name, loss in losses.items()}
    per_day = _PERCENT2 / horizon
    rivals = [name for name in means if name != "model"]
    best = min(rivals, key=means.__getitem__)
    p_values = {name: diebold_mariano(losses["model"], losses[name]) for name in rivals}
    mse = {
        name: float(np.mean(squared_error(forecast * per_day, realized * per_day)))
        for name, forecast in forecasts.items()
    }
    return Score(
        horizon=horizon,
        dates=dates,
        forecast=forecasts["model"].tolist(),
        realized=realized.tolist(),
        baseline_forecast=forecasts[best].tolist(),
        best_baseline=best,
        levels=means,
        gain=means[best] - means["model"],
        p_value=p_values[best],
        figures=_figures(mse, p_values, float(np.mean(realized / forecasts["model"]))),
    )


def _figures(
    mse: dict[str, float], p_values: dict[str, float], calibration: float
) -> dict[str, dict[str, float]]:
    return {"mse": mse, "p_value": p_values, "calibration": {"model": calibration}}


def _outcomes(frame: pd.DataFrame, rows: FoldRows) -> Floats:
    """From the whole history: the outcome of a fold's last days lies after the fold."""
    closes = frame["close"].to_numpy(dtype=np.float64)
    return np.column_stack([forward_variance(closes, h)[rows.days] for h in rows.horizons])


VARIANCE_SCORING = Scoring(
    report=VolatilityReport,
    baselines=BASELINES,
    overlapping=True,  # the test of skill allows for dependence
    outcomes=_outcomes,
    possible=lambda forecast: forecast > 0,
    unit="a positive variance",
    level=_level,
    score=_score,
)
