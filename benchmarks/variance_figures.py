"""What a fleet's variance forecasts are worth, as a table: reads what ``gated-mamba volatility`` left.

python -m benchmarks.variance_figures STORE      (by default var/store)
"""

from __future__ import annotations

import sys
from collections import Counter

import numpy as np

from ml_assets.forecasts.controls import CONTROLS
from ml_assets.forecasts.report import Score
from ml_assets.forecasts.targets import VARIANCE
from ml_assets.forecasts.variance import BASELINES, VolatilityReport
from ml_assets.storage import ArtifactStore


def main(root: str) -> None:
    """Print the means over the symbols, on how many the model is below, and what the verdicts came to."""
    store = ArtifactStore(root)
    promotion = VARIANCE.promotion.from_bytes(store.read("volatility_promotion")[0])
    reports = [
        VolatilityReport.from_bytes(store.read("volatility_report", symbol)[0])
        for symbol in store.partitions("volatility_report")
        if symbol not in CONTROLS
    ]
    for i, horizon in enumerate(promotion.horizons):
        _print_table(horizon, [report.scores[i] for report in reports])
    print(dict(Counter(v.verdict for v in promotion.verdicts)))
    for v in sorted(promotion.verdicts, key=lambda v: v.p_value)[:5]:
        print(f"{v.symbol} {v.horizon} d: gain {v.gain:+.4f}, p {v.p_value:.4f}, adjusted {v.adjusted_p:.3f}")


def _print_table(horizon: int, scores: list[Score]) -> None:
    everybody = ("model", *(baseline.name for baseline in BASELINES))
    names = [name for name in everybody if all(name in score.levels for score in scores)]
    print(f"\n{len(scores)} symbols, next {horizon} day(s)\n")
    print("| | " + " | ".join(names) + " |\n" + "|---" * (len(names) + 1) + "|")
    for figure, digits in (("qlike", 3), ("mse", 1)):
        tables = [score.levels if figure == "qlike" else score.figures[figure] for score in scores]
        means = {name: np.mean([table[name] for table in tables]) for name in names}
        print(f"| {figure} | " + " | ".join(f"{means[name]:.{digits}f}" for name in names) + " |")
        below = [sum(table["model"] < table[name] for table in tables) for name in names[1:]]
        print("| model below on | | " + " | ".join(map(str, below)) + " |")
    gains = [score.gain for score in scores]
    print(f"\nbelow the best baseline of each: {sum(g > 0 for g in gains)}, mean gain {np.mean(gains):+.4f}")
    best = min(names[1:], key=lambda name: float(np.mean([score.levels[name] for score in scores])))
    print(
        f"mean gain over {best}, the best single rule: "
        f"{np.mean([score.levels[best] - score.level for score in scores]):+.4f}"
    )


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "var/store")
