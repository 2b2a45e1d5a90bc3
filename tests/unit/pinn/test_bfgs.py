"""The optimizer on problems whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import rosen, rosen_der

from ml_assets.pinn.bfgs import InverseHessian, self_scaled_bfgs


def test_ill_conditioned_quadratic() -> None:
    rng = np.random.default_rng(0)
    basis, _ = np.linalg.qr(rng.normal(size=(30, 30)))
    matrix = basis @ np.diag(np.geomspace(1.0, 1e6, 30)) @ basis.T
    target = rng.normal(size=30)

    def objective(x: np.ndarray) -> tuple[float, np.ndarray]:
        e = x - target
        return float(0.5 * e @ matrix @ e), matrix @ e

    result = self_scaled_bfgs(objective, np.zeros(30), iterations=400, gradient_tolerance=1e-8)
    assert result.reason == "converged"
    np.testing.assert_allclose(result.x, target, atol=1e-8)


def test_rosenbrock() -> None:
    result = self_scaled_bfgs(
        lambda x: (float(rosen(x)), rosen_der(x)), np.full(10, -1.2), iterations=500, gradient_tolerance=1e-9
    )
    assert result.reason == "converged"
    np.testing.assert_allclose(result.x, 1.0, atol=1e-8)
    assert result.evaluations < 3 * result.iterations


@settings(deadline=None)
@given(st.integers(0, 1000))
def test_update_is_the_formula_of_the_papers(seed: int) -> None:
    """One folded symmetric update equals H/tau of the three rank-one terms, and keeps the secant equation."""
    rng = np.random.default_rng(seed)
    n = 6
    hessian = InverseHessian(n, scale=float(rng.uniform(0.1, 3.0)))
    for _ in range(4):
        before = hessian.dense()
        step = rng.normal(size=n)
        change = step + 0.3 * rng.normal(size=n)
        sy = step @ change
        if sy <= 0:
            continue
        curvature = float(step @ np.linalg.solve(before, step))
        tau = min(1.0, sy / curvature)
        hy = before @ change
        yhy = change @ hy
        v = np.sqrt(yhy) * (step / sy - hy / yhy)
        expected = (before - np.outer(hy, hy) / yhy + np.outer(v, v)) / tau + np.outer(step, step) / sy
        hessian.update(step, change, curvature)
        np.testing.assert_allclose(hessian.dense(), expected, rtol=1e-8, atol=1e-10)
        np.testing.assert_allclose(hessian.dot(change), step, rtol=1e-7, atol=1e-9)


def test_large_scalings_are_folded_back() -> None:
    hessian = InverseHessian(3)
    for _ in range(12):  # each update scales by 100
        step = np.array([1.0, 0.5, -0.25])
        hessian.update(step, 0.01 * step, 1.0)
    assert np.isfinite(hessian.dense()).all()
    assert hessian.dense().max() > 1e8


def test_step_without_curvature_is_not_learned_from() -> None:
    hessian = InverseHessian(2)
    hessian.update(np.array([1.0, 0.0]), np.array([-1.0, 0.0]), 1.0)
    np.testing.assert_array_equal(hessian.dense(), np.eye(2))


def test_resampling_and_callback() -> None:
    draws, seen = [], []
    state = {"target": 0.0}

    def resample() -> None:
        draws.append(len(seen))
        state["target"] += 1.0

    def objective(x: np.ndarray) -> tuple[float, np.ndarray]:
        e = x - state["target"]
        return float(e @ e + 0.1 * np.sum(e**4)), 2 * e + 0.4 * e**3

    def callback(done: int, value: float) -> bool:
        seen.append(value)
        return done == 7

    result = self_scaled_bfgs(
        objective, np.full(3, 5.0), iterations=100, resample=resample, resample_every=3, callback=callback
    )
    assert draws == [3, 6]
    assert result.reason == "stopped"
    assert result.iterations == len(seen) == 7


def test_hopeless_objective_ends() -> None:
    """A gradient that points uphill: no step is ever accepted."""
    result = self_scaled_bfgs(lambda x: (float(x @ x), -2 * x), np.ones(2), iterations=1000)
    assert result.reason == "line search"
    assert result.iterations < 30
    assert result.value == pytest.approx(2.0)
