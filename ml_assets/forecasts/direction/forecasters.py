"""The baselines of direction: four rules, and two models that remember nothing.

A forecast is the probability that the price rises over the horizon. A rule that only says up or down
forecasts 1 or 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from ml_assets.forecasts.forecaster import Baseline, FoldRows, Forecaster
from ml_assets.storage.arrays import pack, unpack
from ml_assets.storage.artifact import JsonArtifact
from ml_assets.windows.sequence_set import SequenceSet

__all__ = [
    "BASELINES",
    "PROMOTION_BASELINES",
    "Line",
    "Logistic",
    "Trees",
    "fit_line",
    "fit_logistic",
    "majority_rises",
]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Matrix = NDArray[np.floating]


@dataclass(frozen=True)
class Constant(JsonArtifact):
    """The same forecast for every day."""

    probability: float

    def forecast(self, rows: FoldRows) -> Floats:
        """Repeat it, shape (n, 1)."""
        return np.full((rows.days.size, 1), self.probability)


@dataclass(frozen=True)
class LastMove(JsonArtifact):
    """The direction of the last known return comes again."""

    def forecast(self, rows: FoldRows) -> Floats:
        """Say up after a rise, shape (n, 1)."""
        return _column(_last_returns(rows.sequences)[rows.days] > 0)


@dataclass(frozen=True)
class Line(JsonArtifact):
    """A straight line from the last return to the next one."""

    center: float
    level: float
    slope: float

    def rises(self, last: Floats) -> Bools:
        """Whether the line is above zero after each of these returns, shape (n,)."""
        return np.asarray(self.level + self.slope * (last - self.center) > 0, dtype=bool)

    def forecast(self, rows: FoldRows) -> Floats:
        """Say up where the line is above zero, shape (n, 1)."""
        return _column(self.rises(_last_returns(rows.sequences)[rows.days]))


@dataclass(frozen=True)
class Logistic(JsonArtifact):
    """Logistic regression on the standardized features of one day."""

    intercept: float
    weights: list[float]

    def logits(self, X: Matrix) -> Floats:
        """Log odds of a rise, (n,), in double precision: near even odds the last bits decide."""
        return np.asarray(self.intercept + (X.astype(np.float64) * self.weights).sum(axis=1))

    def forecast(self, rows: FoldRows) -> Floats:
        """Probability of a rise, shape (n, 1)."""
        return expit(self.logits(_days(rows.sequences)[rows.days]))[:, None]


@dataclass(frozen=True, eq=False)
class Trees:
    """Gradient-boosted trees on the standardized features of one day.

    They are kept as the rows that they were trained on, for fitting is deterministic. Scikit-learn stores
    trees as a pickle only, and reading a pickle runs whatever it holds.
    """

    X: NDArray[np.float32]
    up: Bools
    seed: int = 0

    def probability(self, X: Matrix) -> Floats:
        """Probability of a rise, shape (n,)."""
        from threadpoolctl import threadpool_limits

        if self._fitted is None:
            return np.full(len(X), float(self.up.all()))
        with threadpool_limits(1):  # many short steps: threads would mostly wait for one another
            return np.asarray(self._fitted.predict_proba(X)[:, 1])

    @cached_property
    def _fitted(self) -> Any:
        return None if self.up.all() or not self.up.any() else _grown(self.to_bytes())

    def forecast(self, rows: FoldRows) -> Floats:
        """Probability of a rise, shape (n, 1)."""
        return self.probability(_days(rows.sequences)[rows.days])[:, None]

    def to_bytes(self) -> bytes:
        """Encode the training rows."""
        return pack({"X": self.X, "up": self.up}, {"kind": "trees", "seed": self.seed})

    @classmethod
    def from_bytes(cls, data: bytes) -> Trees:
        """Decode what `to_bytes` wrote."""
        arrays, header = unpack(data)
        if header.get("kind") != "trees":
            raise ValueError(f"these bytes hold {header.get('kind')!r}, not the rows of boosted trees")
        return cls(arrays["X"], arrays["up"], header["seed"])


@lru_cache(maxsize=8)
def _grown(rows: bytes) -> Any:
    """Fit to the rows that these bytes hold; for the folds of one symbol, report and gate share the fits."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits

    trees = Trees.from_bytes(rows)
    model = HistGradientBoostingClassifier(
        max_iter=100, learning_rate=0.05, max_leaf_nodes=7, early_stopping=False, random_state=trees.seed
    )
    with threadpool_limits(1):
        return model.fit(trees.X, trees.up)


