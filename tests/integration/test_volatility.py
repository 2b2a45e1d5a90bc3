"""``gated-mamba volatility`` beside a finished fleet: data to release, with the real controls."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ml_assets.forecasts.controls import DIRECTION_CONTROLS, WALK
from ml_assets.forecasts.controls import VARIANCE as PLANTED
from ml_assets.forecasts.release import Release
from ml_assets.forecasts.targets import DIRECTION, VARIANCE
from ml_assets.forecasts.variance import VolatilityReport
from ml_assets.forecasts.verdicts import Promotion
from orchestration.definitions import ASSETS
from orchestration.gating import collect_gates
from tests.integration.conftest import FolderRun, copied
from tests.integration.project import Project

pytestmark = [pytest.mark.xdist_group("pipeline"), pytest.mark.slow]

# Asked for are WALK, UNEVEN, whose variance can be learnt, and SHORT, which is refused and yet an attempt.
# EDGE was tried for direction alone.
PLACES = {(symbol, h) for symbol in ("WALK", "SHORT", "UNEVEN") for h in (1, 5)}
LEARNT = ("UNEVEN", 1)


@pytest.fixture(scope="module")
def ran(variance_run: FolderRun, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FolderRun]:
    """After the command."""
    with copied(variance_run, tmp_path_factory.mktemp("volatility")) as run:
        yield run


def verdicts(project: Project) -> Promotion:
    return VARIANCE.promotion.from_bytes(project.store.read("volatility_promotion")[0])


def test_every_symbol_and_horizon_has_a_verdict_and_the_controls_come_out_as_they_must(
    ran: FolderRun,
) -> None:
    assert ran.exit_code == 0, ran.output + ran.errors
    found = verdicts(ran.project)
    assert {(v.symbol, v.horizon) for v in found.verdicts} == PLACES
    controls = {(v.symbol, v.horizon): v.verdict for v in found.controls}
    assert found.void is None, controls
    assert controls[PLANTED, 1] == "PROMOTE"
    assert "PROMOTE" not in (controls[WALK, 1], controls[WALK, 5])
    assert {(v.symbol, v.horizon) for v in found.verdicts if v.verdict == "PROMOTE"} == {LEARNT}
    assert PLANTED in ran.output


def test_everything_is_certified_by_every_gate(ran: FolderRun) -> None:
    gates = collect_gates(ASSETS)
    for asset in ("volatility_weights", "volatility_report", "volatility_promotion"):
        certificate = ran.project.current(asset, None if asset == "volatility_promotion" else "WALK")
        assert {verdict.gate for verdict in certificate.gates} == gates[asset]
        assert all(verdict.passed for verdict in certificate.gates)
    inputs = ran.project.current("volatility_report", "WALK").inputs
    assert set(inputs) == {"raw_prices/WALK", "split_sequences/WALK", "volatility_weights/WALK"}


def test_the_release_names_the_model_with_skill_and_says_where_there_is_none(
    ran: FolderRun, folder_run: FolderRun
) -> None:
    data, certificate = ran.project.store.read("release")
    release = Release.from_bytes(data)
    assert certificate.inputs["volatility_promotion"] == ran.project.current("volatility_promotion").sha256
    before = Release.from_bytes(folder_run.project.store.read("release")[0])
    (added,) = [version for version in release.versions if version not in before.versions]
    assert (added.asset, added.partition, added.horizon) == ("volatility_weights", *LEARNT)
    assert len(release.versions) == len(before.versions) + 1
    assert set(release.withheld["variance"]) == {f"{symbol} ({h} d)" for symbol, h in PLACES - {LEARNT}}
    assert all(why.startswith("no model with skill: ") for why in release.withheld["variance"].values())


def test_the_control_of_variance_is_nobody_where_direction_is_judged(ran: FolderRun) -> None:
    assert ran.project.run("fleet_verdict").success
    judged = DIRECTION.promotion.from_bytes(ran.project.store.read("promotion")[0])
    assert {v.symbol for v in judged.controls} == set(DIRECTION_CONTROLS)
    assert {v.symbol for v in judged.verdicts} == {"EDGE", "WALK", "SHORT"}


def test_report_leaves_a_page_and_a_picture(ran: FolderRun) -> None:
    folder = Path(ran.project.settings.store_url) / "reports" / "volatility"
    assert (folder / "WALK.png").read_bytes()[1:4] == b"PNG"
    page = (folder / "WALK.md").read_text()
    report = VolatilityReport.from_bytes(ran.project.store.read("volatility_report", "WALK")[0])
    for score in report.scores:
        assert f"{score.level:.4f}" in page
        assert f"{score.figures['p_value']['garch']:.4f}" in page


def test_weights_of_another_split_are_not_scored(ran: FolderRun) -> None:
    """Split anew with another test span and keep the old weights: most sealed days were trained on."""
    before = ran.project.current("volatility_report", "WALK").sha256
    other = replace(ran.project, settings=ran.project.settings.model_copy(update={"test_days": 400}))
    assert other.run_symbol("WALK", "split_sequences").success
    outcome = other.run("volatility_pipeline", "WALK", "volatility_report")
    assert not outcome.success
    assert "one_lineage" in str(outcome.reason)
    assert ran.project.current("volatility_report", "WALK").sha256 == before
