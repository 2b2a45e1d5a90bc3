"""Gates of the serving process: fast, small, without TensorFlow, and serving what is certified."""

from __future__ import annotations

from dataclasses import dataclass

from ml_assets.gates.core import Gate, GateResult
from ml_assets.pinn.serving.latency import LatencyReport

__all__ = ["LATENCY_GATES", "LatencyEvidence", "LatencySla", "missed_targets", "sla"]


@dataclass(frozen=True)
class LatencySla:
    """Limits that decide, and targets that are reported.

    Limits hold on any machine; targets are what one quiet core reaches, so missing one is said, not refused.

    Parameters
    ----------
    single_p95_ms, cached_p95_ms, resident_mb : float
        Upper limits.
    batch_per_second : float
        Lower limit.
    target_single_p95_ms, target_resident_mb, target_batch_per_second : float
    quotes : int
        Fewest single quotes measured: a 95th percentile of fewer says little.
    """

    single_p95_ms: float = 1000.0
    cached_p95_ms: float = 500.0
    batch_per_second: float = 50.0
    resident_mb: float = 200.0
    target_single_p95_ms: float = 1.0
    target_batch_per_second: float = 1e6
    target_resident_mb: float = 100.0
    quotes: int = 100


def sla(report: LatencyReport, limits: LatencySla | None = None) -> GateResult:
    """Hold a measured serving process against its service level.

    Parameters
    ----------
    report : LatencyReport
    limits : LatencySla, optional
        Default: ``LatencySla()``.

    Returns
    -------
    GateResult
        Fails on a limit or on an import of TensorFlow; a missed target is in the
        message and counted in the figures.
    """
    limits = limits or LatencySla()
    slowest = min(report.batch_per_second.values(), default=0.0)
    rules = (
        ("p95 of a single quote [ms]", report.single.p95, limits.single_p95_ms, False),
        ("p95 of a cached quote [ms]", report.cached.p95, limits.cached_p95_ms, False),
        ("p95 of a quote among eight threads [ms]", report.threads.p95, limits.single_p95_ms, False),
        ("resident memory [MB]", report.resident_mb, limits.resident_mb, False),
        ("slowest batch [options/s]", slowest, limits.batch_per_second, True),
        ("single quotes measured", report.single.count, limits.quotes, True),
        ("cached quotes measured", report.cached.count, limits.quotes, True),
    )
    broken = [_said(rule) for rule in rules if not _holds(rule)]
    if report.tensorflow_imported:
        broken.append("TensorFlow was imported: serving must not need it (500 MB, 20 s)")
    missed = missed_targets(report, limits)
    message = (
        f"{report.single.count} quotes p95 {report.single.p95:.3f} ms, cached {report.cached.p95:.4f} ms, "
        f"batch {report.best_batch_per_second:,.0f}/s, {report.resident_mb:.0f} MB"
    )
    if broken:
        message += "; limits broken: " + "; ".join(broken)
    if missed:
        message += "; targets missed (a busy machine?): " + "; ".join(missed)
    return GateResult("sla", not broken, message, len(rules) + 1, _figures(report, len(missed)))


def missed_targets(report: LatencyReport, limits: LatencySla | None = None) -> list[str]:
    """Say which targets were missed: reasons to warn, not to refuse."""
    limits = limits or LatencySla()
    targets = (
        ("p95 of a single quote [ms]", report.single.p95, limits.target_single_p95_ms, False),
        ("resident memory [MB]", report.resident_mb, limits.target_resident_mb, False),
        ("fastest batch [options/s]", report.best_batch_per_second, limits.target_batch_per_second, True),
    )
    return [_said(rule) for rule in targets if not _holds(rule)]


_Rule = tuple[str, float, float, bool]


def _holds(rule: _Rule) -> bool:
    _, value, limit, at_least = rule
    return value >= limit if at_least else value <= limit


def _said(rule: _Rule) -> str:
    name, value, limit, at_least = rule
    return f"{name} {value:,.4g}, wanted {'at least' if at_least else 'at most'} {limit:,.4g}"


def measured_version(report: LatencyReport, read: str) -> GateResult:
    """Require that the network measured is the one that was read, by its hash."""
    message = f"measured {report.weights_sha256[:12]}, read {read[:12]}"
    return GateResult("measured_version", report.weights_sha256 == read, message, 1)


def _figures(report: LatencyReport, missed: int) -> dict[str, float | int | str]:
    return {
        "single_p50_ms": report.single.p50,
        "single_p95_ms": report.single.p95,
        "single_p99_ms": report.single.p99,
        "cached_p50_ms": report.cached.p50,
        "cached_p95_ms": report.cached.p95,
        "price_p50_ms": report.price.p50,
        "threads_p95_ms": report.threads.p95,
        **{f"batch_{size}_per_second": rate for size, rate in report.batch_per_second.items()},
        **{f"price_batch_{size}_per_second": rate for size, rate in report.price_batch_per_second.items()},
        "cold_start_ms": report.cold_start_ms,
        "resident_mb": report.resident_mb,
        "tensorflow_imported": int(report.tensorflow_imported),
        "targets_missed": missed,
    }


@dataclass(frozen=True)
class LatencyEvidence:
    """What a measurement is judged by: the hash of the certified network that was read."""

    read: str


LATENCY_GATES: tuple[Gate[LatencyReport, LatencyEvidence], ...] = (
    Gate(
        "sla",
        "Service level: p95 single and cached, batch rate, resident memory, no TensorFlow.",
        lambda report, _: sla(report),
    ),
    Gate(
        "measured_version",
        "The network that was measured is the certified one that was read.",
        lambda report, e: measured_version(report, e.read),
    ),
)
"""Gates of ``latency_benchmark``."""
