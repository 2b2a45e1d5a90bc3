"""What a fleet costs: symbols of unequal length through the real ``gated-mamba run``, seconds and memory.

    .venv/bin/python -m benchmarks.fleet_cost [--symbols 50] [--days 3000] [--output FILE]

Writes a folder of CSV files, runs the command on it with its own home, and watches the process tree. Data and
models share one process here (``ML_ASSETS_WORKERS=1``), so that its CPU seconds can be told apart by symbol
and stage. No two symbols have equally many days, as no two stocks have: whatever a library keeps per shape of
an array, a compiled step or a buffer, is then kept for each symbol, and shows. Memory counts from the tenth
symbol on, when everything that a process needs once is there.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import psutil

from benchmarks.machine import described
from ml_assets.forecasts.controls import CONTROLS
from ml_assets.prices.simulated import simulate
from orchestration.instance import open_instance
from orchestration.pipelines import JOBS
from orchestration.settings import Settings

__all__ = ["main"]

KINDS = ("random_walk", "ar1", "hidden_markov", "gated", "product")
PARTITION = "dagster/partition"
FLAT = 1.25  # last ten over first ten; the noise of a shared machine is of this size
FLAT_MB = 5.0  # per further symbol
SETTLED = 10  # symbols after which a process holds what it needs once


class Step(NamedTuple):
    """One asset of one symbol (or of the fleet: no symbol); times in seconds since the epoch."""

    asset: str
    symbol: str | None
    start: float
    end: float


@dataclass
class Watch:
    """Samples of the command's own process and of its tree, until it ends."""

    process: psutil.Process
    times: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    own_mb: list[float] = field(default_factory=list)
    tree_mb: list[float] = field(default_factory=list)

    def sample(self, every: float = 0.2) -> None:
        """Watch until the process is gone."""
        with contextlib.suppress(psutil.NoSuchProcess):
            while self.process.is_running() and self.process.status() != psutil.STATUS_ZOMBIE:
                used = self.process.cpu_times()
                own = self.process.memory_info().rss
                children = sum(map(_resident, self.process.children(recursive=True)))
                self.times.append(time.time())
                self.cpu.append(used.user + used.system)
                self.own_mb.append(own / 2**20)
                self.tree_mb.append((own + children) / 2**20)
                time.sleep(every)

    def cpu_between(self, start: float, end: float) -> float:
        """CPU seconds of the command's process, interpolated between samples."""
        first, last = np.interp([start, end], self.times, self.cpu)
        return float(last - first)

    def memory_at(self, moment: float) -> float:
        """Resident memory of the command's process [MB]."""
        return float(np.interp(moment, self.times, self.own_mb))


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


def write_prices(folder: Path, symbols: int, days: int) -> None:
    """Write one CSV per symbol, as a vendor would, of half to all of `days`, in no order of size."""
    names = {"open": "Open", "high": "High", "low": "Low", "close": "Close", "volume": "Volume"}
    for i in range(symbols):
        # 0.618 is the golden ratio's: it spreads the lengths evenly, however many there are.
        length = round(days * (0.5 + 0.5 * (i * 0.618 % 1.0)))
        market = simulate(KINDS[i % len(KINDS)], length, seed=i, symbol=f"S{i:03d}")
        frame = market.prices.frame.rename(columns=names)[list(names.values())]
        frame.to_csv(folder / f"S{i:03d}.csv", index_label="Date", float_format="%.6f")


def run(folder: Path) -> tuple[int, Watch]:
    """Run the command on the folder ``prices`` with the home ``home``; its output goes through."""
    environment = {
        **os.environ,
        "ML_ASSETS_HOME": str(folder / "home"),
        "ML_ASSETS_PRICES": str(folder / "prices"),
        "ML_ASSETS_WORKERS": "1",
    }
    command = [sys.executable, "-m", "orchestration.cli", "run", "--all"]
    process = subprocess.Popen(command, env=environment)
    watch = Watch(psutil.Process(process.pid))
    watcher = threading.Thread(target=watch.sample)
    watcher.start()
    try:
        status = process.wait()
    finally:
        if process.poll() is None:
            process.terminate()
        watcher.join()
    return status, watch


def steps(folder: Path) -> list[Step]:
    """Read from the instance when each asset of each symbol began and ended."""
    settings = Settings(home=folder / "home")
    found = []
    with open_instance(settings) as instance:
        for made in instance.get_runs():
            symbol = made.tags.get(PARTITION)
            for stats in instance.get_run_step_stats(made.run_id):
                if stats.start_time is not None and stats.end_time is not None:
                    found.append(Step(stats.step_key, symbol, stats.start_time, stats.end_time))
    return sorted(found, key=lambda step: step.start)


