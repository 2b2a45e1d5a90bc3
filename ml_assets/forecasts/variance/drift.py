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

from ml_assets.forecasts.drift import FeatureDrift, Seen, limit_of
from ml_assets.forecasts.variance.losses import LEAST_DAYS, lowest_frequencies
from ml_assets.storage.artifact import JsonArtifact

__all__ = ["LossDrift", "VarianceLook", "VolatilityDriftReport", "loss_drift", "place_of"]

_PERIODS = 4
"""Horizons that a period must hold whose power says something about the mean."""


@dataclass(frozen=True)
class LossDrift:
    """Live loss against the report; of the days up to the last full block.

    ``excess`` and ``reported_excess`` are the mean QLIKE of the model minus that of the baseline [nats].
    """

    look: int
    days: int
    excess: float
    reported_days: int
    reported_excess: float
    p_value: float
    limit: float

    @property
    def found(self) -> bool:
        """Whether the model has lost against its baseline since its report."""
        return self.p_value <= self.limit


@dataclass(frozen=True)
class VarianceLook:
    """One look at the model of a horizon.

    ``champion`` is the sha256 of the released weights, ``judged_until`` the last day (ISO) of its report, and
    ``baseline`` the one that the report judged it against. ``forecast``, ``realized`` and
    ``baseline_forecast`` are variances over the horizon from each of ``dates`` on, in squared log returns.
    """

    horizon: int
    champion: str
    judged_until: str
    baseline: str
    dates: list[str]
    forecast: list[float]
    realized: list[float]
    baseline_forecast: list[float]
    drift: LossDrift

    @property
    def told(self) -> str:
        """What was found, in words."""
        d = self.drift
        return (
            f"QLIKE over {self.horizon} day(s) {d.excess:+.3f} against {self.baseline} on {d.days} days "
            f"since {self.judged_until}, reported were {d.reported_excess:+.3f} "
            f"(p {d.p_value:.2g} <= {d.limit:.2g})"
        )


@dataclass(frozen=True)
class VolatilityDriftReport(JsonArtifact):
    """One look at the released variance models of a symbol: those that have a full block of new days.

    ``features`` are looked at where no model of direction is released, whose watch does so; None where it
    does, or where there is too little to compare with.
    """

    kind: ClassVar[str] = "volatility_drift_report"

    symbol: str
    looks: list[VarianceLook]
    features: FeatureDrift | None = None

    def seen(self) -> dict[str, Seen]:
        """What was seen of each model, by :func:`place_of`; the features stand with the first."""
        found = {
            place_of(look.champion, look.horizon): Seen(
                look.drift.days, {f"variance_{look.horizon}": look.told} if look.drift.found else {}
            )
            for look in self.looks
        }
        if self.features is not None and self.features.found:
            next(iter(found.values())).reasons["features"] = self.features.told
        return found


def place_of(weights: str, horizon: int) -> str:
    """Name of one released variance model: the same weights may be released for several horizons."""
    return f"{weights}/{horizon}"


def loss_drift(
    live: npt.ArrayLike, reported: npt.ArrayLike, *, horizon: int, block: int, false_alarms: float
) -> LossDrift:
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
    look = now.size // block
    if look < 1 or not then.size:
        raise ValueError(f"{now.size} live days, {block} are a block; {then.size} reported ones")
    now = now[: look * block]
    if not (np.isfinite(now).all() and np.isfinite(then).all()):
        raise ValueError("a loss difference is not finite")
    return LossDrift(
        look=look,
        days=now.size,
        excess=float(now.mean()),
        reported_days=then.size,
        reported_excess=float(then.mean()),
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
