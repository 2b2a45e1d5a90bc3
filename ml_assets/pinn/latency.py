"""Measure the serving process: latency, throughput, memory, and what it imported."""

from __future__ import annotations

import json
import math
import os
import platform
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

import numpy as np

__all__ = ["LatencyError", "LatencyReport", "Timing", "measure_latency"]

_WORKER = "ml_assets.pinn.latency_worker"
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


@dataclass(frozen=True)
class LatencyReport:
    """What one serving process did.

    Attributes
    ----------
    weights_sha256 : str
        The network that was served.
    cold_start_ms : float
        From the start of the process to its first price: interpreter, imports, verified read, forward pass.
    single, cached, closed_form : Timing
        One quote with Greeks: new to the cache, again, and by the closed form.
    batch_per_second : mapping of str to float
        Options with Greeks per second by batch size, as a dict of arrays.
    record_batch_per_second : mapping of str to float
        The same as a list of dicts, in and out.
    closed_form_batch_per_second : mapping of str to float
    resident_mb : float
        Resident memory after all of it, in 10^6 bytes.
    tensorflow_imported, pandas_imported : bool
    machine : str
        Processor, system and Python that this was measured on.
    """

    kind: ClassVar[str] = "latency"
    extension: ClassVar[str] = ".json"

    weights_sha256: str
    cold_start_ms: float
    single: Timing
    cached: Timing
    closed_form: Timing
    batch_per_second: Mapping[str, float]
    record_batch_per_second: Mapping[str, float]
    closed_form_batch_per_second: Mapping[str, float]
    resident_mb: float
    tensorflow_imported: bool
    pandas_imported: bool
    machine: str

    @property
    def best_batch_per_second(self) -> float:
        """Throughput of the fastest batch size."""
        return max(self.batch_per_second.values(), default=0.0)

    def to_bytes(self) -> bytes:
        """Encode as JSON; equal reports give equal bytes."""
        return json.dumps(asdict(self), sort_keys=True, indent=1).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Decode what :meth:`to_bytes` wrote; raises :class:`LatencyError` on anything else."""
        try:
            fields = json.loads(data)
            for name in ("single", "cached", "closed_form"):
                timing = fields[name]
                edges, counts = tuple(timing["edges"]), tuple(timing["counts"])
                fields[name] = Timing(**{**timing, "edges": edges, "counts": counts})
            return cls(**fields)
        except (ValueError, KeyError, TypeError) as error:
            raise LatencyError(
                f"these {len(data)} bytes are no latency report ({error}): measure again"
            ) from error


def measure_latency(
    store: str | os.PathLike[str] | None = None,
    weights: str | os.PathLike[str] | None = None,
    *,
    quotes: int = 300,
    batches: Sequence[int] = (64, 10_000),
    environment: Mapping[str, str] | None = None,
    timeout: float = 120.0,
) -> LatencyReport:
    """Start a fresh serving process and measure it.

    Parameters
    ----------
    store : path or URL, optional
        Store whose certified network is served; default as in :class:`ml_assets.pinn.PINNCache`.
    weights : path, optional
        Serve this file instead.
    quotes : int
        Single quotes measured, each new to the cache, then each again.
    batches : sequence of int
        Batch sizes.
    environment : mapping, optional
        Variables set for the process, on top of this one's.
    timeout : float
        Seconds after which the process is given up.

    Returns
    -------
    LatencyReport

    Raises
    ------
    LatencyError
        If the process fails, with the end of what it said.
    """
    if quotes < 1 or not batches or min(batches) < 1:
        raise ValueError(
            f"measure at least one quote and one batch, got quotes={quotes}, batches={list(batches)}"
        )
    request = {
        "store": None if store is None else os.fspath(store),
        "weights": None if weights is None else os.fspath(weights),
        "quotes": quotes,
        "batches": list(batches),
        "spawned": time.time(),
    }
    return _report(_run_worker(json.dumps(request), {**os.environ, **(environment or {})}, timeout))


def _run_worker(argument: str, environment: Mapping[str, str], timeout: float) -> dict[str, Any]:
    """Result of the worker, or an error that holds its last words."""
    command = [sys.executable, "-m", _WORKER, argument]
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=timeout, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise LatencyError(
            f"the serving process gave no result within {timeout:.0f} s: the machine is overloaded or the "
            f"store does not answer; try again, or run {' '.join(command[:3])} by hand"
        ) from error
    if done.returncode != 0:
        raise LatencyError(
            f"the serving process ended with code {done.returncode}: correct what it names, measure again; "
            f"its last words:\n{done.stderr.strip()[-2000:]}"
        )
    try:
        result: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    except (IndexError, ValueError) as error:
        raise LatencyError(f"the serving process printed no result but {done.stdout[-500:]!r}") from error
    return result


def _report(raw: dict[str, Any]) -> LatencyReport:
    """Summarize what the worker sent."""
    resident = float(raw["resident_mb"])
    if math.isnan(resident):
        raise LatencyError("resident memory is not known on this platform: install psutil")
    return LatencyReport(
        weights_sha256=raw["weights_sha256"],
        cold_start_ms=raw["cold_start_ms"],
        single=Timing.of(raw["single_ms"]),
        cached=Timing.of(raw["cached_ms"]),
        closed_form=Timing.of(raw["closed_form_ms"]),
        batch_per_second=raw["batch_per_second"],
        record_batch_per_second=raw["record_batch_per_second"],
        closed_form_batch_per_second=raw["closed_form_batch_per_second"],
        resident_mb=resident,
        tensorflow_imported=raw["tensorflow_imported"],
        pandas_imported=raw["pandas_imported"],
        machine=f"{platform.machine()} {platform.system()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}",
    )
