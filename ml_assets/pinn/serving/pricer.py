"""The network as a plain function from options to prices, held against the closed form as it goes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ml_assets.pinn.european.closed_form import value_closed_form
from ml_assets.pinn.european.greeks import value_quotes
from ml_assets.pinn.european.weights import PinnWeights
from ml_assets.pinn.quotes import Quotes

__all__ = ["NetworkPricer"]


class NetworkPricer:
    """Prices options; outside of the network's domain the closed form answers.

    Parameters
    ----------
    weights : PinnWeights
    """

    def __init__(self, weights: PinnWeights) -> None:
        self._weights = weights
        self._asked = self._answered = 0
        self._error = 0.0

    def __call__(self, quotes: Quotes) -> npt.NDArray[np.float64]:
        """Return prices, shape (n,)."""
        values, by_network = value_quotes(self._weights, quotes)
        self._asked += len(quotes)
        self._answered += int(by_network.sum())
        apart = np.abs(values["price"] - value_closed_form(quotes)["price"])
        self._error = max(self._error, float(apart.max(initial=0.0)))
        return values["price"]

    @property
    def network_share(self) -> float:
        """Share of all prices so far that came from the network."""
        return self._answered / self._asked if self._asked else 0.0

    @property
    def largest_error(self) -> float:
        """Largest distance so far from the closed form, in currency."""
        return self._error