def majority_rises(returns: Floats) -> bool:
    """Whether rises were at least as frequent as the rest."""
    return bool(np.mean(returns > 0) >= 0.5)


def fit_line(last: Floats, following: Floats) -> Line:
    """Least squares from the last return to the one that followed, both of shape (m,)."""
    centered = last - last.mean()
    spread = float(centered @ centered)
    slope = float(centered @ following) / spread if spread > 0 else 0.0
    return Line(float(last.mean()), float(following.mean()), slope)


def fit_logistic(X: Matrix, up: Bools, *, strength: float = 0.01) -> Logistic:
    """Fit by maximum penalized likelihood.

    Parameters
    ----------
    X : ndarray, shape (m, F)
        Standardized features of the training days.
    up : ndarray of bool, shape (m,)
        What followed them.
    strength : float
        Inverse of the L2 penalty: strong, since labels are mostly noise. The intercept is free.
    """
    from sklearn.linear_model import LogisticRegression

    if up.all() or not up.any():  # one class alone: the likelihood has no maximum
        return Logistic(1.0 if up.all() else -1.0, [0.0] * X.shape[1])
    model = LogisticRegression(C=strength, max_iter=1000).fit(X, up)
    return Logistic(float(model.intercept_[0]), [float(w) for w in model.coef_[0]])


def _fit_line(rows: FoldRows) -> Line:
    train, returns = _training(rows)
    return fit_line(_last_returns(rows.sequences)[train], returns)


def _fit_logistic(rows: FoldRows) -> Logistic:
    train, returns = _training(rows)
    return fit_logistic(_days(rows.sequences)[train], returns > 0)


def _fit_trees(rows: FoldRows) -> Trees:
    train, returns = _training(rows)
    return Trees(_days(rows.sequences)[train], returns > 0)


def _training(rows: FoldRows) -> tuple[NDArray[np.int64], Floats]:
    train = rows.sequences.positions("train")
    return train, rows.sequences.returns[train]


def _days(sequences: SequenceSet) -> NDArray[np.float32]:
    return sequences.normalize(sequences.features)


def _last_returns(sequences: SequenceSet) -> Floats:
    """Return over the ``horizon`` days that end at each day: what was known then."""
    last = np.full(sequences.returns.shape, np.nan)
    last[sequences.horizon :] = sequences.returns[: -sequences.horizon]
    return last


def _column(up: Bools) -> Floats:
    return up.astype(np.float64)[:, None]


BASELINES: tuple[Forecaster, ...] = (
    Baseline(
        "majority", lambda rows: Constant(float(majority_rises(_training(rows)[1]))), Constant.from_bytes
    ),
    Baseline("persistence", lambda _: LastMove(), LastMove.from_bytes),
    Baseline("ar1", _fit_line, Line.from_bytes),
    Baseline("always_up", lambda _: Constant(1.0), Constant.from_bytes),
    Baseline("logistic", _fit_logistic, Logistic.from_bytes),
    Baseline("boosting", _fit_trees, Trees.from_bytes),
)
"""What stands beside the model in a report."""
PROMOTION_BASELINES = ("majority", "persistence", "ar1", "always_up", "logistic")
"""What must be beaten to be promoted; boosted trees are shown beside them."""
