"""``python -m tests.mutants``: plant every leak, see which gate kills it, and fail on a survivor."""

from __future__ import annotations

import sys
import time

from rich.console import Console
from rich.table import Table

from tests.mutants.catalogue import CLEAN_MARKETS, mutant_market, mutants, real_stocks
from tests.mutants.pipeline import run_clean, run_mutant


def main() -> int:
    """Print the table of mutants and of clean markets; the exit status is 1 if any is wrong."""
    console, start = Console(width=150), time.perf_counter()
    wrong = _mutants(console) + _clean(console)
    seconds = time.perf_counter() - start
    console.print(f"{wrong or 'nothing'} wrong, {seconds:.0f} s", style="red" if wrong else "green")
    return 1 if wrong else 0


def _mutants(console: Console) -> int:
    table = Table("mutant", "gate", "verdict", "CPU s", "what the gate says", title="planted leaks")
    prices, alive = mutant_market(), 0
    catalogue = mutants()
    for mutant in catalogue:
        result, seconds = run_mutant(mutant, prices)
        alive += result.passed
        said = "SURVIVED" if result.passed else "killed"
        table.add_row(mutant.name, mutant.gate, said, f"{seconds:.2f}", result.message[:300])
    console.print(table)
    console.print(f"{len(catalogue) - alive} of {len(catalogue)} mutants killed")
    return alive


def _clean(console: Console) -> int:
    table = Table("clean market", "days", "gates passed", "CPU s", "false alarm", title="no leak")
    markets = [(name, make()) for name, make in CLEAN_MARKETS.items()]
    false_alarms = 0
    for name, prices in [*markets, *real_stocks()]:
        results, seconds = run_clean(prices)
        failed = [r for r in results if not r.passed]
        false_alarms += len(failed)
        table.add_row(
            name,
            str(len(prices.frame)),
            f"{len(results) - len(failed)} of {len(results)}",
            f"{seconds:.2f}",
            "; ".join(f"{r.gate}: {r.message}" for r in failed),
        )
    console.print(table)
    return false_alarms


if __name__ == "__main__":
    sys.exit(main())
