"""The option pricer as users meet it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ml_assets.pinn.european.recipe import PinnRecipe
from ml_assets.pinn.european.weights import PinnWeights
from ml_assets.pinn.exercise import Exercise, Networks, value_by_exercise
from ml_assets.pinn.quotes import SOURCES, Number, OptionType, Quotes, check_option_type, make_quotes
from ml_assets.pinn.weights import WeightsError

if TYPE_CHECKING:
    from ml_assets.pinn.american.weights import AmericanWeights
    from ml_assets.pinn.progress import Progress

__all__ = ["OptionPricingPINN", "Valuation", "finish", "read_weights"]

Valuation = dict[str, Any]
"""``price``, ``delta``, ``gamma``, ``vega``, ``theta``, ``rho`` and ``source``: floats for a single
option, arrays of the broadcast shape otherwise."""

_SOURCES = np.array(SOURCES)


def read_weights(path: str | os.PathLike[str]) -> PinnWeights:
    """Read a weights file, or the only ``.npz`` in a folder.

    Raises
    ------
    FileNotFoundError
        If there is none.
    WeightsError
        If it holds something else.
    """
    target = Path(path)
    if target.is_dir():
        files = sorted(target.glob(f"*{PinnWeights.extension}"))
        if len(files) > 1:
            raise WeightsError(f"{target} holds {len(files)} .npz files: name the one to load")
        target = files[0] if files else target / "option_pricing.npz"
    if not target.is_file():
        raise FileNotFoundError(
            f"no PINN weights at {target}: train them with `make pinn`, or correct the path"
        )
    try:
        return PinnWeights.from_bytes(target.read_bytes())
    except WeightsError as error:
        raise WeightsError(f"{target}: {error}") from error


def finish(
    values: dict[str, npt.NDArray[np.float64]], methods: npt.NDArray[np.intp], quotes: Quotes
) -> Valuation:
    """Give results the shape of the inputs: floats for a single option, arrays otherwise."""
    if quotes.shape == ():
        single: Valuation = {name: float(column[0]) for name, column in values.items()}
        single["source"] = SOURCES[methods[0]]
        return single
    shaped: Valuation = {name: column.reshape(quotes.shape) for name, column in values.items()}
    shaped["source"] = _SOURCES[methods].reshape(quotes.shape)
    return shaped


class OptionPricingPINN:
    """European options by a physics-informed network.

    Parameters
    ----------
    option_type : {'call', 'put'}
        Type priced when ``predict`` is not told otherwise; may be set later on the same object, since one
        network serves both.
    r : float
        Default interest rate per year, a decimal.
    sigma : float
        Default volatility per year, a decimal.
    physics_weight : float
        Weight of the PDE residual in the loss when this object trains (:meth:`fit`). The ansatz meets the
        boundary and parity terms for any weights, so they are zero and the weight only scales the loss;
        it matters the moment the ansatz is changed.

    Examples
    --------
    >>> model = OptionPricingPINN()
    >>> model.load_weights("var/store/models/pinn/option_pricing")  # doctest: +SKIP
    >>> model.predict(S=100, K=100, tau=1.0)["price"]  # doctest: +SKIP
    10.450583572
    """

    def __init__(
        self, option_type: str = "call", r: float = 0.05, sigma: float = 0.2, physics_weight: float = 10.0
    ) -> None:
        make_quotes(1.0, 1.0, 1.0, r, sigma)  # the defaults obey the same rules as the arguments of predict
        self._option_type = check_option_type(option_type)
        self.r = r
        self.sigma = sigma
        self.physics_weight = replace(PinnRecipe(), physics_weight=physics_weight).physics_weight
        self._weights: PinnWeights | None = None
        self._american: AmericanWeights | None = None

    def __repr__(self) -> str:
        state = (
            "no weights"
            if self._weights is None
            else f"{self._weights.depth} x {self._weights.width} network"
        )
        return f"OptionPricingPINN({self.option_type!r}, r={self.r}, sigma={self.sigma}, {state})"

    @property
    def option_type(self) -> str:
        """``'call'`` or ``'put'``; setting anything else raises ``QuoteError``."""
        return self._option_type

    @option_type.setter
    def option_type(self, value: str) -> None:
        self._option_type = check_option_type(value)

    @property
    def weights(self) -> PinnWeights:
        """The network; raises ``WeightsError`` when there is none yet."""
        if self._weights is None:
            raise WeightsError(
                "this OptionPricingPINN has no weights: call load_weights(path) or fit() first"
            )
        return self._weights

    @weights.setter
    def weights(self, value: PinnWeights) -> None:
        self._weights = value

    @property
    def american_weights(self) -> AmericanWeights:
        """The network for American options: the one set, else the certified one of the default store.

        Raises
        ------
        WeightsError
            If neither exists; says which command trains it.
        """
        if self._american is None:
            from ml_assets.pinn.serving.certified import certified_american_weights

            self._american = certified_american_weights()[0]
        return self._american

    @american_weights.setter
    def american_weights(self, value: AmericanWeights) -> None:
        self._american = value

    def load_weights(self, path: str | os.PathLike[str]) -> None:
        """Load a weights file, or the only one in a folder; see :func:`read_weights`."""
        self._weights = read_weights(path)

    def fit(
        self, recipe: PinnRecipe | None = None, progress: Callable[[Progress], None] | None = None
    ) -> PinnWeights:
        """Train with this object's ``physics_weight``; imports TensorFlow. Returns the weights, now in
        use."""
        from ml_assets.pinn.european.training import train_pinn

        recipe = replace(recipe or PinnRecipe(), physics_weight=self.physics_weight)
        self._weights = train_pinn(recipe, progress)
        return self._weights

    def predict(
        self,
        S: Number,
        K: Number,
        tau: Number,
        r: Number | None = None,
        sigma: Number | None = None,
        q: Number = 0.0,
        option_type: OptionType | None = None,
        exercise: Exercise = "european",
        *,
        greeks: bool = True,
    ) -> Valuation:
        """Price and Greeks.

        Parameters
        ----------
        S, K : float or array-like
            Spot and strike, positive.
        tau : float or array-like
            Years to expiry; at 0 the result is the intrinsic value.
        r, sigma : float or array-like, optional
            Rate and volatility per year, decimals; default: those of this object. With ``sigma = 0`` the
            result is the discounted intrinsic value.
        q : float or array-like
            Dividend yield per year.
        option_type : str or array-like of str, optional
            Default: that of this object.
        exercise : str or array-like of str
            ``'european'`` or ``'american'``, for all options or for each. American options are valued by a
            network of their own; see :attr:`american_weights`.
        greeks : bool
            Without them the price alone is computed, in less than half the time.

        Returns
        -------
        dict
            ``price``, ``delta``, ``gamma``, ``vega``, ``theta``, ``rho`` in the units of
            :data:`ml_assets.pinn.quotes.GREEKS`, and ``source``: ``'network'``, or ``'closed_form'`` for
            an option outside the domain of the training (see :class:`ml_assets.pinn.european.recipe.Domain`);
            of American options see :func:`ml_assets.pinn.american.value.value_american`.
            Floats when every input is a scalar, else arrays of the broadcast shape.

        Raises
        ------
        QuoteError
            For inputs no price can be computed from.
        WeightsError
            If there are no weights yet.
        """
        quotes = make_quotes(
            S,
            K,
            tau,
            self.r if r is None else r,
            self.sigma if sigma is None else sigma,
            q,
            self.option_type if option_type is None else option_type,
        )
        networks = Networks(lambda: self.weights, lambda: self.american_weights)
        return finish(*value_by_exercise(quotes, exercise, networks, greeks=greeks), quotes)
