"""Serve option prices from the certified networks: one network per process, a bounded cache, one pass per
batch.

Nothing here imports TensorFlow, and pandas only if the caller already passes a DataFrame.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ml_assets.pinn.european.weights import PinnWeights
from ml_assets.pinn.exercise import Networks, value_by_exercise
from ml_assets.pinn.model import Valuation, finish, read_weights
from ml_assets.pinn.quotes import QuoteError, make_quotes
from ml_assets.pinn.serving.batch import columns_from_records, records_from_columns
from ml_assets.pinn.serving.certified import (
    certified_american_weights,
    certified_weights,
    forget_american_weights,
)

if TYPE_CHECKING:
    import pandas as pd

    from ml_assets.pinn.american.weights import AmericanWeights

__all__ = ["CacheStats", "PINNCache"]


class CacheStats(NamedTuple):
    """Counts since the cache was made or cleared."""

    hits: int
    misses: int
    size: int
    capacity: int


class PINNCache:
    """Prices European and American options, remembering the last quotes.

    The network is loaded at the first price, verified against its certificate, and shared by every
    ``PINNCache`` of the process. Safe to use from many threads.

    Parameters
    ----------
    store : str, optional
        Root of the artifact store; default: the environment variable ``ML_ASSETS_STORE``, else
        ``./var/store``.
    weights : PinnWeights or path, optional
        Serve this network instead of the certified one: for tests and research, nothing is verified.
    american_weights : AmericanWeights, optional
        The same for American options; they come from the store if only ``weights`` are given.
    capacity : int
        Most quotes remembered; the least recently used is dropped first.

    Examples
    --------
    >>> cache = PINNCache()
    >>> cache.predict_with_cache(S=100, K=95, tau=0.5, option_type="put")["source"]  # doctest: +SKIP
    'network'
    """

    def __init__(
        self,
        store: str | os.PathLike[str] | None = None,
        weights: PinnWeights | str | os.PathLike[str] | None = None,
        *,
        american_weights: AmericanWeights | None = None,
        capacity: int = 65_536,
    ) -> None:
        if capacity < 1:
            raise ValueError(f"capacity must be at least 1, got {capacity}")
        if store is not None and weights is not None:
            raise ValueError("pass a store or weights, not both: only a store's weights are certified")
        self._store = None if store is None else os.fspath(store)
        given = weights if weights is None or isinstance(weights, PinnWeights) else read_weights(weights)
        self._weights = given
        self._own_weights = given is not None
        self._american = american_weights
        self._own_american = american_weights is not None
        self._capacity = capacity
        self._lock = threading.Lock()
        self._quotes: OrderedDict[tuple[object, ...], Valuation] = OrderedDict()
        self._hits = self._misses = 0
        self._version = 0  # of the networks, counted by refresh()
        self._networks = Networks(lambda: self.weights, lambda: self.american_weights)

    @property
    def weights(self) -> PinnWeights:
        """The network in use; loads it if no price has been asked for yet."""
        if self._weights is None:
            self._weights = certified_weights(self._store)[0]
        return self._weights

    @property
    def american_weights(self) -> AmericanWeights:
        """The network for American options; loaded when the first of them is priced."""
        if self._american is None:
            self._american = certified_american_weights(self._store)[0]
        return self._american

    @property
    def stats(self) -> CacheStats:
        """Hits, misses, quotes held and most quotes held."""
        with self._lock:
            return CacheStats(self._hits, self._misses, len(self._quotes), self._capacity)

    def clear(self) -> None:
        """Forget every quote and start counting anew."""
        with self._lock:
            self._quotes.clear()
            self._hits = self._misses = 0

    def refresh(self) -> None:
        """Take up the store's current certified versions, and forget the quotes of the last ones."""
        weights, american = self._weights, self._american
        if not self._own_weights:
            weights = certified_weights(self._store, refresh=True)[0]
        if not self._own_american:  # read again by whoever prices an American option next, if anyone does
            american = None
            forget_american_weights(self._store)
        with self._lock:
            self._weights, self._american = weights, american
            self._version += 1
            self._quotes.clear()

    def predict_with_cache(
        self,
        S: float,
        K: float,
        tau: float,
        r: float = 0.05,
        sigma: float = 0.2,
        option_type: str = "call",
        q: float = 0.0,
        exercise: str = "european",
    ) -> Valuation:
        """Price and Greeks of one option; the second time from memory.

        Parameters
        ----------
        S, K, tau, r, sigma, q : float
            Spot, strike, years to expiry, rate, volatility and dividend yield (decimals per year).
        option_type : {'call', 'put'}
        exercise : {'european', 'american'}

        Returns
        -------
        dict
            As :meth:`ml_assets.pinn.model.OptionPricingPINN.predict`; the caller's own copy.

        Raises
        ------
        QuoteError
            For unusable inputs, and for arrays, which belong to :meth:`batch_predict`.
        """
        # Every input is in the key: a put kept by strike and expiry alone goes stale when spot or rate moves.
        try:
            key = (float(S), float(K), float(tau), float(r), float(sigma), float(q), option_type, exercise)
            held = self._recall(key)
        except TypeError as error:
            raise QuoteError(
                f"predict_with_cache takes one option, numbers and 'call' or 'put' ({error}): "
                f"pass many to batch_predict"
            ) from error
        if held is None:
            version = self._version
            quotes = make_quotes(*key[:6], option_type=option_type)
            held = finish(*value_by_exercise(quotes, exercise, self._networks), quotes)
            self._remember(key, held, version)
        return dict(held)

    def _recall(self, key: tuple[object, ...]) -> Valuation | None:
        with self._lock:
            held = self._quotes.get(key)
            if held is None:
                self._misses += 1
                return None
            self._hits += 1
            self._quotes.move_to_end(key)
            return held

    def _remember(self, key: tuple[object, ...], valuation: Valuation, version: int) -> None:
        with self._lock:
            if version != self._version:  # refreshed meanwhile: this price is of the version before
                return
            self._quotes[key] = valuation
            if len(self._quotes) > self._capacity:
                self._quotes.popitem(last=False)

    def batch_predict(
        self,
        options_list: Sequence[Mapping[str, Any]] | Mapping[str, Any] | pd.DataFrame,
        *,
        greeks: bool = True,
    ) -> list[Valuation] | Valuation | pd.DataFrame:
        """Price many options in one forward pass; the result has the form of the input.

        Parameters
        ----------
        options_list : list of dict, dict of arrays, or DataFrame
            Fields ``S``, ``K``, ``tau`` and optionally ``r`` (0.05), ``sigma`` (0.2), ``q`` (0),
            ``option_type`` (``'call'``) and ``exercise`` (``'european'``). A dict of arrays is the fastest
            form.
        greeks : bool
            Without them a batch takes less than half the time.

        Returns
        -------
        list of dict, dict of arrays, or DataFrame with the index of the input
            ``price``, the Greeks if asked for, and ``source``.

        Raises
        ------
        QuoteError
            For a missing or unknown field, or a value no price can be computed from, with its position.
        """
        columns = columns_from_records(options_list)
        exercise = columns.pop("exercise")
        quotes = make_quotes(**columns)
        result = finish(*value_by_exercise(quotes, exercise, self._networks, greeks=greeks), quotes)
        return records_from_columns(result, options_list)
