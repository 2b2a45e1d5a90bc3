"""What the gates of both option networks share: their form, an option in words, the look for arbitrage."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from ml_assets.gates._verdict import Tally, Violation, verdict
from ml_assets.gates.core import Gate, GateResult
from ml_assets.pinn.american.quantlib import ReferenceMissingError
from ml_assets.pinn.quotes import Quotes

__all__ = [
    "Arbitrage",
    "NetworkEvidence",
    "Valuer",
    "in_words",
    "network_gate",
    "rises_and_butterflies",
    "worst",
]

Array = npt.NDArray[np.float64]


Limits = TypeVar("Limits")
Valuer = Callable[[Any, Quotes], dict[str, Array]]
"""How a network is turned into prices; a test plants a broken one, the comparison one of another kind."""


@dataclass(frozen=True)
class NetworkEvidence(Generic[Limits]):
    """What an option network is judged by.

    Parameters
    ----------
    limits
        What each gate demands.
    value : callable
        How the network is turned into prices.
    verdicts : dict
        Those given so far, by gate and network: the report of a run asks for them before the guard does.
    """

    limits: Limits
    value: Valuer
    verdicts: dict[tuple[str, Any], GateResult] = field(default_factory=dict, repr=False)


Inspection = Callable[[Any, NetworkEvidence[Any], Tally], str]
"""Network, evidence and tally to what was looked at; raises :class:`Violation` on a finding."""


def network_gate(name: str, text: str, inspect: Inspection) -> Gate[Any, NetworkEvidence[Any]]:
    """Make a gate of an inspection; a missing reference is a finding that says what to install."""

    def look(network: Any, evidence: NetworkEvidence[Any], tally: Tally) -> str:
        try:
            return inspect(network, evidence, tally)
        except ReferenceMissingError as error:
            raise Violation(str(error)) from error

    def check(network: Any, evidence: NetworkEvidence[Any]) -> GateResult:
        if (name, network) not in evidence.verdicts:
            with np.errstate(all="ignore"):  # what is NaN or infinite fails a limit, and that is said then
                found = verdict(name, lambda tally: look(network, evidence, tally))
            evidence.verdicts[name, network] = found
        return evidence.verdicts[name, network]

    return Gate(name, text, check)


def in_words(quotes: Quotes, i: int) -> str:
    """One option in words."""
    kind = "call" if quotes.is_call[i] else "put"
    return (
        f"{kind} S={quotes.S[i]:.6g} K={quotes.K[i]:.6g} tau={quotes.tau[i]:.6g} r={quotes.r[i]:.4g} "
        f"sigma={quotes.sigma[i]:.4g} q={quotes.q[i]:.4g}"
    )


def worst(error: Array) -> int:
    """Index of the largest error; NaN counts as the largest."""
    return int(np.argmax(np.where(np.isnan(error), np.inf, error)))


def rises_and_butterflies(axis: Array, price: Array, rungs: int) -> tuple[Array, Array]:
    """Price differences along ladders, and values of butterflies, which a convex price keeps at 0 or above.

    Parameters
    ----------
    axis, price : ndarray of shape (rungs * ladders,)
        Spots or strikes, varying slowest, and prices there.
    rungs : int

    Returns
    -------
    rises : ndarray of shape ((rungs - 1) * ladders,)
    butterflies : ndarray of shape ((rungs - 2) * ladders,)
        The middle price's distance below the chord of its neighbours.
    """
    steps, rises = (np.diff(column.reshape(rungs, -1), axis=0) for column in (axis, price))
    above = (steps[:-1] * rises[1:] - steps[1:] * rises[:-1]) / (steps[:-1] + steps[1:])
    return rises.ravel(), above.ravel()


@dataclass
class Arbitrage:
    """Counts what is negative and must not be, and keeps the first option where it is."""

    found: dict[str, int] = field(default_factory=dict)
    checked: int = 0
    first: str = ""

    def look(self, quotes: Quotes, ladder: str, slacks: dict[str, Array], forgiven: dict[str, float]) -> None:
        """Take in quantities by name along ladders in S or K, each forgiven so much below 0; NaN is not."""
        for name, slack in slacks.items():
            broken = ~(slack >= -forgiven[name])
            self.checked += slack.size
            self.found[name] = self.found.get(name, 0) + int(broken.sum())
            if broken.any() and not self.first:
                i = int(np.argmax(broken))
                self.first = f"first {name} along {ladder} by {slack[i]:.3e} near {in_words(quotes, i)}"

    @property
    def total(self) -> int:
        """Number of violations."""
        return sum(self.found.values())

    def judged(self, tally: Tally, axes: str) -> str:
        """Say what was compared along ``axes``; a violation is a finding."""
        tally.checked = self.checked
        tally.figures |= {"violations": self.total, **self.found}
        text = f"bounds, monotone and convex in {axes} on {self.checked:,} comparisons: "
        text += f"{self.total:,} violations"
        if self.total:
            listed = ", ".join(f"{name} {count:,}" for name, count in self.found.items() if count)
            raise Violation(f"{text} ({listed}); {self.first}")
        return text
