"""Fleets whose forecasts are drawn: the statistical rule alone, thousands of times, without training."""

from __future__ import annotations

import numpy as np

from benchmarks.calibration.fleets import Fleet, Score
from ml_assets.forecasts.direction import hit_rate
from ml_assets.forecasts.direction.forecasters import fit_line, majority_rises
from ml_assets.forecasts.statistics import pesaran_timmermann

__all__ = ["drawn_fleet", "drawn_score"]

_TRAINING = 1000  # days on which the baselines are fitted


def drawn_fleet(
    rng: np.random.Generator, days: int, *, symbols: int = 50, edges: int = 0, accuracy: float = 0.5
) -> Fleet:
    """Draw a fleet in which `edges` symbols are forecast with `accuracy`, and the others by chance."""
    return Fleet(
        walks=[drawn_score(rng, days, None) for _ in range(symbols - edges)],
        edges=[drawn_score(rng, days, accuracy) for _ in range(edges)],
    )


def drawn_score(rng: np.random.Generator, days: int, accuracy: float | None) -> Score:
    """Draw outcomes and forecasts of one symbol and score them.

    Outcomes are independent; a rise has a probability between 50 and 54 %, drawn per symbol, as daily stocks
    have. So only the forecaster knows anything, and no baseline does.

    Parameters
    ----------
    rng : Generator
    days : int
        Sealed days.
    accuracy : float or None
        Probability that a forecast is right, whatever the outcome; ``None`` draws forecasts that do not
        depend on the outcome and rise on 20 to 80 % of days, as models without skill do.
    """
    n = _TRAINING + days
    rising = rng.random(n) < rng.uniform(0.50, 0.54)
    returns = np.where(rising, 1.0, -1.0) * np.abs(rng.standard_normal(n))
    before, after = returns[:-1], returns[1:]
    realized, last = returns[_TRAINING:], returns[_TRAINING - 1 : -1]
    up = realized > 0
    if accuracy is None:
        forecast = rng.random(days) < rng.uniform(0.2, 0.8)
    else:
        forecast = up == (rng.random(days) < accuracy)
    train = slice(None, _TRAINING - 1)
    baselines = {
        "majority": np.full(days, majority_rises(after[train])),
        "persistence": last > 0,
        "ar1": fit_line(before[train], after[train]).rises(last),
        "always_up": np.ones(days, dtype=bool),
        # On such outcomes logistic regression forecasts independently of them; drawn, it needs no features.
        "logistic": rng.random(days) < 0.5,
    }
    return Score(
        days=days,
        accuracy=hit_rate(forecast, realized),
        p_value=pesaran_timmermann(forecast, up),
        baselines={name: hit_rate(guess, realized) for name, guess in baselines.items()},
    )
