"""Latency and throughput of the serving process, with the closed form, py_vollib and QuantLib, in one run.

``python -m benchmarks.option_latency [--store ROOT | --weights FILE]``; without either, the test recipe is
trained.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from benchmarks.machine import described
from ml_assets.gates.options.latency import sla
from ml_assets.pinn import PinnRecipe, measure_latency
from ml_assets.reports.latency import latency_tables


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--store")
    parser.add_argument("--weights")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        weights = arguments.weights
        if arguments.store is None and weights is None:
            from ml_assets.pinn import train_pinn

            weights = Path(folder) / "quick.npz"
            weights.write_bytes(train_pinn(PinnRecipe.quick()).to_bytes())
        report = measure_latency(arguments.store, weights)
    print(described())
    print(latency_tables(report))
    print(sla(report).message)


if __name__ == "__main__":
    main()
