"""Yesterday's smile, and how it is expected to move by today.

The forecast starts from the option's own implied volatility of yesterday (sticky strike) and adds three
terms, each with a coefficient that is learnt from earlier days alone, starting from what theory says:

clock
    Variance is spent in sessions, not in calendar days: over a week end an expiry loses three calendar days
    but one session, so its volatility per calendar year rises (French 1984). Coefficient 1 is a clock of
    sessions, 0 a calendar clock.
carry
    Forward variances are expected to stay: an expiry's total variance loses what the nearest expiry says the
    elapsed sessions cost, not its own average (Dupire 1996; Bergomi, *Stochastic
    Volatility Modeling*, 2016). Coefficient 1 is that theory, 0 a pro rata loss.
skew
    When the forward moves by ``r`` (log), at a fixed strike the volatility moves by ``b * slope * r``, with
    ``slope`` that of the expiry's smile in ln K. 0 is sticky strike, -1 sticky moneyness; ``1 + b`` is the
    skew stickiness ratio (Bergomi 2009).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml_assets.chains.parity import EXPIRY_KEY

__all__ = ["COEFFICIENTS", "PRIOR", "SmileLearner", "expiry_smiles", "smile_design"]

Floats = npt.NDArray[np.float64]

COEFFICIENTS = ("clock", "carry", "skew")
PRIOR = (0.5, 1.0, 0.0)
"""Half-way between both clocks, forward variances that stay, sticky strike."""

_GROUP = list(EXPIRY_KEY[1:])
_LEAST_SESSIONS = 0.8
_LEAST_LEFT = 0.2
"""Share of the pro rata variance that the carry must leave."""


def expiry_smiles(day: pd.DataFrame) -> pd.DataFrame:
    """Summarize each expiry of a day of the panel.

    Returns
    -------
    pandas.DataFrame, one row per row of ``day``
        ``atm`` (volatility nearest to the forward), ``slope`` (of the volatility in ln K, from a quadratic in
        ``k / sqrt(tau)`` fitted with the weights of the quotes: a single strike's noise is smoothed away) and
        ``pace`` (total variance per session that the day's nearest expiry shows).
    """
    atm, slope = np.empty(len(day)), np.empty(len(day))
    for rows in day.groupby(_GROUP, sort=False).indices.values():
        k, vol, weight, root = (day[c].to_numpy()[rows] for c in ("k", "vol", "weight", "tau"))
        root = np.sqrt(root)
        atm[rows] = vol[np.argmin(np.abs(k))]
        slope[rows] = _quadratic_slope(k / root, vol, weight) / root
    out = day[_GROUP].assign(atm=atm, slope=slope)
    alive = day["sessions"].to_numpy() >= _LEAST_SESSIONS
    nearest = int(np.argmin(np.where(alive, day["sessions"], np.inf)))
    spent = atm[nearest] ** 2 * day["tau"].iloc[nearest] / max(day["sessions"].iloc[nearest], _LEAST_SESSIONS)
    return out.assign(pace=spent)


def _quadratic_slope(x: Floats, vol: Floats, weight: Floats) -> Floats:
    """Derivative at each x of the weighted least-squares quadratic; of a lower degree for few strikes."""
    degree = min(2, np.unique(x).size - 1)
    powers = np.vander(x, degree + 1, increasing=True)
    fitted, *_ = np.linalg.lstsq(powers * weight[:, None], vol * weight, rcond=None)
    slope: Floats = sum((p * fitted[p] * x ** (p - 1) for p in range(1, degree + 1)), start=np.zeros_like(x))
    return slope


def smile_design(yesterday: pd.DataFrame, today: pd.DataFrame) -> Floats:
    """What each coefficient would add to yesterday's volatility, shape (n, 3).

    Parameters
    ----------
    yesterday : DataFrame
        A day of the panel.
    today : DataFrame, n rows
        Options of the next day: of the day itself only :data:`ml_assets.chains.panel.STATED` is read.
    """
    smiles = expiry_smiles(yesterday)
    at = today["before"].to_numpy()
    vol, tau_before, before, forward = (
        yesterday[c].to_numpy()[at] for c in ("vol", "tau", "sessions", "forward")
    )
    atm, slope, pace = (smiles[c].to_numpy()[at] for c in ("atm", "slope", "pace"))
    tau, after = today["tau"].to_numpy(), today["sessions"].to_numpy()
    clock = vol * (np.sqrt(after / before * tau_before / tau) - 1.0)
    total = atm**2 * tau_before
    pro_rata = total * after / before
    kept = np.maximum(total - pace * (before - after), _LEAST_LEFT * pro_rata)
    carry = np.sqrt(kept / tau) - np.sqrt(pro_rata / tau)
    moved = np.log(today["forward"].to_numpy() / forward)
    return np.column_stack([clock, carry, slope * moved])


@dataclass
class SmileLearner:
    """Coefficients from the pairs of days seen so far.

    Parameters
    ----------
    prior_deviation : float
        How far each coefficient may lie from its prior, as a standard deviation.
    rows_per_day : int
        Rows kept of a day, evenly spread: neighboring strikes say the same.
    """

    prior_deviation: float = 0.5
    rows_per_day: int = 500
    _design: list[Floats] = field(default_factory=list)
    _change: list[Floats] = field(default_factory=list)
    _noise: list[Floats] = field(default_factory=list)

    def learn(self, design: Floats, change: Floats, vega: Floats, half_spread: Floats) -> None:
        """Take in a pair of days whose second day is over.

        Parameters
        ----------
        design : ndarray of shape (n, 3)
        change : ndarray of shape (n,)
            By how much each volatility changed.
        vega, half_spread : ndarray of shape (n,)
            They turn volatility errors into currency, and say how much of them is noise of the quotes.
        """
        kept = np.unique(np.linspace(0, len(change) - 1, min(len(change), self.rows_per_day)).astype(int))
        self._design.append(design[kept] * vega[kept, None])
        self._change.append(change[kept] * vega[kept])
        self._noise.append(half_spread[kept])

    def coefficients(self) -> Floats:
        """Least absolute price errors of the days seen, drawn towards the prior, shape (3,).

        Iteratively reweighted least squares; errors within the half-spread count as equal.
        """
        prior = np.array(PRIOR)
        if not self._design:
            return prior
        A, noise = np.concatenate(self._design), np.concatenate(self._noise)
        left = np.concatenate(self._change) - A @ prior
        rows_of_a_day = len(left) / len(self._design)
        weight, moved = 1.0 / noise, np.zeros(len(prior))
        for _ in range(10):
            # A day's errors are one shock to the whole surface: all its rows together are one observation.
            belief = rows_of_a_day * np.mean(weight * left**2) / self.prior_deviation**2
            normal = (A * weight[:, None]).T @ A + belief * np.eye(len(prior))
            moved = np.linalg.solve(normal, (A * weight[:, None]).T @ left)
            weight = 1.0 / np.maximum(np.abs(left - A @ moved), noise)
        result: Floats = prior + moved
        return result
