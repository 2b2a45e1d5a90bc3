"""What the gates of both option networks share: how they name an option, and how they look for arbitrage."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ml_assets.pinn.quotes import Quotes

__all__ = ["Arbitrage", "in_words", "rises_and_butterflies", "worst"]

Array = npt.NDArray[np.float64]


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

    @property
    def figures(self) -> dict[str, float | int | str]:
        """Violations in all and by name."""
        return {"violations": self.total, **self.found}

    def message(self, axes: str) -> str:
        """Say what was compared and what was found."""
        text = f"bounds, monotone and convex in {axes} on {self.checked:,} comparisons: "
        text += f"{self.total:,} violations"
        if self.total:
            listed = ", ".join(f"{name} {count:,}" for name, count in self.found.items() if count)
            text += f" ({listed}); {self.first}"
        return text
