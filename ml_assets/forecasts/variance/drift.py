"""Whether a released variance model is still as much better than its baseline as its report says.

A rise of its loss is no drift: in a crisis every forecast loses. What is watched is the difference of its
QLIKE to that of the baseline that it was judged against, on the same days. It depends on ratios of forecasts
and outcome alone, so a change of the level of variance that both follow leaves it as it was.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from scipy.stats import t as student

from ml_assets.forecasts.drift import DriftReport, LevelDrift, Look, full_blocks, limit_of
from ml_assets.forecasts.variance.losses import LEAST_DAYS, lowest_frequencies

__all__ = ["VarianceDrift", "loss_drift"]

_PERIODS = 4
"""Horizons that a period must hold whose power says something about the mean."""


@dataclass(frozen=True)
class VarianceDrift(DriftReport):
    """A look at the released variance models. Their forecasts are variances over the horizon."""

    kind: ClassVar[str] = "volatility_drift_report"

    @staticmethod
    def reason(look: Look) -> tuple[str, str]:
        """Name a drift and describe it."""
        d = look.drift
        return f"variance_{look.horizon}", (
            f"QLIKE over {look.horizon} day(s) {d.level:+.3f} against {look.baseline} on {d.days} days "
            f"since {look.judged_until}, reported were {d.reported_level:+.3f} "
            f"(p {d.p_value:.2g} <= {d.limit:.2g})"
        )


def loss_drift(
    live: npt.ArrayLike, reported: npt.ArrayLike, *, horizon: int, block: int, false_alarms: float
) -> LevelDrift:
    """Test whether a model has lost against its baseline since its report.

    The hypothesis is that the expected loss difference is that of the report's days, whose own noise enters.
    The variance of both means comes from the lowest frequencies, so lasting differences and overlapping
    outcomes are allowed for. For the live mean it is that of the report's days or that of the live ones,
    whichever is larger: a quiet stretch without the days on which a forecast is far off looks surer than it
    is. Only full blocks count, and look k is tested at ``false_alarms / (k (k + 1))``, which adds up to
    ``false_alarms``.

    Parameters
    ----------
    live, reported : array_like, shapes (n,) and (m,)
        QLIKE of the model minus that of its baseline, day by day, in the order of time.
    horizon : int
        Days that an outcome covers. Where so few days leave no period of four horizons, p is 1, as with fewer
        than 30 days.
    block : int
        Days in a block.
    false_alarms : float
        Accepted probability of a needless alarm, over all looks at this model.

    Raises
    ------
    ValueError
        If there is no full block, the report is empty, or a difference is not finite.

    References
    ----------
    Coroneo and Iacone (2020), Journal of Applied Econometrics 35(4), eq. 7, for the variance of a mean; Welch
    (1947), Biometrika 34, for the degrees of freedom of two; the limits are a union bound.
    """
    now, then = np.asarray(live, dtype=np.float64), np.asarray(reported, dtype=np.float64)
    if not then.size:
        raise ValueError(f"{now.size} live days against a report of none")
    look = full_blocks(now.size, block)
    now = now[: look * block]
    if not (np.isfinite(now).all() and np.isfinite(then).all()):
        raise ValueError("a loss difference is not finite")
    return LevelDrift(
        look=look,
        days=now.size,
        level=float(now.mean()),
        reported_days=then.size,
        reported_level=float(then.mean()),
        p_value=_p_value(now, then, horizon),
        limit=limit_of(look, false_alarms),
    )


def _p_value(now: npt.NDArray[np.float64], then: npt.NDArray[np.float64], horizon: int) -> float:
    (power, m), (before, m_before) = (lowest_frequencies(v, _PERIODS * horizon) for v in (now, then))
    if min(now.size, then.size) < LEAST_DAYS or min(m, m_before) < 1:
        return 1.0
    if before >= power:
        power, m = before, m_before
    a, b = power / now.size, before / then.size
    if a <= 0.0:
        return 1.0
    degrees = (a + b) ** 2 / (a**2 / (2 * m) + b**2 / (2 * m_before))
    return float(student.sf((now.mean() - then.mean()) / np.sqrt(a + b), degrees))
