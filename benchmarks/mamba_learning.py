"""What is learnt of what can be learnt: share of the best possible edge on six simulated markets.

    .venv/bin/pip install lightgbm          # the peer; everything else comes with the project
    OMP_NUM_THREADS=1 .venv/bin/python -m benchmarks.mamba_learning [--seeds 3] [--output FILE]

The share is (accuracy - 1/2) / (best accuracy - 1/2) on 10,000 sealed days, after 2,000 days of which the
last 15 % validate. Every model sees the same certified features of the same days; the base model is trained
on 20 other symbols of the same kind.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from benchmarks.machine import described
from ml_assets.mamba import pool_sequences, predict_direction, train_base, train_mamba
from ml_assets.prices.simulated import simulate
from ml_assets.training.backend import limit_threads
from ml_assets.windows.augmentation import AugmentedSet, augment_sequences
from ml_assets.windows.sequence_set import SequenceSet
from ml_assets.windows.sequences import SequenceConfig, build_sequences

__all__ = ["main"]

MARKETS = [(kind, best) for kind in ("ar1", "hidden_markov", "gated") for best in (0.60, 0.75)]
ALONE, STARTED = "Mamba alone", "Mamba started from the base model"
OURS = [f"{name}{rows}" for name in (ALONE, STARTED) for rows in ("", ", augmented")]
DEVELOPMENT, SEALED, POOL, WARM_UP = 2000, 10_000, 20, 200

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Market:
    """One symbol's sequences and the probability by the best forecast, day by day."""

    sequences: SequenceSet
    probability: Floats

    @classmethod
    def of(cls, kind: str, best: float, seed: int, sealed: int) -> Market:
        config = SequenceConfig(window=60, split=0.85, test_days=sealed)
        market = simulate(kind, DEVELOPMENT + sealed + WARM_UP, best_accuracy=best, seed=seed)
        return cls(build_sequences(market.prices, config), market.probability)

    def accuracies(self, probability: Floats) -> tuple[float, float]:
        """Accuracy of a forecast on the sealed days, and of the best one."""
        up = self.sequences.y("test") > 0
        best = self.probability[self.sequences.positions("test")] > 0.5
        return float(np.mean((probability > 0.5) == up)), float(np.mean(best == up))


def last_days(sequences: SequenceSet, part: str) -> tuple[Floats, NDArray[np.bool_]]:
    """Features of the last day of each row, and direction: what a model without memory sees."""
    days = sequences.normalize(sequences.features)[sequences.positions(part)]
    return days.astype(np.float64), sequences.y(part) > 0


def logistic(X: Floats, up: NDArray[np.bool_]) -> Callable[[Floats], Floats]:
    model = LogisticRegression(C=0.01, max_iter=1000).fit(X, up)
    return lambda Z: model.predict_proba(Z)[:, 1]


def boosting(X: Floats, up: NDArray[np.bool_]) -> Callable[[Floats], Floats]:
    import lightgbm

    model = lightgbm.LGBMClassifier(
        n_estimators=100, learning_rate=0.05, num_leaves=7, min_child_samples=50, n_jobs=1, verbose=-1
    ).fit(X, up)

    def predict(Z: Floats) -> Floats:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="X does not have valid feature names")
            return model.predict_proba(Z)[:, 1]

    return predict


def without_copies(augmented: AugmentedSet) -> AugmentedSet:
    kept = ~augmented.is_copy
    rows = {name: getattr(augmented, name)[kept] for name in ("X", "y", "step_returns", "parent", "is_copy")}
    return replace(augmented, **rows)


class Tally:
    """Accuracies and CPU seconds by model."""

    def __init__(self) -> None:
        self.results: dict[str, list[tuple[float, float, float]]] = {}
        self.base_seconds = float("nan")

    def add(self, model: str, market: Market, probability: Floats, seconds: float) -> None:
        self.results.setdefault(model, []).append((*market.accuracies(probability), seconds))

    def share(self, model: str) -> float:
        accuracy, best, _ = np.mean(self.results[model], axis=0)
        return float((accuracy - 0.5) / (best - 0.5))

    def seconds(self, model: str) -> float:
        return float(np.mean([s for *_, s in self.results[model]]))


