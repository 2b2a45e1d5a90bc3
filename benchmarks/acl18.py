"""Write docs/ACL18_BENCHMARK.md: the published ACL18 protocol of stock movement prediction, on our pipeline.

    OMP_NUM_THREADS=1 .venv/bin/python -m benchmarks.acl18 FOLDER [--seeds 5]

FOLDER holds ``prices.parquet`` (columns symbol, date, open, high, low, close, adj_close, volume: the 88
stocks of github.com/yumoxu/stocknet-dataset) and ``acl18_labels.parquet`` (symbol, date, label, split,
usable_seq5: those of github.com/fulifeng/Adv-ALSTM). A label belongs to the day whose return it classifies:
1 from +0.55 %, -1 from -0.5 % downward, 0 between, which the protocol leaves out.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.acl18_data import Stock, load_stocks, pool_stocks
from benchmarks.acl18_page import Row, page
from ml_assets.forecasts.direction.forecasters import Trees, fit_logistic
from ml_assets.mamba import MambaBaseWeights, MambaWeights, predict_outputs, train_base, train_mamba
from ml_assets.training.backend import limit_threads
from ml_assets.windows.augmentation import augment_sequences

__all__ = ["main"]

PAGE = Path(__file__).parents[1] / "docs" / "ACL18_BENCHMARK.md"

Bools = NDArray[np.bool_]
Table = NDArray[np.float32]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Mamba:
    """Test probabilities of one seed: of the base model as it is, and of each stock's own model."""

    base: list[Floats]
    own: list[Floats]
    alone: list[Floats]
    origins: list[str]
    base_epoch: int


def train(stocks: Sequence[Stock], seed: int, say: Callable[[str], None]) -> Mamba:
    """Train the base model, then each stock's model from it and without it."""
    base = train_base(pool_stocks(stocks), seed=seed)
    best = int(base.validation["best_epoch"])
    found = Mamba([], [], [], [], best)
    for i, stock in enumerate(stocks):
        rows = augment_sequences(stock.sequences)
        own = train_mamba(rows, base=base, seed=seed)
        found.origins.append(own.origin)
        found.own.append(_probability(own, stock))
        found.alone.append(_probability(train_mamba(rows, seed=seed), stock))
        found.base.append(_probability(base, stock))
        say(f"seed {seed}: {i + 1}/{len(stocks)} stocks")
    return found


def _probability(weights: MambaWeights | MambaBaseWeights, stock: Stock) -> Floats:
    """Probability of a rise on the protocol's test rows."""
    logit = predict_outputs(weights, stock.sequences.normalized("test"))[stock.scored, 0].astype(np.float64)
    return np.asarray(1.0 / (1.0 + np.exp(-logit)))


def baselines(stocks: Sequence[Stock]) -> dict[str, Bools]:
    """Forecasts of the same rows by models without memory, from the last day's features."""
    tables = [stock.tables() for stock in stocks]
    X, up = (np.concatenate([table[i] for table in tables]) for i in (0, 1))
    Z = np.concatenate([table[2] for table in tables])
    return {
        "always up": np.ones(len(Z), dtype=bool),
        "logistic regression, per stock": np.concatenate([_logistic(*table) for table in tables]),
        "logistic regression, pooled": _logistic(X, up, Z),
        "gradient boosting, per stock": np.concatenate([_boosting(*table) for table in tables]),
        "gradient boosting, pooled": _boosting(X, up, Z),
    }


def _logistic(X: Table, up: Bools, Z: Table) -> Bools:
    return np.asarray(fit_logistic(X, up).logits(Z) > 0)


def _boosting(X: Table, up: Bools, Z: Table) -> Bools:
    return np.asarray(Trees(X, up).probability(Z) > 0.5)


def mamba_rows(runs: Sequence[Mamba]) -> list[Row]:
    """One row per model with all seeds, and one for the mean of the seeds' probabilities."""
    rows = []
    models = {
        "Mamba, one pooled base model": [run.base for run in runs],
        "Mamba, per stock from the base model": [run.own for run in runs],
        "Mamba, per stock alone": [run.alone for run in runs],
    }
    for name, probabilities in models.items():
        joined = np.array([np.concatenate(p) for p in probabilities])
        rows.append(Row(name, joined > 0.5))
        if len(runs) > 1:
            rows.append(Row(f"{name}, mean of {len(runs)} seeds", joined.mean(axis=0)[None] > 0.5))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="with prices.parquet and acl18_labels.parquet")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--output", type=Path, default=PAGE)
    options = parser.parse_args()
    if options.seeds < 1:
        parser.error("--seeds must be at least 1")
    limit_threads(1)
    started = time.process_time()
    stocks = load_stocks(options.folder)
    runs = [train(stocks, seed, _say) for seed in range(options.seeds)]
    forecasts = [Row(name, forecast[None]) for name, forecast in baselines(stocks).items()]
    seconds = time.process_time() - started
    # Only from here on the labels of the test rows are read.
    text = page(
        stocks, [*mamba_rows(runs), *forecasts], runs[0].origins, [r.base_epoch for r in runs], seconds
    )
    options.output.write_text(text)
    print(text)
    print(f"written to {options.output}")


def _say(text: str) -> None:
    print(f"\r\033[K{text}", end="", flush=True, file=sys.stderr)


if __name__ == "__main__":
    main()
