"""Measured times, and how to measure them alike in the serving process and beside it. NumPy only."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

__all__ = ["LatencyError", "Timing", "call_times", "random_options", "records", "repeat_times"]

_BINS = 40


class LatencyError(RuntimeError):
    """The measuring process failed or answered nonsense."""


@dataclass(frozen=True)
class Timing:
    """Distribution of one kind of call, in milliseconds.

    Attributes
    ----------
    count : int
    p50, p95, p99, worst : float
    edges : tuple of float
        Logarithmic bin edges of the histogram, one more than ``counts``.
    counts : tuple of int
    """

    count: int
    p50: float
    p95: float
    p99: float
    worst: float
    edges: tuple[float, ...]
    counts: tuple[int, ...]

    @classmethod
    def of(cls, milliseconds: Sequence[float]) -> Self:
        """Summarize measured calls."""
        times = np.asarray(milliseconds, dtype=np.float64)
        if times.size == 0 or not (np.isfinite(times).all() and times.min() >= 0.0):
            raise LatencyError(f"{times.size} measured times, or one that is negative or NaN: measure again")
        low, high = max(float(times.min()), 1e-6), max(float(times.max()), 2e-6)
        edges = np.geomspace(low, max(high, low * 1.001), _BINS + 1)
        counts, _ = np.histogram(np.clip(times, edges[0], edges[-1]), edges)
        p50, p95, p99 = (float(value) for value in np.percentile(times, [50, 95, 99]))
        return cls(
            times.size, p50, p95, p99, float(times.max()), tuple(edges.tolist()), tuple(counts.tolist())
        )


def random_options(count: int, seed: int) -> dict[str, Any]:
    """Options over the ranges people trade, as columns; every row differs, so none is cached by chance."""
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


def records(columns: dict[str, Any]) -> list[dict[str, Any]]:
    """Turn columns into one dict per option."""
    rows = zip(*(column.tolist() for column in columns.values()), strict=True)
    return [dict(zip(columns, row, strict=True)) for row in rows]


def call_times(call: Callable[..., object], options: Sequence[dict[str, Any]]) -> list[float]:
    """Milliseconds of one call per option."""
    times = []
    for option in options:
        started = time.perf_counter()
        call(**option)
        times.append(1e3 * (time.perf_counter() - started))
    return times


def repeat_times(call: Callable[[], object], seconds: float = 0.3, least: int = 5) -> list[float]:
    """Milliseconds of calls repeated for so long, a first one apart: one slow call shall decide nothing."""
    call()
    times: list[float] = []
    while sum(times) < 1e3 * seconds or len(times) < least:
        started = time.perf_counter()
        call()
        times.append(1e3 * (time.perf_counter() - started))
    return times
