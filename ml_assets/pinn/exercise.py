"""European or American: which exercise an option has, and who values it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from ml_assets.pinn.european.greeks import value_quotes
from ml_assets.pinn.european.weights import PinnWeights
from ml_assets.pinn.quotes import GREEKS, QuoteError, Quotes

if TYPE_CHECKING:
    from ml_assets.pinn.american.weights import AmericanWeights

__all__ = ["Exercise", "Networks", "value_by_exercise"]

Array = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]
Exercise = str | Sequence[str] | npt.NDArray[np.str_]
"""``'european'`` or ``'american'``, one for all options or one for each."""

_KNOWN = ("european", "american")


class Networks(NamedTuple):
    """What gives the network of each exercise; called only if an option needs it."""

    european: Callable[[], PinnWeights]
    american: Callable[[], AmericanWeights]


def _is_american(exercise: Exercise, quotes: Quotes) -> bool | npt.NDArray[np.bool_]:
    """One boolean if all options are alike, else an array of shape (n,)."""
    if isinstance(exercise, str) and exercise in _KNOWN:
        return exercise == "american"
    given = np.asarray(exercise)
    american = given == "american"
    unknown = ~(american | (given == "european"))
    if np.any(unknown):
        raise QuoteError(f"exercise is {given[unknown].flat[0]!r}: pass 'european' or 'american'")
    try:
        mask = np.broadcast_to(american, quotes.shape).reshape(-1)
    except ValueError as error:
        raise QuoteError(
            f"exercise has shape {given.shape}, the options {quotes.shape}: pass one for all or one for each"
        ) from error
    return bool(mask.all()) if mask.size and (mask == mask[0]).all() else mask


def value_by_exercise(
    quotes: Quotes, exercise: Exercise, networks: Networks, *, greeks: bool = True
) -> tuple[dict[str, Array], Codes]:
    """Price and Greeks, or the price alone, each option by its own exercise.

    Parameters
    ----------
    quotes : Quotes
    exercise : str or array-like of str
        ``'european'`` or ``'american'``, for all options or of their shape.
    networks : Networks

    Returns
    -------
    values : dict of ndarray of shape (n,)
    methods : ndarray of int, shape (n,)
        Codes of :data:`ml_assets.pinn.quotes.SOURCES`.

    Raises
    ------
    QuoteError
        For an unknown exercise.
    """
    mask = _is_american(exercise, quotes)
    if isinstance(mask, bool):
        return _value_all(quotes, mask, networks, greeks)
    names = GREEKS if greeks else GREEKS[:1]
    values, methods = {name: np.empty(len(quotes)) for name in names}, np.empty(len(quotes), dtype=np.intp)
    for where, kind in ((mask, True), (~mask, False)):
        part, codes = _value_all(quotes.take(where), kind, networks, greeks)
        methods[where] = codes
        for name in names:
            values[name][where] = part[name]
    return values, methods


def _value_all(
    quotes: Quotes, is_american: bool, networks: Networks, greeks: bool
) -> tuple[dict[str, Array], Codes]:
    if is_american:
        from ml_assets.pinn.american.value import value_american  # who prices European options pays nothing

        values, methods = value_american(networks.american(), quotes)
        return (values if greeks else {"price": values["price"]}), methods
    values, by_network = value_quotes(networks.european(), quotes, greeks=greeks)
    return values, by_network.astype(np.intp)  # False and True are the codes of the two methods
