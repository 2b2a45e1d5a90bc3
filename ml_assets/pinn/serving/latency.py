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
from dataclasses import dataclass, field
from typing import Any, ClassVar

from ml_assets.pinn.serving.timing import LatencyError, Timing
from ml_assets.storage.artifact import JsonArtifact

__all__ = ["LatencyError", "LatencyReport", "Peer", "Timing", "measure_latency"]

_SERVING = "ml_assets.pinn.serving.latency_worker"
_PEERS = "ml_assets.pinn.serving.peers_worker"


@dataclass(frozen=True)
class Peer:
    """Another way to price the same options, measured in a second process.

    Attributes
    ----------
    name, version : str
    missing : str
        Why nothing was measured; empty if it was.
    single, price : Timing, optional
        One quote with Greeks, and its price alone; ``None`` where that is not a path of its own.
    batch_per_second, price_batch_per_second : mapping of str to float
        Options per second by batch size; a peer that takes one at a time is called in a loop.
    largest_difference : float, optional
        From our closed form, per unit of strike: that the same thing is measured.
    """

    name: str
    version: str = ""
    missing: str = ""
    single: Timing | None = None
    price: Timing | None = None
    batch_per_second: dict[str, float] = field(default_factory=dict)
    price_batch_per_second: dict[str, float] = field(default_factory=dict)
    largest_difference: float | None = None


@dataclass(frozen=True)
class LatencyReport(JsonArtifact):
    """What one serving process did.

    Attributes
    ----------
    weights_sha256 : str
        The network that was served.
    cold_start_ms : float
        From the start of the process to its first price: interpreter, imports, verified read, forward pass.
    single, cached, price : Timing
        One quote with Greeks: new to the cache, and again; its price alone.
    threads : Timing
        One quote with Greeks, new to the cache, while eight threads ask at once.
    threads_per_second : float
        Quotes per second of the eight together.
    batch, price_batch : mapping of str to Timing
        A batch as a dict of arrays, by size: with Greeks, and prices alone.
    record_batch : mapping of str to Timing
        A batch with Greeks as a list of dicts, in and out.
    resident_mb : float
        Resident memory after quotes, threads and batches up to 10,000, in 10^6 bytes.
    resident_after_large_batches_mb : float
        The same at the very end; the options and answers of a large batch are the caller's.
    tensorflow_imported, pandas_imported : bool
        By the serving process.
    machine : str
        Processor, system and Python that this was measured on.
    peers : tuple of Peer
        Measured right after, in a second process; the first one is our closed form.
    """

    kind: ClassVar[str] = "latency"

    weights_sha256: str
    cold_start_ms: float
    single: Timing
    cached: Timing
    price: Timing
    threads: Timing
    threads_per_second: float
    batch: dict[str, Timing]
    price_batch: dict[str, Timing]
    record_batch: dict[str, Timing]
    resident_mb: float
    resident_after_large_batches_mb: float
    tensorflow_imported: bool
    pandas_imported: bool
    machine: str
    peers: tuple[Peer, ...] = ()

    @property
    def batch_per_second(self) -> dict[str, float]:
        """Options with Greeks per second, by batch size."""
        return _rates(self.batch)

    @property
    def price_batch_per_second(self) -> dict[str, float]:
        """Options without Greeks per second, by batch size."""
        return _rates(self.price_batch)

    @property
    def best_batch_per_second(self) -> float:
        """Throughput of the fastest batch size, with Greeks."""
        return max(self.batch_per_second.values(), default=0.0)

    @property
    def closed_form(self) -> Timing | None:
        """One quote with Greeks by our closed form, if it was measured."""
        return self.peers[0].single if self.peers else None


def _rates(batches: Mapping[str, Timing]) -> dict[str, float]:
    return {size: 1e3 * int(size) / timing.p50 for size, timing in batches.items()}


def measure_latency(
    store: str | os.PathLike[str] | None = None,
    weights: str | os.PathLike[str] | None = None,
    *,
    quotes: int = 1000,
    batches: Sequence[int] = (64, 10_000, 1_000_000),
    peers: bool = True,
    environment: Mapping[str, str] | None = None,
    timeout: float = 300.0,
) -> LatencyReport:
    """Start a fresh serving process and measure it; then the peers in another one.

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
    peers : bool
        Whether the closed form, py_vollib and QuantLib are measured too.
    environment : mapping, optional
        Variables set for the processes, on top of this one's.
    timeout : float
        Seconds after which a process is given up.

    Returns
    -------
    LatencyReport

    Raises
    ------
    LatencyError
        If a process fails, with the end of what it said.
    """
    if quotes < 1 or not batches or min(batches) < 1:
        raise ValueError(
            f"measure at least one quote and one batch, got quotes={quotes}, batches={list(batches)}"
        )
    around, sizes = {**os.environ, **(environment or {})}, {"quotes": quotes, "batches": list(batches)}
    request = {
        "store": None if store is None else os.fspath(store),
        "weights": None if weights is None else os.fspath(weights),
        "spawned": time.time(),
        **sizes,
    }
    raw = _run_worker(_SERVING, request, around, timeout)
    others = _run_worker(_PEERS, sizes, around, timeout) if peers else []
    return _report(raw, others)


def _run_worker(
    worker: str, request: Mapping[str, Any], environment: Mapping[str, str], timeout: float
) -> Any:
    """Result of the worker, or an error that holds its last words."""
    command = [sys.executable, "-m", worker, json.dumps(request)]
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=timeout, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise LatencyError(
            f"the measuring process gave no result within {timeout:.0f} s: the machine is overloaded or the "
            f"store does not answer; try again, or run {' '.join(command[:3])} by hand"
        ) from error
    if done.returncode != 0:
        raise LatencyError(
            f"the measuring process ended with code {done.returncode}: correct what it names, measure again; "
            f"its last words:\n{done.stderr.strip()[-2000:]}"
        )
    try:
        return json.loads(done.stdout.strip().splitlines()[-1])
    except (IndexError, ValueError) as error:
        raise LatencyError(f"the measuring process printed no result but {done.stdout[-500:]!r}") from error


def _report(raw: dict[str, Any], peers: list[dict[str, Any]]) -> LatencyReport:
    """Summarize what the workers sent."""
    if math.isnan(raw["resident_mb"]):
        raise LatencyError("resident memory is not known on this platform: install psutil")
    return LatencyReport(
        **_timed(raw),
        machine=f"{platform.machine()} {platform.system()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}",
        peers=tuple(Peer(**_timed(peer)) for peer in peers),
    )


def _timed(raw: dict[str, Any]) -> dict[str, Any]:
    """Turn every ``..._ms`` that is a list, or a dict of lists, into timings."""
    found: dict[str, Any] = {}
    for name, value in raw.items():
        if isinstance(value, list):
            found[name.removesuffix("_ms")] = Timing.of(value)
        elif name.endswith("_ms") and isinstance(value, dict):
            found[name.removesuffix("_ms")] = {key: Timing.of(times) for key, times in value.items()}
        else:
            found[name] = value
    return found