def measure(kind: str, best: float, seeds: range, tally: Tally) -> Iterator[str]:
    """Train every model on one market; yields what was done, for progress."""
    pool = [Market.of(kind, best, 50 + i, SEALED // 50).sequences for i in range(POOL)]
    started = time.process_time()
    base = train_base(pool_sequences(pool))
    tally.base_seconds = time.process_time() - started
    X, up = map(np.concatenate, zip(*(last_days(s, "train") for s in pool), strict=True))
    pooled = {"logistic regression": logistic(X, up), "LightGBM": boosting(X, up)}
    yield f"base model {tally.base_seconds:.0f} s"
    for seed in seeds:
        market = Market.of(kind, best, seed, SEALED)
        sequences = market.sequences
        X_test, _ = last_days(sequences, "test")
        for name, fit in (("logistic regression", logistic), ("LightGBM", boosting)):
            started = time.process_time()
            predict = fit(*last_days(sequences, "train"))
            tally.add(f"{name}, last day's features", market, predict(X_test), time.process_time() - started)
            tally.add(f"{name}, last day, pooled", market, pooled[name](X_test), 0.0)
        augmented = augment_sequences(sequences)
        variants = {
            ALONE: (without_copies(augmented), None),
            f"{ALONE}, augmented": (augmented, None),
            STARTED: (without_copies(augmented), base),
            f"{STARTED}, augmented": (augmented, base),
        }
        for name, (rows, start) in variants.items():
            started = time.process_time()
            weights = train_mamba(rows, base=start, seed=seed)
            seconds = time.process_time() - started
            tally.add(name, market, predict_direction(weights, sequences.X("test")), seconds)
        as_it_is = replace(weights, arrays=base.arrays)
        tally.add("base model as it is", market, predict_direction(as_it_is, sequences.X("test")), 0.0)
        yield f"seed {seed}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3, help="new symbols per market")
    parser.add_argument("--markets", type=int, default=len(MARKETS), help="only the first so many")
    parser.add_argument("--output", type=Path, help="write the table here, too")
    options = parser.parse_args()
    limit_threads(1)  # one core, as a fleet uses it
    tallies = {}
    for kind, best in MARKETS[: options.markets]:
        tally = tallies[f"{kind} {best:.0%}"] = Tally()
        for done in measure(kind, best, range(options.seeds), tally):
            print(f"{kind} {best:.0%}: {done}", flush=True)
    text = report(tallies, options.seeds)
    print(text)
    if options.output:
        options.output.write_text(text)


def report(tallies: dict[str, Tally], seeds: int) -> str:
    first = next(iter(tallies.values()))
    lines = [
        f"| share of the best possible edge, % | {' | '.join(tallies)} | mean | CPU s per symbol |",
        f"|---|{'---|' * len(tallies)}---|---|",
    ]
    for model in first.results:
        shares = [100 * tally.share(model) for tally in tallies.values()]
        seconds = np.median([tally.seconds(model) for tally in tallies.values()])
        cells = " | ".join(f"{share:.0f}" for share in shares)
        lines.append(f"| {model} | {cells} | {np.mean(shares):.0f} | {seconds:.1f} |")
    base_seconds = np.mean([tally.base_seconds for tally in tallies.values()])
    noise = 100 * 0.5 / np.sqrt(SEALED * seeds)
    lines += [
        "",
        f"{seeds} symbols per market, {SEALED:,} sealed days each: one standard error is {noise:.1f} points "
        f"of accuracy, that is {noise / 0.10:.0f} % of the edge at 60 % and {noise / 0.25:.0f} % at 75 %. "
        f"The base model takes {base_seconds:.0f} CPU s once (mean). {described()}",
    ]
    lines += ["", "| target | measured | |", "|---|---|---|"]
    for text, value, wanted in _targets(tallies):
        lines.append(f"| {text} >= {wanted} % | {value:.0f} % | {'met' if value >= wanted else 'MISSED'} |")
    slowest = max(t.seconds(model) for t in tallies.values() for model in OURS)
    lines.append(
        f"| a symbol's training <= 3 CPU s | {slowest:.1f} s | {'met' if slowest <= 3 else 'MISSED'} |"
    )
    for plain in (ALONE, STARTED):
        gain = np.mean([100 * (t.share(f"{plain}, augmented") - t.share(plain)) for t in tallies.values()])
        lines.append(f"| augmentation, {plain}: mean change | {gain:+.1f} points of the edge | |")
    return "\n".join(lines) + "\n"


def _targets(tallies: dict[str, Tally]) -> Iterator[tuple[str, float, int]]:
    def mean(model: str, markets: list[str]) -> float:
        return float(np.mean([100 * tallies[market].share(model) for market in markets]))

    linear = [market for market in tallies if not market.startswith("gated")]
    for model in (ALONE, STARTED):
        for best, wanted in (("60%", 80), ("75%", 90)):
            markets = [market for market in linear if market.endswith(best)]
            yield f"{model}, linear signals at {best}", mean(model, markets), wanted
    if "gated 75%" in tallies:
        yield f"{STARTED}, gated at 75%", mean(STARTED, ["gated 75%"]), 90
    yield f"{STARTED}, mean of the markets", mean(STARTED, list(tallies)), 86


if __name__ == "__main__":
    main()
