"""The verdict of one gate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["GateResult"]


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
