"""Variance in the graph: gated, verified, judged; refused when its inputs do not belong together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ml_assets.simulation import simulate
from ml_assets.volatility import VolatilityPromotion, VolatilityReport
from orchestration.definitions import VOLATILITY_ASSETS
from orchestration.gating import collect_gates
from tests.integration.project import Market, Project, open_project

pytestmark = pytest.mark.xdist_group("volatility")

ASSETS = ("volatility_weights", "volatility_report")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    prices = simulate("leverage", 1500, seed=3, best_accuracy=0.7, symbol="SIM").prices
    root = tmp_path_factory.mktemp("volatility")
    with open_project(root, Market({"SIM": prices}), epochs=2, test_days=240, folds=2) as project:
        prepared = project.run_symbol("SIM", "raw_prices", "split_sequences")
        assert prepared.success, prepared.reason
        outcome = project.run("volatility_pipeline", "SIM")
        assert outcome.success, outcome.reason
        yield project


def test_weights_and_report_are_certified_by_every_gate(project: Project) -> None:
    gates = collect_gates(VOLATILITY_ASSETS)
    for asset in ASSETS:
        certificate = project.current(asset, "SIM")
        assert {verdict.gate for verdict in certificate.gates} == gates[asset]
        assert all(verdict.passed for verdict in certificate.gates)
    inputs = project.current("volatility_report", "SIM").inputs
    assert set(inputs) == {"raw_prices/SIM", "split_sequences/SIM", "volatility_weights/SIM"}


def test_report_leaves_a_page_and_a_picture(project: Project) -> None:
    folder = Path(project.settings.store_url) / "reports" / "volatility"
    assert (folder / "SIM.png").read_bytes()[1:4] == b"PNG"
    page = (folder / "SIM.md").read_text()
    report = VolatilityReport.from_bytes(project.store.read("volatility_report", "SIM")[0])
    for score in report.scores:
        assert f"{score.qlike['model']:.4f}" in page
        assert f"{score.p_values['garch']:.4f}" in page


def test_a_fleet_without_controls_promotes_nothing(project: Project) -> None:
    assert project.run("volatility_verdict").success
    found = VolatilityPromotion.from_bytes(project.store.read("volatility_promotion")[0])
    assert found.void is not None
    assert {(v.symbol, v.horizon) for v in found.verdicts} == {("SIM", 1), ("SIM", 5)}
    assert found.promoted() == []


def test_weights_of_another_split_are_not_scored(project: Project) -> None:
    """Split anew with another test span and keep the old weights: most sealed days were trained on."""
    before = project.current("volatility_report", "SIM").sha256
    other = replace(project, settings=project.settings.model_copy(update={"test_days": 300}))
    assert other.run_symbol("SIM", "split_sequences").success
    outcome = other.run("volatility_pipeline", "SIM", "volatility_report")
    assert not outcome.success
    assert "one_lineage" in str(outcome.reason)
    assert project.current("volatility_report", "SIM").sha256 == before
