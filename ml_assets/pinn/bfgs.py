"""Dense self-scaled BFGS: the optimizer that takes a small PINN from four digits to eleven.

Self-scaled quasi-Newton methods for PINNs: Urbán, Stefanou, Pons (arXiv 2405.04230) and Kiyani et al.
(arXiv 2501.16371); the scaling is Al-Baali's safeguarded form of Oren and Luenberger's.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.linalg.blas import dsymv, dsyr2
from scipy.optimize import line_search

__all__ = ["BfgsResult", "BfgsState", "InverseHessian", "self_scaled_bfgs"]

Array = npt.NDArray[np.float64]
Objective = Callable[[Array], tuple[float, Array]]

_MAX_FAILURES = 20
# Gamma drifts by the product of the scalings; it is folded back into the matrix before it loses range.
_GAMMA_RANGE = 1e8


@dataclass(frozen=True)
class BfgsResult:
    """Where the search ended.

    Attributes
    ----------
    x : ndarray of shape (n,)
    value : float
        Objective at ``x``, on the last draw of points.
    iterations : int
    evaluations : int
        Calls of the objective.
    reason : str
        ``'iterations'``, ``'stopped'`` (by the callback), ``'converged'`` or ``'line search'``.
    """

    x: Array
    value: float
    iterations: int
    evaluations: int
    reason: str


@dataclass(frozen=True)
class BfgsState:
    """A search between two iterations: all that decides how it goes on.

    Attributes
    ----------
    x, gradient : ndarray of shape (n,)
    inverse : ndarray of shape (n * (n + 1) / 2,)
        Lower triangle of the inverse Hessian, without its factor `gamma`.
    gamma, value : float
    last : float or None
        Objective one iteration before, from which the line search guesses its first step.
    steps, evaluations, failures : int
        Iterations done, calls of the objective, failed line searches.
    """

    x: Array
    gradient: Array
    inverse: Array
    gamma: float
    value: float
    last: float | None
    steps: int
    evaluations: int
    failures: int


class InverseHessian:
    """``H = gamma * A`` with ``A`` symmetric, only its lower triangle kept.

    Written so that one update is one pass over half of ``A`` (BLAS ``dsyr2``): the scaling goes to
    ``gamma``, and the three rank-one terms are folded into one symmetric rank-two term.
    """

    def __init__(self, size: int, scale: float = 1.0) -> None:
        self._a = np.eye(size, order="F")
        self._gamma = scale

    @classmethod
    def unpack(cls, lower: Array, gamma: float, size: int) -> InverseHessian:
        """Rebuild, to the bit, what :meth:`pack` gave."""
        hessian = cls(size, gamma)
        hessian._a[np.tril_indices(size)] = lower
        return hessian

    def pack(self) -> tuple[Array, float]:
        """Return the lower triangle of ``A``, shape (n * (n + 1) / 2,), and ``gamma``."""
        return self._a[np.tril_indices(self._a.shape[0])], self._gamma

    def dot(self, v: Array) -> Array:
        """``H @ v``."""
        product: Array = dsymv(self._gamma, self._a, v, lower=1)
        return product

    def dense(self) -> Array:
        """``H`` as a full matrix, for tests."""
        lower = np.tril(self._a)
        full: Array = self._gamma * (lower + np.tril(lower, -1).T)
        return full

    def update(self, step: Array, change: Array, curvature: float) -> None:
        """Take in one step.

        Parameters
        ----------
        step : ndarray of shape (n,)
            ``x_new - x``.
        change : ndarray of shape (n,)
            Gradient difference.
        curvature : float
            ``step @ B @ step`` with ``B`` the inverse of ``H``; along a quasi-Newton step ``alpha * d`` it is
            ``-alpha * step @ gradient``, so no ``B`` is needed.
        """
        sy = float(step @ change)
        if sy <= 0.0:  # no curvature to learn from; a Wolfe step gives none only by rounding
            return
        hy = self.dot(change)
        scaling = min(1.0, sy / curvature) if curvature > 0.0 else 1.0
        along = (float(change @ hy) / sy + scaling) / (2.0 * sy * self._gamma)
        self._a = dsyr2(1.0, step, along * step - hy / (sy * self._gamma), a=self._a, lower=1, overwrite_a=1)
        self._gamma /= scaling
        if not 1.0 / _GAMMA_RANGE < self._gamma < _GAMMA_RANGE:
            self._a *= self._gamma
            self._gamma = 1.0


@dataclass
class _Memory:
    """Objective that remembers its evaluations of this iteration: the search asks for value and gradient
    apart."""

    objective: Objective
    evaluations: int = 0
    _seen: dict[bytes, tuple[float, Array]] = field(default_factory=dict)

    def value(self, x: Array) -> float:
        return self(x)[0]

    def gradient(self, x: Array) -> Array:
        return self(x)[1]

    def forget(self) -> None:
        self._seen.clear()

    def __call__(self, x: Array) -> tuple[float, Array]:
        key = x.tobytes()
        if key not in self._seen:
            self._seen[key] = self.objective(x)
            self.evaluations += 1
        return self._seen[key]


def _search(
    memory: _Memory, x: Array, d: Array, value: float, gradient: Array, last: float | None
) -> float | None:
    """Step length that meets the strong Wolfe conditions, or None."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a failed search is an outcome that the caller handles, not news
        found = line_search(
            memory.value,
            memory.gradient,
            x,
            d,
            gradient,
            value,
            last,
            c1=1e-4,
            c2=0.9,
            maxiter=20,
        )
    return None if found[0] is None else float(found[0])


