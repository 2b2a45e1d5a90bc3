"""The process that is measured: ``python -m ml_assets.pinn.latency_worker '{"store": ...}'`` prints one
JSON line.

A fresh process, because its memory and its imports are part of what is measured.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from ml_assets.pinn.closed_form import black_scholes
from ml_assets.pinn.serving import PINNCache

__all__ = ["main", "measure", "resident_megabytes"]

_BATCH_SECONDS = 0.3  # each batch size is repeated for this long, so that one slow run does not decide


def resident_megabytes() -> float:
    """Resident memory of this process in 10^6 bytes; NaN where no way is known."""
    try:
        with open("/proc/self/statm") as statm:  # noqa: PTH123 - pathlib is not otherwise loaded here
            pages = int(statm.read().split()[1])
        import resource

        return pages * resource.getpagesize() / 1e6
    except (OSError, ImportError):
        pass
    try:
        import psutil

        return float(psutil.Process().memory_info().rss) / 1e6
    except ImportError:
        return float("nan")


def _random_options(count: int, seed: int) -> dict[str, Any]:
    """Options over the ranges people trade; every row differs, so none is in the cache by chance."""
    rng = np.random.default_rng(seed)
    return {
        "S": rng.uniform(50.0, 200.0, count),
        "K": rng.uniform(80.0, 125.0, count),
        "tau": rng.uniform(1.0 / 52.0, 2.0, count),
        "r": rng.uniform(0.0, 0.1, count),
        "sigma": rng.uniform(0.1, 0.8, count),
        "q": rng.uniform(0.0, 0.08, count),
        "option_type": rng.choice(["call", "put"], count),
    }


def _records(columns: dict[str, Any]) -> list[dict[str, Any]]:
    rows = zip(*(column.tolist() for column in columns.values()), strict=True)
    return [dict(zip(columns, row, strict=True)) for row in rows]


def _times(call: Callable[[dict[str, Any]], object], records: list[dict[str, Any]]) -> list[float]:
    """Milliseconds of each call."""
    times = []
    for record in records:
        started = time.perf_counter()
        call(record)
        times.append(1e3 * (time.perf_counter() - started))
    return times


def _rate(call: Callable[[], object], count: int) -> float:
    """Options per second: the median of repeated batches."""
    call()
    times: list[float] = []
    while sum(times) < _BATCH_SECONDS or len(times) < 3:
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return count / float(np.median(times))


def measure(
    store: str | None, weights: str | None, quotes: int, batches: list[int], spawned: float
) -> dict[str, Any]:
    """Measure everything; see :class:`ml_assets.pinn.latency.LatencyReport` for the keys."""
    cache = PINNCache(store=store, weights=weights)
    records = _records(_random_options(quotes + 1, seed=0))
    first, records = records[0], records[1:]
    cache.predict_with_cache(**first)
    cold = 1e3 * (time.time() - spawned)
    single = _times(lambda option: cache.predict_with_cache(**option), records)
    cached = _times(lambda option: cache.predict_with_cache(**option), records)
    stats = cache.stats
    if stats.hits != quotes or stats.misses != quotes + 1:
        raise RuntimeError(f"the cache answered {stats} for {quotes} new and {quotes} repeated quotes")
    closed = _times(lambda option: black_scholes(**option), records)
    rates, closed_rates, list_rates = {}, {}, {}
    for size in batches:
        columns = _random_options(size, seed=size)
        rates[str(size)] = _rate(lambda c=columns: cache.batch_predict(c), size)  # type: ignore[misc]
        closed_rates[str(size)] = _rate(lambda c=columns: black_scholes(**c), size)  # type: ignore[misc]
        records = _records(columns)
        list_rates[str(size)] = _rate(lambda o=records: cache.batch_predict(o), size)  # type: ignore[misc]
    return {
        "cold_start_ms": cold,
        "single_ms": single,
        "cached_ms": cached,
        "closed_form_ms": closed,
        "batch_per_second": rates,
        "closed_form_batch_per_second": closed_rates,
        "record_batch_per_second": list_rates,
        "resident_mb": resident_megabytes(),
        "tensorflow_imported": "tensorflow" in sys.modules,
        "pandas_imported": "pandas" in sys.modules,
        "weights_sha256": _sha256(cache),
    }


def _sha256(cache: PINNCache) -> str:
    import hashlib

    return hashlib.sha256(cache.weights.to_bytes()).hexdigest()


def main(argument: str) -> None:
    """Run the measurement that the JSON argument asks for and print the result as the last line."""
    print(json.dumps(measure(**json.loads(argument))))


if __name__ == "__main__":
    main(sys.argv[1])
