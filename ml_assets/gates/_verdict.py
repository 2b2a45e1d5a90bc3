"""How a gate reaches its verdict: it inspects until something is wrong, and counts what it looked at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ml_assets.gates.core import GateResult

__all__ = ["Tally", "Violation", "all_pass", "require", "verdict"]


class Violation(Exception):  # noqa: N818  (not an error of the program but a finding)
    """What a gate found: the message names feature, date, symbol and both values."""


@dataclass
class Tally:
    """Running count of comparisons, and figures to show."""

    checked: int = 0
    figures: dict[str, float | int | str] = field(default_factory=dict)


def require(holds: bool, message: str) -> None:
    """Raise the finding unless the property holds."""
    if not holds:
        raise Violation(message)


def verdict(gate: str, inspect: Callable[[Tally], str]) -> GateResult:
    """Run an inspection and put its outcome into a `GateResult`.

    Parameters
    ----------
    gate : str
    inspect : callable
        Returns what it looked at, in words, or raises `Violation`.
    """
    tally = Tally()
    try:
        message = inspect(tally)
    except Violation as finding:
        return GateResult(gate, False, str(finding), tally.checked, tally.figures)
    if not tally.checked:
        return GateResult(gate, False, "nothing was compared, so nothing has passed", 0, tally.figures)
    return GateResult(gate, True, message, tally.checked, tally.figures)


def all_pass(gate: str, results: Sequence[GateResult]) -> GateResult:
    """Join the verdicts of one gate on several parts: the first failure, or the sum of what was looked at."""
    failed = next((result for result in results if not result.passed), None)
    if failed is not None:
        return failed
    checked = sum(result.checked for result in results)
    message = f"{len(results)} times: {results[-1].message}" if results else "nothing was looked at"
    return GateResult(gate, checked > 0, message, checked)