def report(symbols: int, days: int, found: list[Step], watch: Watch) -> str:
    """Tables by stage and by symbol, and whether both stay flat."""
    ten = min(10, symbols // 2)
    lines = [
        f"{symbols} simulated symbols of {days // 2:,} to {days:,} days with volume, beside the controls; "
        f"one process for the symbols, a second trains the option network meanwhile. {described()}",
        "",
        f"| stage | runs | CPU s each | s each | first {ten}, CPU s | last {ten}, CPU s | last / first |",
        "|---|---|---|---|---|---|---|",
    ]
    ratios = []
    for asset in JOBS["symbol_pipeline"]:
        mine = [step for step in found if step.asset == asset and step.symbol not in {None, *CONTROLS}]
        cells, ratio = _stage(mine, ten, lambda step: watch.cpu_between(step.start, step.end))
        ratios.append(ratio)
        lines.append(f"| {asset} | {len(mine)} | {cells} |")
    for step in found:
        if step.symbol is None and step.asset != "pinn_weights":
            cpu, wall = watch.cpu_between(step.start, step.end), step.end - step.start
            lines.append(f"| {step.asset} | 1 | {cpu:.2f} | {wall:.2f} | | | |")
    return "\n".join([*lines, "", *_flatness(found, watch, ten)]) + "\n"


def _stage(mine: list[Step], ten: int, cost: Callable[[Step], float]) -> tuple[str, float]:
    costs = np.array([cost(step) for step in mine])
    wall = np.mean([step.end - step.start for step in mine])
    first, last = costs[:ten].mean(), costs[-ten:].mean()
    ratio = float(last / first)
    return f"{costs.mean():.2f} | {wall:.2f} | {first:.2f} | {last:.2f} | {ratio:.2f}", ratio


def _flatness(found: list[Step], watch: Watch, ten: int) -> Iterator[str]:
    """Whole symbols, in the order in which they were made: seconds, and memory when each was done."""
    by_symbol: dict[str, list[Step]] = {}
    for step in found:
        if step.symbol not in {None, *CONTROLS}:
            by_symbol.setdefault(str(step.symbol), []).append(step)
    cpu = np.array([sum(watch.cpu_between(s.start, s.end) for s in mine) for mine in by_symbol.values()])
    wall = np.array([sum(s.end - s.start for s in mine) for mine in by_symbol.values()])
    memory = np.array([watch.memory_at(mine[-1].end) for mine in by_symbol.values()])
    settled = memory[SETTLED if len(memory) > SETTLED + 1 else 0 :]
    growth = float(np.polyfit(np.arange(len(settled)), settled, 1)[0])
    yield f"| | all | first {ten} | last {ten} | last / first | |"
    yield "|---|---|---|---|---|---|"
    rows: list[tuple[str, Any]] = [
        ("a symbol, all stages, CPU s", cpu),
        ("a symbol, all stages, s", wall),
        ("memory of the process when a symbol is done, MB", memory),
    ]
    for name, values in rows:
        first, last = values[:ten].mean(), values[-ten:].mean()
        flat = "" if values is memory else "flat" if last <= FLAT * first else "GROWS"
        yield f"| {name} | {values.mean():.1f} | {first:.1f} | {last:.1f} | {last / first:.2f} | {flat} |"
    yield ""
    yield (
        f"Memory grows by {growth:+.2f} MB per symbol after symbol {len(memory) - len(settled)} (straight "
        f"line; {'flat' if growth <= FLAT_MB else 'GROWS'}: {FLAT_MB:g} allowed); peak of the process "
        f"{max(watch.own_mb):,.0f} MB, of the whole tree {max(watch.tree_mb):,.0f} MB. The whole command: "
        f"{watch.times[-1] - watch.times[0]:,.0f} s, of which {watch.cpu[-1]:,.0f} CPU s in the main process."
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--symbols", type=int, default=50)
    parser.add_argument("--days", type=int, default=3000)
    parser.add_argument("--output", type=Path, help="write the tables here, too")
    options = parser.parse_args()
    if options.symbols < 2:
        parser.error("--symbols must be at least 2: first and last are compared")
    with tempfile.TemporaryDirectory() as folder:
        prices = Path(folder) / "prices"
        prices.mkdir()
        write_prices(prices, options.symbols, options.days)
        status, watch = run(Path(folder))
        text = report(options.symbols, options.days, steps(Path(folder)), watch)
    print(text)
    if options.output:
        options.output.write_text(text)
    sys.exit(status)


if __name__ == "__main__":
    main()
