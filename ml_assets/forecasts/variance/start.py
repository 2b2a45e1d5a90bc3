"""The forecast that a variance model starts from: what is known already need not be learned again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ml_assets.forecasts.variance.baselines import fit_har_qlike, har_forecast, squared_returns
from ml_assets.forecasts.variance.garch import Garch, fit_garch, garch_forecast
from ml_assets.windows.rolling import Floats

__all__ = ["StartRule", "fit_start"]


@dataclass(frozen=True)
class StartRule:
    """Geometric mean of GARCH(1,1) and HAR forecasts, with the parameters of both.

    Parameters
    ----------
    horizons : tuple of int
    garch : Garch
    har : tuple of tuple of float
        Four coefficients for each horizon.
    level : tuple of float
        Mean label of the training rows at each horizon.
    """

    horizons: tuple[int, ...]
    garch: Garch
    har: tuple[tuple[float, ...], ...]
    level: tuple[float, ...]

    def forecast(self, closes: Floats) -> Floats:
        """Variance over each horizon from every day's close on, (n_days, H); NaN on the first 60 days."""
        squares = squared_returns(np.asarray(closes, dtype=np.float64))
        columns = [
            np.sqrt(garch_forecast(squares, self.garch, h) * har_forecast(squares, np.array(weights), level))
            for h, weights, level in zip(self.horizons, self.har, self.level, strict=True)
        ]
        return np.column_stack(columns)

    def to_dict(self) -> dict[str, Any]:
        """Return the parameters as plain values."""
        return {
            "horizons": list(self.horizons),
            "garch": [self.garch.omega, self.garch.alpha, self.garch.beta],
            "har": [list(weights) for weights in self.har],
            "level": list(self.level),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Read what :meth:`to_dict` returned."""
        return cls(
            horizons=tuple(values["horizons"]),
            garch=Garch(*values["garch"]),
            har=tuple(tuple(weights) for weights in values["har"]),
            level=tuple(values["level"]),
        )


def fit_start(
    closes: Floats, labels: Floats, rows: NDArray[np.int64], horizons: tuple[int, ...]
) -> StartRule:
    """Fit both rules on training days.

    Parameters
    ----------
    closes : ndarray
        Up to the day on which the last training label ends.
    labels : ndarray, shape (n_days, H)
    rows : ndarray of int
        Training rows.
    horizons : tuple of int
    """
    squares = squared_returns(closes)
    return StartRule(
        horizons=horizons,
        garch=fit_garch(np.diff(np.log(closes))),
        har=tuple(
            tuple(float(w) for w in fit_har_qlike(squares, labels[:, i], rows)) for i in range(len(horizons))
        ),
        level=tuple(float(np.mean(labels[rows, i])) for i in range(len(horizons))),
    )
