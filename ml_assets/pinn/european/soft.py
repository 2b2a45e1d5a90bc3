"""The usual way, for comparison: a plain network in five inputs whose constraints are terms of the loss.

Prices of call and put in units of ``S + K`` are the two outputs of a tanh network in ``(x, tau, sigma, r,
q)``, ``x = ln(S / K)``. The loss is the mean square of the Black-Scholes residual, of the payoff at expiry,
of the price far out of the money and of put-call parity (Raissi, Perdikaris & Karniadakis 2019). Nothing
here is served: the training report shows what it reaches beside :mod:`ml_assets.pinn.european.ansatz`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.stats import qmc
from threadpoolctl import threadpool_limits

from ml_assets.gates.options.european import pinn_gates
from ml_assets.pinn.adam import adam
from ml_assets.pinn.european.physics import propagate, unflatten
from ml_assets.pinn.optimization import Problem, recovering
from ml_assets.pinn.quotes import Quotes
from ml_assets.pinn.weights import glorot_parameters
from ml_assets.training.backend import tf

__all__ = ["SoftNetwork", "SoftRecipe", "compare_soft", "l_bfgs", "train_soft"]

Array = npt.NDArray[np.float64]
Objective = Callable[[Array], tuple[float, Array]]

# Center and half width of each input: x, tau, sigma, r, q. Log-moneyness reaches to three, so that the price
# of what lies out of the money is nearly zero at both ends.
_CENTER = np.array([0.0, 1.0, 0.425, 0.05, 0.04])
_HALF = np.array([3.0, 1.0, 0.375, 0.05, 0.04])


@dataclass(frozen=True)
class SoftRecipe:
    """How the soft variant is trained.

    Parameters
    ----------
    adam_steps, lbfgs_iterations : int
    points : int
        Collocation points in a batch; a quarter of that at expiry and at each far boundary.
    width, depth : int
        Units of a tanh layer, and number of such layers: 1,314 weights by default.
    physics_weight : float
        Weight of the residual against the other three terms.
    seed : int
    """

    adam_steps: int = 500
    lbfgs_iterations: int = 1000
    points: int = 512
    width: int = 32
    depth: int = 2
    physics_weight: float = 10.0
    seed: int = 0


class _Jet(NamedTuple):
    """Prices per unit of strike, (n, 2): value, first and second derivative in x, first in tau."""

    v: Any
    x: Any
    xx: Any
    tau: Any


def l_bfgs(objective: Objective, x: Array, *, iterations: int, resample: Callable[[], None]) -> Array:
    """Minimize by SciPy's L-BFGS-B with 50 pairs, new points every 1,000 iterations."""
    done = 0
    while done < iterations:
        most = min(1000, iterations - done)
        # Only the number of iterations ends it.
        options = {"maxcor": 50, "maxls": 50, "maxiter": most, "maxfun": 10**6, "ftol": 0.0, "gtol": 0.0}
        found = minimize(objective, x, jac=True, method="L-BFGS-B", options=options)  # type: ignore[call-overload]
        x, done = found.x, done + max(int(found.nit), 1)
        resample()
    return x


class SoftNetwork:
    """A trained soft variant: it values options, right or wrong, wherever they lie.

    Parameters
    ----------
    layers : list of (kernel, bias)
    """

    def __init__(self, layers: list[tuple[Any, Any]]) -> None:
        self._layers = layers

    def value(self, quotes: Quotes) -> dict[str, Array]:
        """Price and Greeks of options, by differentiating the network; arrays of shape (n,)."""
        columns = (np.log(quotes.S / quotes.K), quotes.tau, quotes.sigma, quotes.r, quotes.q)
        parts = [
            self._value(tf.constant(np.stack(part, axis=1)), tf.constant(calls))
            for part, calls in _chunks(columns, quotes.is_call, 16_384)
        ]
        v, first, second = (np.concatenate(column) for column in zip(*parts, strict=True))
        S, K = quotes.S, quotes.K
        return {
            "price": K * v,
            "delta": K * first[:, 0] / S,
            "gamma": K * (second - first[:, 0]) / (S * S),
            "vega": K * first[:, 2],
            "theta": -K * first[:, 1],
            "rho": K * first[:, 3],
        }

    def _value(self, inputs: Any, is_call: Any) -> tuple[Array, Array, Array]:
        """Price per strike with its gradient in the inputs and its second derivative in x."""
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            jet = _jet(self._layers, inputs)
            v = tf.where(is_call, jet.v[:, 0], jet.v[:, 1])
        second = tf.where(is_call, jet.xx[:, 0], jet.xx[:, 1])
        return v.numpy(), tape.gradient(v, inputs).numpy(), second.numpy()


def _chunks(columns: tuple[Array, ...], calls: npt.NDArray[np.bool_], size: int) -> Any:
    for start in range(0, calls.size, size):
        part = slice(start, start + size)
        yield [column[part] for column in columns], calls[part]


def _shapes(recipe: SoftRecipe) -> tuple[tuple[int, int], ...]:
    width = recipe.width
    return (5, width), *((width, width) for _ in range(recipe.depth - 1)), (width, 2)


def _initial(recipe: SoftRecipe) -> Array:
    return glorot_parameters(_shapes(recipe), recipe.seed, output_bias=0.0)


