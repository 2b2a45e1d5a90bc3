"""``gated-mamba relative`` beside a finished fleet: median, labels, models, verdicts, release."""

from __future__ import annotations

from pathlib import Path

import pytest

from ml_assets.forecasts.controls import DIRECTION_CONTROLS, EDGE, WALK
from ml_assets.forecasts.release import Release
from ml_assets.forecasts.targets import RELATIVE
from ml_assets.prices.simulated import simulate
from orchestration.definitions import ASSETS
from orchestration.gating import collect_gates
from tests.integration.conftest import SETTINGS, FolderRun, command, copied

pytestmark = [pytest.mark.xdist_group("pipeline"), pytest.mark.slow]


def test_a_third_target_is_judged_by_its_command_alone(folder_run: FolderRun, tmp_path: Path) -> None:
    before = folder_run.project.store
    assert before.current("relative_promotion") is None
    (why,) = Release.from_bytes(before.read("release")[0]).withheld["relative"].values()
    assert "relative is not judged" in why
    with copied(folder_run, tmp_path) as run:
        frame = simulate("random_walk", 1300, seed=9, ohlcv=False).prices.frame
        frame.rename_axis("Date").to_csv(tmp_path / "prices" / "OTHER.csv")
        settings = {**SETTINGS, "home": tmp_path / "var", "prices": tmp_path / "prices", "workers": 1}
        done = command("relative", folder=tmp_path, symbols="OTHER,SHORT,WALK", **settings)
        assert done.returncode == 0, done.stdout + done.stderr
        project = run.project

        median = project.current("fleet_median")  # EDGE was not asked for, but is of the fleet
        assert set(median.inputs) == {f"raw_prices/{name}" for name in ("EDGE", "OTHER", "WALK")}
        gates = collect_gates(ASSETS)
        for asset in ("relative_sequences", "relative_weights", "relative_report"):
            certificate = project.current(asset, "OTHER")
            assert {verdict.gate for verdict in certificate.gates if verdict.passed} == gates[asset]

        found = RELATIVE.promotion.from_bytes(project.store.read("relative_promotion")[0])
        assert {v.symbol for v in found.verdicts} == {"OTHER", "SHORT", "WALK"}, "EDGE was not tried"
        assert {v.symbol for v in found.controls} == set(DIRECTION_CONTROLS)
        assert {v.symbol: v.verdict for v in found.controls}[EDGE] == "PROMOTE"
        assert {v.symbol: v.verdict for v in found.controls}[WALK] != "PROMOTE"
        assert found.void is None
        release = Release.from_bytes(project.store.read("release")[0])
        assert set(release.withheld["relative"]) == {f"{s} (1 d)" for s in ("OTHER", "SHORT", "WALK")}
        assert EDGE in done.stdout
        assert (tmp_path / "var" / "store" / "reports" / "relative" / "OTHER.png").exists()
