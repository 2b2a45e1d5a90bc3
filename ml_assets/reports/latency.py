"""The page on the price server's speed, from the measurement that it describes."""

from __future__ import annotations

from typing import Any

import numpy as np

from ml_assets.gates.options.latency import LatencySla, sla
from ml_assets.pinn.serving.latency import LatencyReport
from ml_assets.reports.pages import page, rendered
from ml_assets.reports.pictures import BLUE, GREY, ORANGE, RED, drawing

__all__ = ["latency_pages", "latency_tables"]


def latency_pages(report: LatencyReport) -> dict[str, bytes]:
    """Build the page and its pictures.

    Returns
    -------
    dict of str to bytes
        Path under ``reports/`` to content; equal reports give equal bytes.
    """
    return {
        "PINN_OPTIMIZATION_REPORT.md": page("latency.md.j2", verdict=sla(report), **_columns(report)),
        "pinn/latency.png": _histogram(report),
        "pinn/throughput.png": _throughput(report),
    }


def latency_tables(report: LatencyReport) -> str:
    """Tables of quotes, batches and service level, as Markdown."""
    return rendered("latency_tables.md.j2", **_columns(report))


def _columns(report: LatencyReport) -> dict[str, Any]:
    """What the templates show."""
    limits, slowest = LatencySla(), min(report.batch_per_second.values(), default=0.0)
    return {
        "report": report,
        "timings": {
            "network, price and five Greeks": report.single,
            "network, the same while eight threads ask": report.threads,
            "network, price alone": report.price,
            "network, from the cache": report.cached,
        },
        "batches": {
            "with Greeks": report.batch,
            "price alone": report.price_batch,
            "with Greeks, list of dicts": report.record_batch,
        },
        # Measured, limit of the gate, target.
        "service_level": {
            "p95 of one quote, ms": (report.single.p95, limits.single_p95_ms, limits.target_single_p95_ms),
            "p95 of a cached quote, ms": (report.cached.p95, limits.cached_p95_ms, None),
            "p95 of a quote among eight threads, ms": (report.threads.p95, limits.single_p95_ms, None),
            "slowest batch, options/s": (slowest, limits.batch_per_second, None),
            "fastest batch, options/s": (
                report.best_batch_per_second, None, limits.target_batch_per_second,
            ),
            "resident memory, MB": (report.resident_mb, limits.resident_mb, limits.target_resident_mb),
        },
    }  # fmt: skip


def _histogram(report: LatencyReport) -> bytes:
    shown = [
        ("from the cache", report.cached, GREY),
        ("price alone", report.price, ORANGE),
        ("with Greeks", report.single, BLUE),
        ("with Greeks, eight threads", report.threads, RED),
    ]
    with drawing(7.0, 3.4) as picture:
        axes = picture.figure.subplots()
        for name, timing, color in shown:
            shares = np.array(timing.counts) / timing.count
            axes.stairs(shares, timing.edges, fill=True, color=color, alpha=0.35)
            axes.stairs(
                shares, timing.edges, color=color, linewidth=1.2, label=f"{name}, p95 {timing.p95:.3g} ms"
            )
        target = LatencySla().target_single_p95_ms
        axes.axvline(
            target, color="black", linestyle=":", linewidth=1, label=f"target for p95, {target:g} ms"
        )
        axes.set(xscale="log", xlabel="milliseconds per quote", ylabel="share of calls")
        axes.legend(frameon=False, fontsize=8)
    return picture.png


def _throughput(report: LatencyReport) -> bytes:
    bars = [(f"network, {int(n):,} options", rate, BLUE) for n, rate in report.batch_per_second.items()]
    bars += [(f"price alone, {int(n):,}", rate, ORANGE) for n, rate in report.price_batch_per_second.items()]
    for peer in report.peers:
        bars += [(f"{peer.name}, {int(n):,}", rate, GREY) for n, rate in peer.batch_per_second.items()]
    with drawing(7.0, 0.9 + 0.27 * len(bars)) as picture:
        axes = picture.figure.subplots()
        names, rates, colors = zip(*reversed(bars), strict=True)
        axes.barh(names, rates, color=colors)
        for at, rate in enumerate(rates):
            axes.text(1.08 * rate, at, f"{rate:,.0f}", va="center", fontsize=8)
        axes.set(xscale="log", xlabel="options per second (peers with Greeks)", xlim=(1e3, 1e8))
        axes.tick_params(labelsize=8)
    return picture.png
