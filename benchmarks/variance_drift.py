"""How often the watch of a variance model alarms: needlessly, and where the model has gone wrong.

Run with ``python -m benchmarks.variance_drift``. A report of 1,000 days, then a look every 60 days. Markets
and lasting errors are those of `benchmarks.variance_tests`. For a needless alarm, nothing changes after the
report; ``errors``: both forecasts err alike; ``low`` and ``high``: the model is a fifth below or above the
truth, which is its baseline. Then the model with errors goes wrong by a factor.
"""

from __future__ import annotations

import numpy as np

from benchmarks.machine import described
from benchmarks.variance_tests import lasting, outcomes
from ml_assets.forecasts.variance import qlike
from ml_assets.forecasts.variance.drift import loss_drift

RUNS, REPORTED, BLOCK, LOOKS = 400, 1000, 60, 20
DAYS = REPORTED + BLOCK * LOOKS


def alarms(kind: str, horizon: int, heavy: bool, factor: float, rng: np.random.Generator) -> list[bool]:
    """Whether each look, taken by itself, alarms."""
    expected, realized = outcomes(DAYS, horizon, heavy, rng)
    model, baseline = expected.copy(), expected.copy()
    if kind == "errors":
        model, baseline = model * np.exp(lasting(DAYS, rng)), baseline * np.exp(lasting(DAYS, rng))
    model *= {"errors": 1.0, "low": 0.8, "high": 1.2}[kind]
    model[REPORTED:] *= factor
    excess = qlike(model, realized) - qlike(baseline, realized)
    live, reported = excess[REPORTED:], excess[:REPORTED]
    looks = [live[: BLOCK * k] for k in range(1, LOOKS + 1)]
    return [
        loss_drift(days, reported, horizon=horizon, block=BLOCK, false_alarms=0.05).found for days in looks
    ]


def main() -> None:
    print(described())
    print(f"\nShare of {RUNS} models on which any of {LOOKS} looks alarmed needlessly, 5 % accepted:\n")
    print("| horizon | noise | errors | low | high |")
    print("|---|---|---|---|---|")
    rng = np.random.default_rng(0)
    for horizon in (1, 5):
        for heavy in (False, True):
            found = [
                np.mean([any(alarms(kind, horizon, heavy, 1.0, rng)) for _ in range(RUNS)])
                for kind in ("errors", "low", "high")
            ]
            cells = " | ".join(f"{share:.1%}" for share in found)
            print(f"| {horizon} | {'t5' if heavy else 'normal'} | {cells} |", flush=True)
    print(f"\nShare of {RUNS} models gone wrong (noise t5) found within so many looks:\n")
    print("| horizon | forecast times | 1 | 4 | 8 | 20 |")
    print("|---|---|---|---|---|---|")
    for horizon in (1, 5):
        for factor in (0.25, 0.5, 2.0, 4.0):
            table = np.array([alarms("errors", horizon, True, factor, rng) for _ in range(RUNS)])
            cells = " | ".join(f"{table[:, :k].any(axis=1).mean():.0%}" for k in (1, 4, 8, 20))
            print(f"| {horizon} | {factor} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