def _is_number(value: float, gradient: Array) -> bool:
    return bool(np.isfinite(value) and np.isfinite(gradient).all())


def _fresh(memory: _Memory, x: Array) -> BfgsState:
    """State of a search that begins at x."""
    value, gradient = memory(x)
    return BfgsState(x, gradient, *InverseHessian(x.size).pack(), value, None, 0, memory.evaluations, 0)


def self_scaled_bfgs(
    objective: Objective,
    start: Array | BfgsState,
    *,
    iterations: int,
    resample: Callable[[], None] | None = None,
    resample_every: int = 1000,
    gradient_tolerance: float = 0.0,
    callback: Callable[[int, float], bool] | None = None,
    keep: Callable[[Callable[[], BfgsState]], None] | None = None,
    on_nan: Callable[[int, float, Array], object] | None = None,
) -> BfgsResult:
    """Minimize by self-scaled BFGS with a Wolfe line search.

    Parameters
    ----------
    objective : callable
        ``x`` of shape (n,) to ``(value, gradient)``.
    start : ndarray of shape (n,), or BfgsState
        First point; or where an earlier search stood, which then goes on as if it had never stopped, provided
        that the objective is measured on the same points as then.
    iterations : int
        Most iterations.
    resample : callable, optional
        Changes what the objective is measured on (new collocation points). The inverse Hessian is kept:
        the new objective is another sample of the same mean.
    resample_every : int
        Iterations between two calls of ``resample``.
    gradient_tolerance : float
        Stop when the largest gradient component is no larger.
    callback : callable, optional
        ``(iteration, value) -> stop``.
    keep : callable, optional
        Called after each iteration with a function that returns the state, for whoever saves it now and then.
    on_nan : callable, optional
        Called with ``(iteration, value, last good point)`` where a step has led to a value or gradient that
        is no number. The search goes on from the last good point, with the shorter steps of a fresh matrix.

    Returns
    -------
    BfgsResult
    """
    memory = _Memory(objective)
    start = start if isinstance(start, BfgsState) else _fresh(memory, start)
    memory.evaluations = start.evaluations
    x, value, gradient, last = start.x, start.value, start.gradient, start.last
    failures, done = start.failures, start.steps
    hessian = InverseHessian.unpack(start.inverse, start.gamma, x.size)

    def state() -> BfgsState:
        return BfgsState(x, gradient, *hessian.pack(), value, last, done, memory.evaluations, failures)

    reason = "iterations"
    while done < iterations:
        if np.abs(gradient).max() <= gradient_tolerance:
            reason = "converged"
            break
        if resample is not None and done and done % resample_every == 0:
            resample()
            memory.forget()
            (value, gradient), last = memory(x), None
            if on_nan is not None and not _is_number(value, gradient):
                on_nan(done, value, x)
                continue  # on new points again
        d = -hessian.dot(gradient)
        if d @ gradient >= 0.0:  # rounding has spoilt the matrix: begin again downhill
            hessian, d = InverseHessian(x.size), -gradient
        length = _search(memory, x, d, value, gradient, last)
        done += 1
        if on_nan is not None and length is not None and not _is_number(*memory(x + length * d)):
            on_nan(done, memory(x + length * d)[0], x)
            length = None
            memory.forget()
        if length is None:
            failures += 1
            if failures > _MAX_FAILURES:
                reason = "line search"
                break
            hessian, last = InverseHessian(x.size, min(1.0, 1.0 / float(np.linalg.norm(gradient)))), None
            continue
        step = length * d
        new_value, new_gradient = memory(x + step)
        hessian.update(step, new_gradient - gradient, -length * float(step @ gradient))
        x, value, gradient, last = x + step, new_value, new_gradient, value
        memory.forget()
        if callback is not None and callback(done, value):
            reason = "stopped"
            break
        if keep is not None:
            keep(state)
    return BfgsResult(x, value, done, memory.evaluations, reason)
