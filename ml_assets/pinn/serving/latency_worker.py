"""The process that is measured: prints one JSON line.

A fresh process, because its memory and its imports are part of what is measured; so it imports nothing but
what serving needs. What is measured for comparison runs in another one.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ml_assets.pinn.model import OptionPricingPINN
from ml_assets.pinn.serving.cache import PINNCache
from ml_assets.pinn.serving.timing import call_times, random_options, records, repeat_times

__all__ = ["THREADS", "main", "measure", "resident_megabytes"]

THREADS = 8
_LARGEST_LIST = 10_000  # more dicts than that measure Python's memory, not us


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


def measure(
    store: str | None, weights: str | None, quotes: int, batches: list[int], spawned: float
) -> dict[str, Any]:
    """Measure everything; see :class:`ml_assets.pinn.serving.latency.LatencyReport` for the keys."""
    cache = PINNCache(store=store, weights=weights)
    first, *options = records(random_options(quotes + 1, seed=0))
    cache.predict_with_cache(**first)
    cold = 1e3 * (time.time() - spawned)
    single = call_times(cache.predict_with_cache, options)
    cached = call_times(cache.predict_with_cache, options)
    stats = cache.stats
    if stats.hits != quotes or stats.misses != quotes + 1:
        raise RuntimeError(f"the cache answered {stats} for {quotes} new and {quotes} repeated quotes")
    threads, threads_per_second = _at_once(cache, quotes)
    found: dict[str, Any] = {"batch_ms": {}, "price_batch_ms": {}, "record_batch_ms": {}}
    small = [size for size in sorted(batches) if size <= _LARGEST_LIST]
    large = [size for size in sorted(batches) if size > _LARGEST_LIST]
    for size in small:
        _measure_batch(cache, size, found)
    # Before the large batches: a million options and their answers are the caller's data, not the server's.
    resident = resident_megabytes()
    for size in large:
        _measure_batch(cache, size, found)
    return {
        "cold_start_ms": cold,
        "single_ms": single,
        "cached_ms": cached,
        "price_ms": _price_times(cache, options),
        "threads_ms": threads,
        "threads_per_second": threads_per_second,
        **found,
        "resident_mb": resident,
        "resident_after_large_batches_mb": resident_megabytes(),
        "tensorflow_imported": "tensorflow" in sys.modules,
        "pandas_imported": "pandas" in sys.modules,
        "weights_sha256": hashlib.sha256(cache.weights.to_bytes()).hexdigest(),
    }


def _price_times(cache: PINNCache, options: list[dict[str, Any]]) -> list[float]:
    """One quote without Greeks."""
    model = OptionPricingPINN()
    model.weights = cache.weights
    return call_times(lambda **option: model.predict(**option, greeks=False), options)


def _at_once(cache: PINNCache, quotes: int) -> tuple[list[float], float]:
    """New quotes asked by several threads at once: milliseconds of each, and quotes per second in all."""
    options = records(random_options(THREADS * quotes, seed=1))
    shares = [options[i::THREADS] for i in range(THREADS)]
    with ThreadPoolExecutor(THREADS) as pool:
        started = time.perf_counter()
        times = list(pool.map(lambda share: call_times(cache.predict_with_cache, share), shares))
        seconds = time.perf_counter() - started
    return [time for share in times for time in share], len(options) / seconds


def _measure_batch(cache: PINNCache, size: int, found: dict[str, Any]) -> None:
    """Milliseconds of a batch with Greeks, without, and as a list of dicts, in and out."""
    columns, name = random_options(size, seed=size), str(size)
    found["batch_ms"][name] = repeat_times(lambda: cache.batch_predict(columns))
    found["price_batch_ms"][name] = repeat_times(lambda: cache.batch_predict(columns, greeks=False))
    if size <= _LARGEST_LIST:
        listed = records(columns)
        found["record_batch_ms"][name] = repeat_times(lambda: cache.batch_predict(listed))


def main(argument: str) -> None:
    """Run the measurement that the JSON argument asks for and print the result as the last line."""
    print(json.dumps(measure(**json.loads(argument))))


if __name__ == "__main__":
    main(sys.argv[1])
