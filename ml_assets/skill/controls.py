"""Two simulated symbols beside the real ones: one where nothing can be forecast, one where something can.

The walk has independent steps of constant variance. In the other, direction follows the product of the last
two moves, and variance the sign of the last one, which no rule sees that reads sizes of moves alone.

They go through the same assets, gates and rule. If the random walk is promoted, or the planted edge is not,
something is wrong that no gate foresaw, and no promotion of that run counts.
"""

from __future__ import annotations

from collections.abc import Mapping

from ml_assets.prices import PriceHistory, PriceSource, Problem
from ml_assets.simulation import simulate

__all__ = ["CONTROLS", "EDGE", "WALK", "ControlledSource", "control_failures"]

WALK, EDGE = "CONTROL-WALK", "CONTROL-EDGE"
CONTROLS = (EDGE, WALK)

_DAYS = 4000
_MARKETS = {WALK: ("random_walk", 0.5), EDGE: ("leverage", 0.7)}
_SEED = 1


class ControlledSource:
    """A price source with the two control symbols added; everything else is handed on.

    Raises
    ------
    ValueError
        By `symbols`, if the source has a symbol with a reserved name.
    """

    def __init__(self, source: PriceSource) -> None:
        self._source = source
        self._histories: dict[str, PriceHistory] = {}

    def symbols(self) -> list[str]:
        """Symbols of the source and the controls, sorted."""
        own = self._source.symbols()
        taken = sorted(set(own) & set(CONTROLS))
        if taken:
            raise ValueError(f"{', '.join(taken)} is the name of a simulated control; rename that file")
        return sorted([*own, *CONTROLS]) if own else []

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


def control_failures(verdicts: Mapping[str, str]) -> str | None:
    """Say why a run's promotions are void; None if the controls came out as they must.

    Parameters
    ----------
    verdicts : mapping of str to str
        Verdict by control symbol.
    """
    if WALK not in verdicts or EDGE not in verdicts:
        missing = ", ".join(sorted({WALK, EDGE} - set(verdicts)))
        return f"the controls were not judged ({missing})"
    if verdicts[WALK] == "PROMOTE":
        return f"{WALK}, a random walk, would have been promoted: there is a leak"
    if verdicts[EDGE] != "PROMOTE":
        return f"{EDGE}, a market with a known edge, was not promoted ({verdicts[EDGE]}): training is broken"
    return None
