"""Latency and throughput of the serving process, the closed form beside it, in one run.

``python benchmarks/option_latency.py [--store ROOT | --weights FILE]``; without either, the test recipe is
trained.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from ml_assets.gates.latency import latency_gate
from ml_assets.pinn import LatencyReport, PinnRecipe, measure_latency


def table(report: LatencyReport) -> str:
    lines = [f"{'one quote with Greeks, ms':32s} {'p50':>9s} {'p95':>9s} {'p99':>9s}"]
    for name, timing in (
        ("network", report.single),
        ("network, cached", report.cached),
        ("closed form (NumPy)", report.closed_form),
    ):
        lines.append(f"{name:32s} {timing.p50:9.4f} {timing.p95:9.4f} {timing.p99:9.4f}")
    lines.append(
        f"{'options with Greeks per second':32s} " + " ".join(f"{s:>12s}" for s in report.batch_per_second)
    )
    for name, rates in (
        ("network, dict of arrays", report.batch_per_second),
        ("network, list of dicts", report.record_batch_per_second),
        ("closed form (NumPy)", report.closed_form_batch_per_second),
    ):
        lines.append(f"{name:32s} " + " ".join(f"{rate:12,.0f}" for rate in rates.values()))
    lines.append(
        f"cold start {report.cold_start_ms:.0f} ms, resident {report.resident_mb:.0f} MB, "
        f"TensorFlow imported: {report.tensorflow_imported}; {report.machine}"
    )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store")
    parser.add_argument("--weights")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        weights = arguments.weights
        if arguments.store is None and weights is None:
            from ml_assets.pinn import train_pinn

            weights = Path(folder) / "quick.npz"
            weights.write_bytes(train_pinn(PinnRecipe.quick()).to_bytes())
        report = measure_latency(arguments.store, weights, quotes=1000, batches=(64, 1000, 10_000))
    print(table(report))
    print(latency_gate(report).message)


if __name__ == "__main__":
    main()
