"""A market of options with a known smile: what runs where no folder of quotes is set, and what tests know."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from ml_assets.chains.chains import OptionChains
from ml_assets.chains.implied import forward_quotes
from ml_assets.chains.reading import ROW_COLUMNS, ChainRows
from ml_assets.chains.times import sessions_to_expiry, years_to_expiry
from ml_assets.pinn.european.closed_form import value_closed_form

__all__ = ["SimulatedMarket", "simulate_chains"]

Floats = npt.NDArray[np.float64]
Days = npt.NDArray[np.datetime64]

_SYMBOL = "SIMULATED"
_SESSIONS = 252.0
_WEEKS, _MONTHS = 4, 11


@dataclass(frozen=True)
class SimulatedMarket:
    """Daily closes of an index and its options.

    Variance is spent in sessions, not in calendar days. Its forward curve falls back exponentially to a
    long-run level, and only its front is shocked, against the index's return: so without a shock every
    forward variance stays what it was.

    Parameters
    ----------
    days : int
        Sessions quoted.
    seed : int
    start : str
        First day (ISO).
    spot, rate, dividend : float
        Level of the index at the start; rates per year.
    volatility : float
        Of the long run, per year.
    shock : float
        Daily deviation of the log of the front variance.
    leverage : float
        Correlation of that shock with the return.
    reversion : float
        Speed at which the curve falls back, per session.
    skew, curvature : float
        The smile is ``atm * (1 + skew * y + curvature * y**2)`` with
        ``y = z / sqrt(1 + z**2)``, ``z = ln(K / anchor) / sqrt(tau)``: it flattens in the wings.
    follow : float
        Share of the index's log return by which the anchor moves: 0 is a smile fixed in strikes,
        1 one that moves with the index; below 0 falling markets raise volatility by more than the skew says.
    half_spread : float
        Least half-spread in currency; one per cent of the price is added.
    tick : float
        Bids are rounded down to it, asks up.
    """

    days: int = 40
    seed: int = 0
    start: str = "2024-01-02"
    spot: float = 3000.0
    rate: float = 0.03
    dividend: float = 0.015
    volatility: float = 0.16
    shock: float = 0.08
    leverage: float = -0.7
    reversion: float = 0.03
    skew: float = -1.2
    curvature: float = 0.8
    follow: float = -0.2
    half_spread: float = 0.1
    tick: float = 0.05

    def paths(self) -> tuple[Days, Floats, Floats]:
        """Days, index levels and front variances (per year), each of shape (days,)."""
        rng = np.random.default_rng(self.seed)
        noise, other = rng.standard_normal((2, self.days))
        dates = np.busday_offset(np.datetime64(self.start, "D"), np.arange(self.days), roll="forward")
        long_run = self.volatility**2
        spot, front = np.empty(self.days), np.empty(self.days)
        level, variance = self.spot, long_run * 0.8
        for day in range(self.days):
            spot[day], front[day] = level, variance
            level *= float(np.exp(np.sqrt(variance / _SESSIONS) * noise[day]))
            fresh = self.leverage * noise[day] + np.sqrt(1.0 - self.leverage**2) * other[day]
            pulled = long_run + (variance - long_run) * np.exp(-self.reversion)
            variance = float(pulled * np.exp(self.shock * fresh - 0.5 * self.shock**2))
        return dates.astype("datetime64[ns]"), spot, front

    def surface(self, spot: Floats, front: Floats, sessions: Floats, tau: Floats, strike: Floats) -> Floats:
        """True implied volatility, per year of calendar time, shape (n,)."""
        long_run, speed = self.volatility**2, self.reversion
        decayed = (1.0 - np.exp(-speed * sessions)) / speed
        variance = (long_run * sessions + (front - long_run) * decayed) / _SESSIONS
        anchor = self.spot * (spot / self.spot) ** self.follow
        y = np.log(strike / anchor) / np.sqrt(tau)
        y = y / np.sqrt(1.0 + y * y)
        volatility: Floats = np.sqrt(variance / tau) * (1.0 + self.skew * y + self.curvature * y * y)
        return volatility


def simulate_chains(market: SimulatedMarket) -> OptionChains:
    """Quote calls and puts on every strike of every listed expiry, day by day.

    The quotes pass through the same filters and the same parity regression as a user's.
    """
    dates, spot, front = market.paths()
    parts = [_day(market, *day) for day in zip(dates, spot, front, strict=True)]
    rows = pd.concat(parts, ignore_index=True)
    rows["row"] = np.arange(1, len(rows) + 1)
    note = "SIMULATED: no market has seen these quotes"
    source = f"{_SYMBOL} market, seed {market.seed}"
    return OptionChains.from_rows([ChainRows(rows[list(ROW_COLUMNS)], (note,))], source, simulated=True)


def _day(market: SimulatedMarket, date: np.datetime64, spot: float, front: float) -> pd.DataFrame:
    expiry, at_open = _expiries(date)
    step = market.spot / 120.0
    ladder = step * np.arange(np.ceil(0.78 * spot / step), np.floor(1.18 * spot / step) + 1)
    index = np.indices((expiry.size, ladder.size, 2)).reshape(3, -1)
    rows = pd.DataFrame(
        {"file": "simulated", "date": date, "underlying": _SYMBOL, "expiry": expiry[index[0]], "spot": spot}
    ).assign(at_open=at_open[index[0]], strike=ladder[index[1]], call=index[2] == 1)
    when = (rows["date"].to_numpy(), rows["expiry"].to_numpy(), rows["at_open"].to_numpy())
    tau, sessions, strike = years_to_expiry(*when), sessions_to_expiry(*when), rows["strike"].to_numpy()
    level, variance = np.full(tau.shape, spot), np.full(tau.shape, front)
    sigma = market.surface(level, variance, sessions, tau, strike)
    forward, discount = spot * np.exp((market.rate - market.dividend) * tau), np.exp(-market.rate * tau)
    price = value_closed_form(forward_quotes(forward, strike, tau, discount, sigma, rows["call"].to_numpy()))[
        "price"
    ]
    half = market.half_spread + 0.01 * price
    rows["bid"] = np.floor((price - half) / market.tick) * market.tick
    rows["ask"] = np.ceil((price + half) / market.tick) * market.tick
    return rows


def _expiries(date: np.datetime64) -> tuple[Days, npt.NDArray[np.bool_]]:
    """The next Fridays (PM) and the third Fridays of the next months (AM), at least two days away."""
    day = date.astype("datetime64[D]")
    first = np.busday_offset(day + 2, 0, roll="forward", weekmask="Fri")
    fridays = np.busday_offset(first, np.arange(_WEEKS), weekmask="Fri")
    months = day.astype("datetime64[M]") + np.arange(_MONTHS + 1)
    thirds = np.busday_offset(months, 2, roll="forward", weekmask="Fri")
    thirds = thirds[thirds > day + 1]
    weekly = fridays[~np.isin(fridays, thirds)]
    expiry = np.concatenate([weekly, thirds]).astype("datetime64[ns]")
    return expiry, np.arange(expiry.size) >= weekly.size
