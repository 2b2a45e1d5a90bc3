"""Size of the test between two variance forecasts: how often it finds a difference where there is none.

Run with ``python -m benchmarks.variance_tests``. The peer is Newey-West with the correction of Harvey,
Leybourne and Newbold (1997), the usual form. Outcomes are those of a GARCH market; the two forecasts are
the true variance, each times an error: independent and lasting ones of equal size (``errors``), or one a
tenth too low and the other as much too high as makes QLIKE equal in expectation (``too low``: that one is
tested).
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import brentq
from scipy.stats import t as student

from benchmarks.machine import described
from ml_assets.forecasts.variance import diebold_mariano, qlike

RUNS = 400
OMEGA, ALPHA, BETA = 0.03, 0.07, 0.90


def newey_west(difference: np.ndarray, horizon: int) -> float:
    n = difference.size
    lags = max(2 * (horizon - 1), int(4 * (n / 100) ** (2 / 9)))
    centered = difference - difference.mean()
    variance = centered @ centered / n
    for lag in range(1, lags + 1):
        variance += 2 * (1 - lag / (lags + 1)) * (centered[lag:] @ centered[:-lag]) / n
    shrunk = (n + 1 - 2 * horizon + horizon * (horizon - 1) / n) / n
    return float(student.cdf(np.sqrt(shrunk / variance * n) * difference.mean(), n - 1))


def outcomes(n: int, horizon: int, heavy: bool, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return the true variance over the horizon and the realized one, of n days."""
    days = n + horizon + 50
    noise = rng.standard_t(5, days) / np.sqrt(5 / 3) if heavy else rng.standard_normal(days)
    variance, squares = np.ones(days), np.zeros(days)
    for t in range(1, days):
        variance[t] = OMEGA + ALPHA * squares[t - 1] + BETA * variance[t - 1]
        squares[t] = variance[t] * noise[t] ** 2
    last = days - horizon
    expected, realized, following = np.zeros(last), np.zeros(last), variance[1 : last + 1].copy()
    for k in range(horizon):
        expected += following
        following = OMEGA + (ALPHA + BETA) * following
        realized += squares[1 + k : last + 1 + k]
    return expected[-n:], realized[-n:]


def lasting(n: int, rng: np.random.Generator) -> np.ndarray:
    """An error of forecasts: AR(1), coefficient 0.97, deviation 0.3."""
    out, noise = np.zeros(n), rng.standard_normal(n) * 0.3 * np.sqrt(1 - 0.97**2)
    for t in range(1, n):
        out[t] = 0.97 * out[t - 1] + noise[t]
    return out


def losses(
    kind: str, n: int, horizon: int, heavy: bool, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    expected, realized = outcomes(n, horizon, heavy, rng)
    if kind == "errors":
        ours, theirs = expected * np.exp(lasting(n, rng)), expected * np.exp(lasting(n, rng))
    else:
        high = brentq(lambda b: np.log(b) + 1 / b - np.log(0.9) - 1 / 0.9, 1.01, 3.0)
        ours, theirs = 0.9 * expected, high * expected
    return qlike(ours, realized), qlike(theirs, realized)


def main() -> None:
    print(described())
    print(f"\nShare of {RUNS} runs in which equally good forecasts were told apart at 5 % (at 1 %):\n")
    print("| days | horizon | noise | null | low frequencies (ours) | Newey-West, HLN |")
    print("|---|---|---|---|---|---|")
    rng = np.random.default_rng(0)
    for n in (500, 1000):
        for horizon in (1, 5):
            for heavy in (False, True):
                for kind in ("errors", "too low"):
                    pairs = [losses(kind, n, horizon, heavy, rng) for _ in range(RUNS)]
                    ours = np.array([diebold_mariano(a, b) for a, b in pairs])
                    peer = np.array([newey_west(a - b, horizon) for a, b in pairs])
                    cells = [f"{np.mean(p < 0.05):.1%} ({np.mean(p < 0.01):.1%})" for p in (ours, peer)]
                    noise = "t5" if heavy else "normal"
                    print(f"| {n} | {horizon} | {noise} | {kind} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
