"""The variance model in service beside the one that wants its place, by their losses on the same days."""

from __future__ import annotations

import numpy as np

from ml_assets.forecasts.report import Score as HorizonScore
from ml_assets.forecasts.succession import Champion, Comparison
from ml_assets.forecasts.variance.losses import diebold_mariano, qlike
from ml_assets.windows.rolling import Floats

__all__ = ["compare_variances"]


def _losses_in_common(score: HorizonScore) -> tuple[Floats, Floats, Floats] | None:
    """QLIKE of the new model, of the champion and of the best baseline on the days of both models."""
    if score.champion is None:
        return None
    place = {day: i for i, day in enumerate(score.dates)}
    at = np.array([place[day] for day in score.champion.dates], dtype=int)
    realized = np.array(score.realized)[at]
    model, baseline = np.array(score.forecast)[at], np.array(score.baseline_forecast)[at]
    return (
        qlike(model, realized), qlike(np.array(score.champion.forecast), realized), qlike(baseline, realized)
    )  # fmt: skip


def compare_variances(score: HorizonScore, champion: Champion | None) -> Comparison | None:
    """Compare candidate and champion by Diebold and Mariano; None if the report did not ask that champion.

    The champion promised to be better than the rules without a model: it declines where the best of them is
    better than it.
    """
    losses = _losses_in_common(score)
    if losses is None or champion is None or score.champion is None:
        return None
    if score.champion.weights_sha256 != champion.weights_sha256:
        return None
    ours, theirs, rule = losses
    told = f"QLIKE {theirs.mean():.4f}, {score.best_baseline} {rule.mean():.4f}" if len(theirs) else "nothing"
    return Comparison(
        days=len(theirs),
        replace_p=diebold_mariano(ours, theirs),
        decline_p=diebold_mariano(rule, theirs),
        standing=f"{told} on {len(theirs)} days",
        askable=score.champion.askable,
    )