def _jet(layers: list[tuple[Any, Any]], inputs: Any) -> _Jet:
    """Prices of call and put per unit of strike, derivatives in Taylor mode."""
    kernel, bias = layers[0]
    f = ((inputs - _CENTER) / _HALF) @ kernel + bias
    by_x, by_tau = (tf.broadcast_to(kernel[i] / _HALF[i], tf.shape(f)) for i in (0, 1))
    n, n_x, n_xx, n_tau = propagate(layers[1:], f, by_x, tf.zeros_like(f), by_tau)
    m = tf.exp(inputs[:, :1])  # the output is in units of S + K
    scale = 1.0 + m
    return _Jet(scale * n, scale * n_x + m * n, scale * n_xx + 2.0 * m * n_x + m * n, scale * n_tau)


def _loss(layers: list[tuple[Any, Any]], points: tuple[Any, ...], weight: float) -> Any:
    """Residual, terminal condition, boundary and parity, each the mean square per unit of ``S + K``."""
    inputs, expiry, low, high = points
    x, tau, sigma, r, q = (inputs[:, i : i + 1] for i in range(5))
    jet, scale = _jet(layers, inputs), 1.0 + tf.exp(x)
    diffusion = 0.5 * sigma * sigma * (jet.xx - jet.x)
    residual = (jet.tau - diffusion - (r - q) * jet.x + r * jet.v) / scale
    forward = tf.exp(x - q * tau) - tf.exp(-r * tau)
    parity = (jet.v[:, :1] - jet.v[:, 1:] - forward) / scale
    intrinsic = tf.exp(expiry[:, :1]) - 1.0
    payoff = tf.concat([tf.maximum(intrinsic, 0.0), tf.maximum(-intrinsic, 0.0)], 1)
    terminal = (_jet(layers, expiry).v - payoff) / (1.0 + tf.exp(expiry[:, :1]))
    far = tf.concat([_jet(layers, low).v[:, 0], _jet(layers, high).v[:, 1] / (1.0 + np.exp(_HALF[0]))], 0)
    terms = (tf.reduce_mean(tf.square(term)) for term in (residual, terminal, far, parity))
    first, *others = terms
    return weight * first + tf.add_n(others)


@cache
def _compile(shapes: tuple[tuple[int, int], ...], weight: float) -> Callable[..., tuple[Any, Any]]:
    """XLA-compiled function (flat parameters, points) -> (loss, gradient)."""

    def loss_and_gradient(parameters: Any, *points: Any) -> tuple[Any, Any]:
        with tf.GradientTape() as tape:
            tape.watch(parameters)
            loss = _loss(unflatten(parameters, shapes), points, weight)
        return loss, tape.gradient(loss, parameters)

    compiled: Callable[..., tuple[Any, Any]] = tf.function(
        loss_and_gradient, jit_compile=True, autograph=False
    )
    return compiled


class _NoTerms(NamedTuple):
    """The terms of this loss are not reported one by one."""


def _problem(recipe: SoftRecipe) -> Problem[tuple[Any, ...]]:
    """Loss and gradient as functions of the flat parameters, on the current draw of points."""
    compiled = _compile(_shapes(recipe), recipe.physics_weight)

    def draw(number: int) -> tuple[Any, ...]:
        rng = np.random.default_rng([recipe.seed, number])
        exponent = (recipe.points - 1).bit_length()
        unit = qmc.Sobol(5, rng=rng).random_base2(exponent)[: recipe.points]
        inputs = _CENTER + _HALF * (2.0 * unit - 1.0)
        expiry, low, high = (inputs[: -(-len(inputs) // 4)].copy() for _ in range(3))
        expiry[:, 1], low[:, 0], high[:, 0] = 0.0, -_HALF[0], _HALF[0]
        return tuple(tf.constant(points) for points in (inputs, expiry, low, high))

    return Problem(
        recipe.points, draw, lambda parameters, points: (*compiled(parameters, *points), _NoTerms())
    )


def train_soft(recipe: SoftRecipe | None = None) -> SoftNetwork:
    """Train the soft variant: Adam, then L-BFGS."""
    recipe = recipe or SoftRecipe()
    problem = _problem(recipe)
    with threadpool_limits(limits=1, user_api="blas"), recovering(problem):
        minimizers = (
            partial(adam, steps=recipe.adam_steps),
            partial(l_bfgs, iterations=recipe.lbfgs_iterations),
        )
        x = _initial(recipe)
        for minimizer in minimizers:
            x = minimizer(problem.objective, x, resample=problem.resample)
    return SoftNetwork(unflatten(tf.constant(x), _shapes(recipe)))


def compare_soft(recipe: SoftRecipe | None = None) -> dict[str, float | int | str]:
    """Train the soft variant and hold it against the gates of the network that is served.

    Returns
    -------
    dict
        The gates' figures, ``seconds`` and ``weights``, the number of parameters.
    """
    recipe, started = recipe or SoftRecipe(), time.monotonic()
    network = train_soft(recipe)
    seconds = round(time.monotonic() - started, 1)
    results = pinn_gates(network, value=SoftNetwork.value)
    figures = {name: value for result in results for name, value in result.figures.items()}
    return {**figures, "seconds": seconds, "weights": _initial(recipe).size}
