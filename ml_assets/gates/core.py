"""What a gate is, and what it says."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

__all__ = ["Gate", "GateResult", "by_name"]

Value = TypeVar("Value", contravariant=True)
Evidence = TypeVar("Evidence", contravariant=True)


@dataclass(frozen=True)
class GateResult:
    """What a gate looked at and what it found.

    Parameters
    ----------
    gate : str
        Name of the gate, for instance ``'causal'``.
    passed : bool
        The verdict.
    message : str
        On success, what was looked at. On failure, the feature, the date, the symbol and both values.
    checked : int
        Number of comparisons made.
    figures : mapping, optional
        Numbers to show beside the verdict.

    Raises
    ------
    ValueError
        If a gate claims to have passed without having compared anything.
    """

    gate: str
    passed: bool
    message: str
    checked: int
    figures: Mapping[str, float | int | str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.passed and self.checked <= 0:
            raise ValueError(f"gate {self.gate!r} compared nothing, so it cannot have passed")


@dataclass(frozen=True)
class Gate(Generic[Value, Evidence]):
    """One property that a value must have before anything downstream may read it.

    An asset takes a list of gates; adding one to the list is all that it takes to add a gate. The name stands
    in the UI, in certificates, in the catalogue of planted leaks and in the generated table of the docs.

    Parameters
    ----------
    name : str
        Unique among the gates of an asset.
    text : str
        The property in one line, for the UI and the docs.
    check : callable
        ``(value, evidence) -> GateResult``. The value is decoded from the very bytes that would be stored;
        the evidence is whatever the gates of this asset judge by: inputs, functions to call again, a seed.

    Examples
    --------
    >>> positive = Gate("positive", "No close is zero or less.", lambda closes, _: GateResult(
    ...     "positive", min(closes) > 0, f"lowest close {min(closes)}", len(closes)))
    >>> positive.check([1.0, 2.0], None).passed
    True
    """

    name: str
    text: str
    check: Callable[[Value, Evidence], GateResult]

    def run(self, value: Value, evidence: Evidence) -> GateResult:
        """Judge a value under this gate's own name; a gate that breaks has not passed."""
        try:
            return replace(self.check(value, evidence), gate=self.name)
        except Exception as error:  # noqa: BLE001  whatever went wrong, the gate stays closed
            return GateResult(self.name, False, f"the gate itself broke: {type(error).__name__}: {error}", 0)


def by_name(gates: Iterable[Gate[Value, Evidence]]) -> dict[str, Gate[Value, Evidence]]:
    """Index gates by name.

    Raises
    ------
    ValueError
        If two gates have one name: a verdict could then stand for either.
    """
    indexed: dict[str, Gate[Value, Evidence]] = {}
    for gate in gates:
        if gate.name in indexed:
            raise ValueError(f"two gates are called {gate.name!r}; give each its own name")
        indexed[gate.name] = gate
    return indexed
