"""Accuracy of the option network by optimizer, and with soft constraints, against the closed form in one run.

``python -m benchmarks.pinn_accuracy [--quick] [--seconds 120]``. Every optimizer gets the same time on one
core, our own recipe its own steps. By default about twelve minutes.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from threadpoolctl import threadpool_limits

from benchmarks.machine import described
from ml_assets.gates.options.european import pinn_gates
from ml_assets.pinn import PinnRecipe, PinnWeights, train_pinn
from ml_assets.pinn.adam import adam
from ml_assets.pinn.european.greeks import value_network
from ml_assets.pinn.european.soft import SoftNetwork, SoftRecipe, l_bfgs, train_soft
from ml_assets.pinn.european.training import training_problem
from ml_assets.pinn.european.weights import initial_parameters

COLUMNS = ("price_max", "gamma_l2", "residual_rms", "parity_max", "violations")
HEADER = f"{'training':44s} {'s':>6s} " + " ".join(f"{name:>12s}" for name in COLUMNS) + "  gates"


class _OutOfTimeError(Exception):
    pass


@dataclass
class _Timed:
    """An objective that ends the search when its time is up, and remembers the best point so far."""

    objective: Callable[[Any], tuple[float, Any]]
    until: float
    best: Any = None

    def __call__(self, x: Any) -> tuple[float, Any]:
        if time.perf_counter() > self.until:
            raise _OutOfTimeError
        value, gradient = self.objective(x)
        self.best = x.copy()
        return value, gradient


def adam_then_lbfgs(recipe: PinnRecipe, seconds: float) -> PinnWeights:
    """Our ansatz, SciPy's L-BFGS-B in the place of the dense self-scaled one."""
    with threadpool_limits(limits=1, user_api="blas"):
        problem = training_problem(recipe)
        x = initial_parameters(recipe.width, recipe.depth, recipe.seed)
        timed = _Timed(problem.objective, time.perf_counter() + seconds)
        try:
            x = adam(timed, x, steps=recipe.adam_steps, resample=problem.resample)
            l_bfgs(timed, x, iterations=10**9, resample=problem.resample)
        except _OutOfTimeError:
            x = timed.best
    return PinnWeights.from_parameters(x, recipe.width, recipe.depth, domain=recipe.domain)


def row(name: str, network: Any, value: Callable[..., Any], seconds: float) -> str:
    results = pinn_gates(network, value=value)
    figures = {key: figure for result in results for key, figure in result.figures.items()}
    passed = sum(result.passed for result in results)
    cells = " ".join(f"{float(figures[column]):12.1e}" for column in COLUMNS)
    return f"{name:44s} {seconds:6.1f} {cells}  {passed}/{len(results)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="the recipe of the tests, ten seconds each")
    parser.add_argument("--seconds", type=float, default=120.0, help="time of each other optimizer")
    arguments = parser.parse_args()
    recipe = PinnRecipe.quick() if arguments.quick else PinnRecipe()
    seconds = 10.0 if arguments.quick else arguments.seconds
    soft = SoftRecipe() if arguments.quick else SoftRecipe(2000, 4000, points=1024, width=64, depth=3)
    train_pinn(replace(recipe, adam_steps=1, bfgs_iterations=0))  # compile once, outside of the times
    steps = _affordable(recipe, seconds)
    runs: dict[str, Callable[[], Any]] = {
        "untrained": partial(train_pinn, replace(recipe, adam_steps=0, bfgs_iterations=0)),
        f"Adam, {steps:,} steps": partial(train_pinn, replace(recipe, adam_steps=steps, bfgs_iterations=0)),
        "Adam, then L-BFGS (SciPy, 50 pairs)": partial(adam_then_lbfgs, recipe, seconds),
        f"Adam, then self-scaled BFGS, {seconds:.0f} s": partial(
            train_pinn, replace(recipe, bfgs_iterations=10**6, time_budget=seconds)
        ),
        f"the default: Adam {recipe.adam_steps}, BFGS {recipe.bfgs_iterations}": partial(train_pinn, recipe),
    }
    print(described())
    print("39,360 options x (call, put), errors against the closed form, prices per unit of strike")
    print(HEADER)
    for name, run in runs.items():
        started = time.perf_counter()
        weights = run()
        print(row(name, weights, value_network, time.perf_counter() - started), flush=True)
    started = time.perf_counter()
    network = train_soft(soft)
    name = f"soft constraints, {soft.depth} x {soft.width}, Adam, L-BFGS"
    print(row(name, network, SoftNetwork.value, time.perf_counter() - started), flush=True)


def _affordable(recipe: PinnRecipe, seconds: float) -> int:
    """Adam steps that fit into the time, judged by a hundred of them."""
    started = time.perf_counter()
    train_pinn(replace(recipe, adam_steps=100, bfgs_iterations=0))
    return max(100, int(100 * seconds / (time.perf_counter() - started)))


if __name__ == "__main__":
    main()
