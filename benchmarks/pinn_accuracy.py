"""Accuracy of the network against the closed form, by optimizer, in one run.

``python benchmarks/pinn_accuracy.py [--quick]``; the default takes some two minutes on one core.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace

from ml_assets.gates.options import pinn_gates
from ml_assets.pinn import PinnRecipe, PinnWeights, train_pinn

COLUMNS = ("price_max", "gamma_l2", "vega_l2", "theta_l2", "residual_rms", "parity_max", "violations")
HEADER = f"{'training':34s} {'s':>6s} " + " ".join(f"{name:>12s}" for name in COLUMNS) + "  gates"


def train(recipe: PinnRecipe) -> tuple[PinnWeights, float]:
    started = time.perf_counter()
    return train_pinn(recipe), time.perf_counter() - started


def row(name: str, weights: PinnWeights, seconds: float) -> str:
    results = pinn_gates(weights)
    figures = {key: value for result in results for key, value in result.figures.items()}
    passed = sum(result.passed for result in results)
    cells = " ".join(f"{float(figures[column]):12.1e}" for column in COLUMNS)
    return f"{name:34s} {seconds:6.1f} {cells}  {passed}/{len(results)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the recipe of the tests")
    recipe = PinnRecipe.quick() if parser.parse_args().quick else PinnRecipe()
    train_pinn(replace(recipe, adam_steps=1, bfgs_iterations=0))  # compile once, outside of the times
    steps = recipe.adam_steps + recipe.bfgs_iterations
    runs = {
        "untrained": replace(recipe, adam_steps=0, bfgs_iterations=0),
        f"Adam, {steps} steps": replace(recipe, adam_steps=steps, bfgs_iterations=0),
        f"Adam {recipe.adam_steps}, BFGS {recipe.bfgs_iterations} (ours)": recipe,
    }
    print("39,360 options x (call, put), errors against the closed form, prices per unit of strike")
    print(HEADER)
    for name, variant in runs.items():
        print(row(name, *train(variant)), flush=True)


if __name__ == "__main__":
    main()
