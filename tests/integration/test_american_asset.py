"""The American network as an asset: published only past its gates, with its pages, then served."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from ml_assets.gates.options.american import AMERICAN_GATES
from ml_assets.pinn import PINNCache
from ml_assets.pinn.american import AmericanRecipe, AmericanWeights
from orchestration.assets import networks
from orchestration.cli.progress import watching
from orchestration.version import code_version
from tests.american_fixtures import LIMITS, american_quick
from tests.integration.project import Market, open_project

pytestmark = pytest.mark.xdist_group("american")

__all__ = ["american_quick"]


@pytest.fixture
def small(american_quick: AmericanWeights, monkeypatch: pytest.MonkeyPatch) -> AmericanWeights:
    """The asset with the gates' small sample; what it trains is set by each test."""
    monkeypatch.setattr(networks, "_american_limits", lambda: LIMITS)
    return american_quick


def test_certified_network_leaves_its_report_and_is_served(
    small: AmericanWeights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[AmericanRecipe] = []
    kept: list[Path] = []

    def trained(recipe: AmericanRecipe, progress: object, checkpoint_dir: Path) -> AmericanWeights:
        seen.append(recipe)
        kept.append(checkpoint_dir)
        return small

    monkeypatch.setattr("ml_assets.pinn.american.training.train_american", trained)
    with open_project(tmp_path, Market({}), american_bfgs_iterations=77, seed=3) as project:
        outcome = project.run("american_pipeline")
        assert outcome.success, outcome.reason
        assert (seen[0].bfgs_iterations, seen[0].seed) == (77, 3)
        assert kept == [project.settings.home / "checkpoints" / "american_weights" / code_version()]
        certificate = project.current("american_weights")
        assert {verdict.gate for verdict in certificate.gates} == {gate.name for gate in AMERICAN_GATES}
        metadata = project.materializations("american_weights")[0].metadata
        assert "data:image/png" in str(metadata["training"].value)
        assert "QuantLib QdFp fast" in str(metadata["accuracy"].value)
        root = Path(project.settings.store_url)
    report = (root / "reports/american/AMERICAN_REPORT.md").read_text()
    for part in ("boundary network, all Greeks", "Barone-Adesi-Whaley", "american_no_arbitrage | passed"):
        assert part in report
    for picture in ("errors", "boundary", "training"):
        assert f"]({picture}.png)" in report
        assert (root / f"reports/american/{picture}.png").read_bytes().startswith(b"\x89PNG")
    alias = root / "models/pinn/american/american.npz"
    assert alias.read_bytes() == small.to_bytes()
    option = {"S": 100.0, "K": 100.0, "tau": 0.5, "q": 0.03, "option_type": "put"}
    assert PINNCache(store=root).predict_with_cache(**option, exercise="american")["source"] == "network"


def test_barely_trained_network_is_refused_and_leaves_no_page(small: AmericanWeights, tmp_path: Path) -> None:
    settings, printed = {"american_adam_steps": 3, "american_bfgs_iterations": 0}, io.StringIO()
    with open_project(tmp_path, Market({}), **settings) as project:
        with watching("american", Console(file=printed, width=200)):
            outcome = project.run("american_pipeline")
        progress, stage = printed.getvalue().splitlines()
        assert progress.startswith("american: adam 3/3, loss ")
        assert stage == "american: trained; judging it against QuantLib"
        assert not outcome.success
        assert "american_price" in str(outcome.reason)
        assert project.store.current("american_weights") is None
        root = Path(project.settings.store_url)
    assert list(root.glob("american_weights/**/quarantine/*.npz"))
    assert not list(root.glob("reports/american/*"))
