"""The pages on the option network say what the run has found, and say it alike for equal results."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from ml_assets.gates.core import GateResult
from ml_assets.gates.options.european import pinn_gates
from ml_assets.pinn import PinnWeights
from ml_assets.pinn.serving.timing import Timing
from ml_assets.reports.european import european_report
from ml_assets.reports.latency import latency_pages
from tests.pinn_fixtures import latency_report, random_weights

FIGURES = {
    "adam_steps": 20,
    "bfgs_iterations": 40,
    "bfgs_evaluations": 43,
    "bfgs_ended_by": "iterations",
    "points": 128,
    "physics_weight": 10.0,
    "loss_after_adam": 1.25e-3,
    "loss": 3.5e-7,
    "loss_residual": 3.5e-8,
    "loss_boundary": 0.0,
    "loss_parity": 1e-33,
}
SOFT = {
    "parity_max": 0.02, "residual_rms": 0.014, "price_max": 0.23, "delta_l2": 0.26, "gamma_l2": 0.97,
    "vega_l2": 1.7, "theta_l2": 0.83, "rho_l2": 2.3, "violations": 483_510, "seconds": 7.6, "weights": 1314,
}  # fmt: skip
WEIGHTS = PinnWeights(
    random_weights(1).kernels,
    random_weights(1).biases,
    seed=5,
    figures=FIGURES,
    history=np.array([[10.0, 1.0], [20.0, 0.1], [30.0, 1e-3], [60.0, 1e-7]]),
)


@pytest.fixture(scope="module")
def results() -> tuple[GateResult, ...]:
    return pinn_gates(WEIGHTS)


def rows(text: str) -> dict[str, list[str]]:
    """Cells of every table row, by the first one."""
    cells = ([c.strip() for c in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|")
    return {row[0]: row[1:] for row in cells}


def test_training_page_shows_gates_recipe_and_soft_variant(results: tuple[GateResult, ...]) -> None:
    pages = european_report(WEIGHTS, results, SOFT).pages
    text = pages["PINN_TRAINING_REPORT.md"].decode()
    table = rows(text)
    figures = {name: value for result in results for name, value in result.figures.items()}
    assert table["price, largest error / K"][:2] == [f"{figures['price_max']:.1e}", "1e-08"]
    assert table["price, largest error / K"][3] == "2.3e-01"
    assert table["arbitrage violations"] == [f"{figures['violations']:,}", "0", "", "483,510"]
    assert f"{sum(result.passed for result in results)} of 5 gates passed" in text
    assert table["first phase"] == ["Adam, 20 steps, loss then 1.25e-03"]
    assert table["seed"] == ["5"]
    assert "1,314 weights, 7.6 s in this run" in text
    assert all(len(row) == len(table["figure"]) for row in (table["figure"], table["arbitrage violations"]))


def test_training_page_says_when_the_soft_variant_was_left_out(results: tuple[GateResult, ...]) -> None:
    text = european_report(WEIGHTS, results).pages["PINN_TRAINING_REPORT.md"].decode()
    assert "not trained in this run" in text
    assert "soft constraints |" not in text


def test_latency_page_shows_quotes_batches_peers_and_limits() -> None:
    pages = latency_pages(latency_report())
    text = pages["PINN_OPTIMIZATION_REPORT.md"].decode()
    table = rows(text)
    assert table["network, price and five Greeks"] == ["0.1000", "0.1000", "0.1000", "200"]
    assert table["price alone"] == ["10,000", "2.000", "2.000", "2.000", "5,000,000"]
    assert table["closed form (NumPy)"] == ["64", "1,000,000", "-"]
    assert table["resident memory, MB"] == ["70", "200", "100"]
    assert table["TensorFlow imported"] == ["no", "no", ""]
    assert "QuantLib: not installed: pip install" in text
    assert "Gate `sla`: passed" in text


def test_latency_page_says_what_is_broken_and_what_was_missed() -> None:
    report = replace(latency_report(), single=Timing.of([1500.0] * 200), tensorflow_imported=True, peers=())
    text = latency_pages(report)["PINN_OPTIMIZATION_REPORT.md"].decode()
    assert "Gate `sla`: FAILED" in text
    assert "limits broken: p95 of a single quote" in text
    assert "targets missed" in text
    assert rows(text)["TensorFlow imported"] == ["yes", "no", ""]
    assert "Against the closed form" not in text


@pytest.mark.parametrize("page", ["training", "latency"])
def test_every_picture_of_a_page_is_there_and_equal_results_give_equal_bytes(
    page: str, results: tuple[GateResult, ...]
) -> None:
    def build() -> dict[str, bytes]:
        return (
            european_report(WEIGHTS, results, SOFT).pages
            if page == "training"
            else latency_pages(latency_report())
        )

    pages = build()
    (name,) = (name for name in pages if name.endswith(".md"))
    linked = set(re.findall(r"!\[[^]]*\]\(([^)]*)\)", pages[name].decode()))
    assert linked == set(pages) - {name}
    assert all(pages[picture].startswith(b"\x89PNG") for picture in linked)
    assert build() == pages


def test_a_network_without_history_has_a_page_too(results: tuple[GateResult, ...]) -> None:
    bare = PinnWeights(WEIGHTS.kernels, WEIGHTS.biases, figures=FIGURES)
    assert european_report(bare, results).pages["pinn/loss.png"].startswith(b"\x89PNG")
