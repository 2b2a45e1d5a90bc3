"""Simulated symbols beside the real ones: one where nothing can be forecast, others where something can.

They go through the same assets, gates and rule. If the random walk is promoted, or a planted edge is not,
something is wrong that no gate foresaw, and no promotion of that run counts. Direction and variance have the
walk in common, whose steps are independent and of constant variance. What is planted is each one's own: a
market with both would have heavier tails, and its direction would be harder to learn.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from ml_assets.prices import PriceHistory, PriceSource, Problem
from ml_assets.prices.simulated import simulate

__all__ = [
    "CONTROLS",
    "DIRECTION_CONTROLS",
    "EDGE",
    "VARIANCE",
    "VARIANCE_CONTROLS",
    "WALK",
    "ControlledSource",
    "asked_for",
    "control_failures",
]

WALK, EDGE, VARIANCE = "CONTROL-WALK", "CONTROL-EDGE", "CONTROL-VARIANCE"
DIRECTION_CONTROLS = (EDGE, WALK)
VARIANCE_CONTROLS = (VARIANCE, WALK)
CONTROLS = (EDGE, VARIANCE, WALK)
"""All reserved names: whatever is judged, none of them counts as a symbol."""

_DAYS = 4000
_MARKETS = {WALK: ("random_walk", 0.5), EDGE: ("product", 0.7), VARIANCE: ("leverage", 0.5)}
_SEED = 1


class ControlledSource:
    """A price source with the control symbols added; everything else is handed on.

    `VARIANCE` can be loaded, but is not on offer: nobody asks for its direction.

    Raises
    ------
    ValueError
        By `symbols`, if the source has a symbol with a reserved name.
    """

    def __init__(self, source: PriceSource) -> None:
        self._source = source
        self._histories: dict[str, PriceHistory] = {}

    def symbols(self) -> list[str]:
        """Symbols of the source and the controls of direction, sorted."""
        own = self._source.symbols()
        taken = sorted(set(own) & set(CONTROLS))
        if taken:
            raise ValueError(f"{', '.join(taken)} is the name of a simulated control; rename that file")
        return sorted([*own, *DIRECTION_CONTROLS]) if own else []

    def load(self, symbol: str) -> PriceHistory:
        """Load one symbol; a control is simulated, always the same."""
        if symbol not in CONTROLS:
            return self._source.load(symbol)
        if symbol not in self._histories:
            kind, best = _MARKETS[symbol]
            market = simulate(kind, _DAYS, best_accuracy=best, seed=_SEED, symbol=symbol, ohlcv=False)
            self._histories[symbol] = market.prices
        return self._histories[symbol]

    def problems(self) -> list[Problem]:
        """Files and symbols that the source refuses."""
        return self._source.problems()


def control_failures(verdicts: Mapping[str, str], planted: str = EDGE) -> str | None:
    """Say why a run's promotions are void; None if the controls came out as they must.

    Parameters
    ----------
    verdicts : mapping of str to str
        Verdict by control symbol.
    planted : str
        The control that must be promoted; the other one is always `WALK`.
    """
    if missing := sorted({WALK, planted} - set(verdicts)):
        return f"the controls were not judged ({', '.join(missing)})"
    if verdicts[WALK] == "PROMOTE":
        return f"{WALK}, a random walk, would have been promoted: there is a leak"
    if verdicts[planted] != "PROMOTE":
        return (
            f"{planted}, a market with a known edge, was not promoted ({verdicts[planted]}): training is "
            "broken"
        )
    return None


def asked_for(symbols: Collection[str], controls: Collection[str]) -> list[str]:
    """Drop the controls that belong to another target: they have a partition, but no report to be judged."""
    return [s for s in symbols if s not in CONTROLS or s in controls]
