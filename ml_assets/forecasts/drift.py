"""Whether a released model still meets the markets that it was trained and judged on.

Two questions, each answered once per block of new days, so that the answer does not depend on how often one
looks: is it right less often than its report says, and do its features look like nothing that it has seen?
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from scipy.stats import hypergeom

from ml_assets.storage.artifact import JsonArtifact
from ml_assets.windows.rolling import Floats

__all__ = [
    "AccuracyDrift",
    "DriftReport",
    "FeatureDrift",
    "Seen",
    "accuracy_drift",
    "feature_drift",
    "limit_of",
    "look_for_drift",
]

_GRID = 64
"""Quantiles of the reference at which distributions are compared."""
_BLOCKS = 400


@dataclass(frozen=True)
class Seen:
    """What a report says about one released model.

    ``days`` were covered; ``reasons`` call for a retraining, by name, in words; empty if nothing does.
    """

    days: int
    reasons: dict[str, str]


@dataclass(frozen=True)
class AccuracyDrift:
    """Live accuracy against the report; figures of the days up to the last full block."""

    look: int
    days: int
    hits: int
    reported_days: int
    reported_hits: int
    p_value: float
    limit: float

    @property
    def found(self) -> bool:
        """Whether the model is right less often than reported."""
        return self.p_value <= self.limit


@dataclass(frozen=True)
class FeatureDrift:
    """The features of the last full block against all days up to the last one judged."""

    days: int
    reference_days: int
    feature: str
    distance: float
    typical: float
    p_value: float
    limit: float

    @property
    def found(self) -> bool:
        """Whether the block is unlike every stretch of its length in the reference."""
        return self.p_value <= self.limit

    @property
    def told(self) -> str:
        """What was found, in words."""
        return (
            f"{self.feature} of the last {self.days} days lies {self.distance:.2f} from its known "
            f"distribution, typical are {self.typical:.2f} "
            f"(p {self.p_value:.2g} <= {self.limit:.2g} over all features)"
        )


@dataclass(frozen=True)
class DriftReport(JsonArtifact):
    """One look at a champion.

    Parameters
    ----------
    symbol, champion
        The symbol, and the sha256 of the released weights.
    judged_until
        Last day of the champion's report (ISO).
    dates, hits
        New days with a known outcome that were scored, and whether each was forecast rightly.
    accuracy, features
        What was found; features are None where the reference is too short to compare with.
    """

    kind: ClassVar[str] = "drift_report"

    symbol: str
    champion: str
    judged_until: str
    dates: list[str]
    hits: list[bool]
    accuracy: AccuracyDrift
    features: FeatureDrift | None

    @property
    def reasons(self) -> dict[str, str]:
        """What calls for a retraining: by name, in words; empty if nothing does."""
        found = {}
        a, f = self.accuracy, self.features
        if a.found:
            found["accuracy"] = (
                f"accuracy {a.hits / a.days:.1%} on {a.days} days since {self.judged_until}, reported were "
                f"{a.reported_hits / a.reported_days:.1%} (p {a.p_value:.2g} <= {a.limit:.2g})"
            )
        if f is not None and f.found:
            found["features"] = f.told
        return found

    def seen(self) -> dict[str, Seen]:
        """What was seen of the champion, by the name of its place in the release."""
        return {self.champion: Seen(self.accuracy.days, self.reasons)}


def look_for_drift(
    symbol: str,
    champion: str,
    judged_until: str,
    reported: tuple[int, int],
    live: tuple[list[str], npt.NDArray[np.bool_]],
    features: tuple[Floats, Floats, tuple[str, ...]],
    *,
    block: int,
    false_alarms: float,
) -> DriftReport:
    """Answer both questions.

    Parameters
    ----------
    symbol, champion, judged_until
        As in :class:`DriftReport`.
    reported
        Right days and all days of the champion's report.
    live
        Dates and hits of the new days with a known outcome.
    features
        Of the days up to ``judged_until``, (m, F); of the new days, (n, F); names.
    block
        Days in a block.
    false_alarms
        Accepted probability of a needless alarm: for the accuracy over all looks at this champion, for the
        features at each look.

    Raises
    ------
    ValueError
        If there is no full block yet.
    """
    dates, hits = live
    accuracy = accuracy_drift(hits, reported, block=block, false_alarms=false_alarms)
    return DriftReport(
        symbol=symbol,
        champion=champion,
        judged_until=judged_until,
        dates=dates[: accuracy.days],
        hits=[bool(hit) for hit in hits[: accuracy.days]],
        accuracy=accuracy,
        features=feature_drift(features[0], features[1][-block:], features[2], limit=false_alarms),
    )


def accuracy_drift(
    hits: npt.ArrayLike, reported: tuple[int, int], *, block: int, false_alarms: float
) -> AccuracyDrift:
    """Test whether live days are right less often than the reported ones.

    One-sided exact test of two proportions: given all right days, their number among the live ones is
    hypergeometric. Unlike a binomial test against the reported accuracy it allows for the chance in the
    report itself. Only full blocks count, and look k is tested at ``false_alarms / (k (k + 1))``, which
    adds up to ``false_alarms`` over all looks.

    Parameters
    ----------
    hits : array_like of bool, shape (n,)
        In the order of time.
    reported
        Right days and all days of the report.

    Raises
    ------
    ValueError
        If there is no full block, or the report is none.

    References
    ----------
    Fisher (1935), The Design of Experiments, on the exact test; the limits are a union bound.
    """
    right = np.asarray(hits, dtype=bool)
    look = right.size // block
    reported_hits, reported_days = reported
    if look < 1 or not 0 <= reported_hits <= reported_days or not reported_days:
        raise ValueError(
            f"{right.size} live days, {block} are a block; report of {reported_hits}/{reported_days}"
        )
    days = look * block
    live = int(right[:days].sum())
    p = float(hypergeom.cdf(live, days + reported_days, live + reported_hits, days))
    return AccuracyDrift(
        look, days, live, reported_days, reported_hits, min(p, 1.0), limit_of(look, false_alarms)
    )


def limit_of(look: int, false_alarms: float) -> float:
    """p-value at which a look, counted from 1, finds drift; over all looks they add up to `false_alarms`."""
    return false_alarms / (look * (look + 1))


def feature_drift(
    reference: Floats, recent: Floats, names: tuple[str, ...], *, limit: float
) -> FeatureDrift | None:
    """Test whether a stretch of days is unlike every stretch of its length in the reference.

    The distance of a feature is Kolmogorov and Smirnov's. Its usual p-value is of no use here: features of
    neighboring days are nearly equal. So distances of stretches of the reference from the rest of it are
    the yardstick, and the largest distance over all features, each in units of its typical one, is compared
    with theirs: one test, whatever the number of features.

    Parameters
    ----------
    reference : ndarray, shape (m, F)
        Finite rows in the order of time.
    recent : ndarray, shape (n, F)
    names : tuple of str
    limit : float
        p-value at which drift is found.

    Returns
    -------
    FeatureDrift or None
        None if the reference holds too few separate stretches to reach ``limit``.

    Notes
    -----
    The p-value is at least 1 / (1 + m // n): overlapping stretches are not more evidence than separate ones.

    References
    ----------
    Westfall and Young (1993), Resampling-Based Multiple Testing, for the largest statistic as the yardstick.
    """
    m, n = len(reference), len(recent)
    floor = 1.0 / (1 + m // max(n, 1))
    if n < 2 or floor > limit:
        return None
    starts = np.unique(np.linspace(0, m - n, min(_BLOCKS, m - n + 1)).astype(int))
    distances = np.empty((len(starts), len(names)))
    observed = np.empty(len(names))
    for f in range(len(names)):
        distances[:, f], observed[f] = _distances(reference[:, f], recent[:, f], starts, n)
    typical = np.maximum(distances.mean(axis=0), 1.0 / n)
    worst = (distances / typical).max(axis=1)
    feature = int(np.argmax(observed / typical))
    p = (1.0 + np.count_nonzero(worst >= (observed / typical)[feature])) / (1.0 + len(starts))
    return FeatureDrift(
        days=n,
        reference_days=m,
        feature=names[feature],
        distance=float(observed[feature]),
        typical=float(typical[feature]),
        p_value=float(max(p, floor)),
        limit=limit,
    )


def _distances(
    reference: Floats, recent: Floats, starts: npt.NDArray[np.int64], n: int
) -> tuple[Floats, float]:
    """Distance of each stretch from the rest of the reference, and of the recent days from all of it."""
    grid = np.unique(np.quantile(reference, np.linspace(0, 1, _GRID)))
    below = reference[:, None] <= grid
    total = np.concatenate([np.zeros((1, grid.size)), np.cumsum(below, axis=0)])
    inside = total[starts + n] - total[starts]
    outside = (total[-1] - inside) / (len(reference) - n)
    stretches = np.abs(inside / n - outside).max(axis=1)
    return stretches, float(np.abs((recent[:, None] <= grid).mean(axis=0) - below.mean(axis=0)).max())
