"""Gate of the serving process: fast, small, and without TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass

from ml_assets.gates.core import GateResult
from ml_assets.pinn.serving.latency import LatencyReport

__all__ = ["LatencySla", "latency_gate", "missed_targets"]


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


def latency_gate(report: LatencyReport, sla: LatencySla | None = None) -> GateResult:
    """Hold a measured serving process against its service level.

    Parameters
    ----------
    report : LatencyReport
    sla : LatencySla, optional
        Default: ``LatencySla()``.

    Returns
    -------
    GateResult
        Gate ``'latency'``. Fails on a limit or on an import of TensorFlow; a missed target is in the
        message and counted in the figures.
    """
    sla = sla or LatencySla()
    slowest = min(report.batch_per_second.values(), default=0.0)
    rules = (
        ("p95 of a single quote [ms]", report.single.p95, sla.single_p95_ms, False),
        ("p95 of a cached quote [ms]", report.cached.p95, sla.cached_p95_ms, False),
        ("p95 of a quote among eight threads [ms]", report.threads.p95, sla.single_p95_ms, False),
        ("resident memory [MB]", report.resident_mb, sla.resident_mb, False),
        ("slowest batch [options/s]", slowest, sla.batch_per_second, True),
        ("single quotes measured", report.single.count, sla.quotes, True),
        ("cached quotes measured", report.cached.count, sla.quotes, True),
    )
    broken = [_said(rule) for rule in rules if not _holds(rule)]
    if report.tensorflow_imported:
        broken.append("TensorFlow was imported: serving must not need it (500 MB, 20 s)")
    missed = missed_targets(report, sla)
    message = (
        f"{report.single.count} quotes p95 {report.single.p95:.3f} ms, cached {report.cached.p95:.4f} ms, "
        f"batch {report.best_batch_per_second:,.0f}/s, {report.resident_mb:.0f} MB"
    )
    if broken:
        message += "; limits broken: " + "; ".join(broken)
    if missed:
        message += "; targets missed (a busy machine?): " + "; ".join(missed)
    return GateResult("latency", not broken, message, len(rules) + 1, _figures(report, len(missed)))


def missed_targets(report: LatencyReport, sla: LatencySla | None = None) -> list[str]:
    """Say which targets were missed: reasons to warn, not to refuse."""
    sla = sla or LatencySla()
    targets = (
        ("p95 of a single quote [ms]", report.single.p95, sla.target_single_p95_ms, False),
        ("resident memory [MB]", report.resident_mb, sla.target_resident_mb, False),
        ("fastest batch [options/s]", report.best_batch_per_second, sla.target_batch_per_second, True),
    )
    return [_said(rule) for rule in targets if not _holds(rule)]


_Rule = tuple[str, float, float, bool]


def _holds(rule: _Rule) -> bool:
    _, value, limit, at_least = rule
    return value >= limit if at_least else value <= limit


def _said(rule: _Rule) -> str:
    name, value, limit, at_least = rule
    return f"{name} {value:,.4g}, wanted {'at least' if at_least else 'at most'} {limit:,.4g}"


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
