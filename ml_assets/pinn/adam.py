"""Adam on flat parameters: the optimizer that brings a network into the valley."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

__all__ = ["AdamState", "adam"]

Array = npt.NDArray[np.float64]
Objective = Callable[[Array], tuple[float, Array]]

_LEARNING_RATE = 2e-3


@dataclass(frozen=True)
class AdamState:
    """Adam between two steps: parameters and both moments, (n,) each; steps done; share of the rate."""

    x: Array
    first: Array
    second: Array
    steps: int
    rate: float = 1.0


def adam(
    objective: Objective,
    start: Array | AdamState,
    *,
    steps: int,
    resample: Callable[[], None],
    callback: Callable[[int, float], bool] | None = None,
    keep: Callable[[AdamState], None] | None = None,
    on_nan: Callable[[int, float, Array], float] | None = None,
) -> Array:
    """Minimize by Adam (Kingma & Ba 2015), its rate decaying by a cosine to one per cent.

    Parameters
    ----------
    objective : callable
        ``x`` of shape (n,) to ``(value, gradient)``.
    start : ndarray of shape (n,), or AdamState
        First point; or where an earlier run stood, which then goes on as if it had never stopped.
    steps : int
    resample : callable
        Changes what the objective is measured on, after every step.
    callback : callable, optional
        ``(step, value) -> stop``.
    keep : callable, optional
        Called after each step with the state.
    on_nan : callable, optional
        ``(step, value, last good point) -> factor`` on the rate with which to go on from there, after a value
        or gradient that is no number.

    Returns
    -------
    ndarray of shape (n,)
    """
    state = start if isinstance(start, AdamState) else AdamState(start, 0.0 * start, 0.0 * start, 0)
    good = state
    while state.steps < steps:
        value, gradient = objective(state.x)
        if on_nan is not None and not (np.isfinite(value) and np.isfinite(gradient).all()):
            state = good = replace(good, rate=good.rate * on_nan(state.steps, value, good.x))
            continue
        good = state
        state = _step(state, gradient, steps)
        resample()
        if callback is not None and callback(state.steps, value):
            break
        if keep is not None:
            keep(state)
    return state.x


def _step(state: AdamState, gradient: Array, steps: int) -> AdamState:
    step = state.steps + 1
    first = 0.9 * state.first + 0.1 * gradient
    second = 0.999 * state.second + 0.001 * gradient * gradient
    rate = state.rate * _LEARNING_RATE * (0.01 + 0.99 * 0.5 * (1.0 + np.cos(np.pi * (step - 1) / steps)))
    corrected = np.sqrt(second / (1.0 - 0.999**step)) + 1e-8
    x = state.x - rate * first / (1.0 - 0.9**step) / corrected
    return AdamState(x, first, second, step, state.rate)
