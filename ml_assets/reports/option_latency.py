"""The page on the price server's speed, from the measurement that it describes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ml_assets.gates.options.latency import LatencySla, latency_gate
from ml_assets.pinn.serving.latency import LatencyReport, Peer
from ml_assets.pinn.serving.timing import Timing
from ml_assets.reports.pictures import BLUE, GREY, ORANGE, RED, drawing

__all__ = ["latency_pages", "latency_tables"]

_PAGE, _HISTOGRAM, _THROUGHPUT = (
    "PINN_OPTIMIZATION_REPORT.md",
    "pinn/latency.png",
    "pinn/throughput.png",
)


def latency_pages(report: LatencyReport) -> dict[str, bytes]:
    """Build the page and its pictures.

    Returns
    -------
    dict of str to bytes
        Path under ``reports/`` to content; equal reports give equal bytes.
    """
    verdict = latency_gate(report)
    text = "\n".join(
        [
            "# Speed and memory of the price server",
            "",
            f"Measured by `latency_benchmark` in a fresh process that served version "
            f"`{report.weights_sha256[:12]}` of `pinn_weights`; the peers right after, in a second one. "
            f"Machine: {report.machine}. How it is done: `docs/PINN_SERVING.md`.",
            "",
            f"Gate `sla`: {'passed' if verdict.passed else 'FAILED'}. {verdict.message}.",
            "",
            f"![latencies]({_HISTOGRAM})",
            "",
            f"![throughput]({_THROUGHPUT})",
            "",
            latency_tables(report),
            "",
            *_against_closed_form(report),
        ]
    )
    return {
        _PAGE: text.encode(),
        _HISTOGRAM: _histogram(report),
        _THROUGHPUT: _throughput(report),
    }


def _against_closed_form(report: LatencyReport) -> list[str]:
    if report.closed_form is None:
        return []
    quote = report.single.p50 / report.closed_form.p50
    batch = max(report.peers[0].batch_per_second.values()) / report.best_batch_per_second
    return [
        f"Against the closed form, the median quote takes {quote:.1f} times as long, an option in the best "
        f"batch {batch:.1f} times.",
        "",
    ]


def latency_tables(report: LatencyReport) -> str:
    """Tables of quotes, batches and service level, as Markdown."""
    return "\n".join(["## One quote", "", *_quotes(report), "", "## Batches", "", *_batches(report), "",
                      "## Service level", "", *_service_level(report)])  # fmt: skip


def _timings(report: LatencyReport) -> Iterator[tuple[str, Timing]]:
    yield "network, price and five Greeks", report.single
    yield "network, the same while eight threads ask", report.threads
    yield "network, price alone", report.price
    yield "network, from the cache", report.cached
    for peer in report.peers:
        if peer.single is not None:
            yield f"{_label(peer)}, price and Greeks", peer.single
        if peer.price is not None:
            yield f"{_label(peer)}, price alone", peer.price


def _label(peer: Peer) -> str:
    return f"{peer.name} {peer.version}" if "NumPy" not in peer.name else peer.name


def _quotes(report: LatencyReport) -> list[str]:
    lines = ["| milliseconds | p50 | p95 | p99 | calls |", "|---|---|---|---|---|"]
    for name, t in _timings(report):
        lines.append(f"| {name} | {t.p50:.4f} | {t.p95:.4f} | {t.p99:.4f} | {t.count:,} |")
    lines += [
        "",
        f"Cold start, from the start of the process to its first price: {report.cold_start_ms:.0f} ms. "
        f"Eight threads together: {report.threads_per_second:,.0f} quotes per second.",
    ]
    for peer in report.peers:
        if peer.missing:
            lines += ["", f"{peer.name}: {peer.missing}."]
        elif peer.largest_difference is not None:
            lines += ["", f"{peer.name} agrees with our closed form to {peer.largest_difference:.0e} K."]
    return lines


def _batches(report: LatencyReport) -> list[str]:
    lines = ["| network | options | p50 ms | p95 ms | p99 ms | options/s |", "|---|---|---|---|---|---|"]
    for name, batches in (
        ("with Greeks", report.batch),
        ("price alone", report.price_batch),
        ("with Greeks, list of dicts", report.record_batch),
    ):
        for size, t in batches.items():
            rate = 1e3 * int(size) / t.p50
            lines.append(
                f"| {name} | {int(size):,} | {t.p50:.3f} | {t.p95:.3f} | {t.p99:.3f} | {rate:,.0f} |"
            )
    lines += ["", "| peer | options | with Greeks/s | price alone/s |", "|---|---|---|---|"]
    for peer in report.peers:
        for size, rate in peer.batch_per_second.items():
            price = peer.price_batch_per_second.get(size)
            lines.append(
                f"| {_label(peer)} | {int(size):,} | {rate:,.0f} | {f'{price:,.0f}' if price else '-'} |"
            )
    return lines


def _service_level(report: LatencyReport) -> list[str]:
    sla, slowest = LatencySla(), min(report.batch_per_second.values(), default=0.0)
    rows: tuple[tuple[str, float, float | None, float | None], ...] = (
        ("p95 of one quote, ms", report.single.p95, sla.single_p95_ms, sla.target_single_p95_ms),
        ("p95 of a cached quote, ms", report.cached.p95, sla.cached_p95_ms, None),
        ("p95 of a quote among eight threads, ms", report.threads.p95, sla.single_p95_ms, None),
        ("slowest batch, options/s", slowest, sla.batch_per_second, None),
        ("fastest batch, options/s", report.best_batch_per_second, None, sla.target_batch_per_second),
        ("resident memory, MB", report.resident_mb, sla.resident_mb, sla.target_resident_mb),
    )
    lines = ["| | measured | limit (the gate) | target (a warning) |", "|---|---|---|---|"]
    for name, *values in rows:
        cells = (
            "" if value is None else f"{value:,.4g}" if value < 1e4 else f"{value:,.0f}" for value in values
        )
        lines.append(f"| {name} | {' | '.join(cells)} |")
    imported = "yes" if report.tensorflow_imported else "no"
    after = f"After the largest batch {report.resident_after_large_batches_mb:.0f} MB are resident."
    return [*lines, f"| TensorFlow imported | {imported} | no | |", "", after]


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
