"""What a run of the whole graph leaves behind: what was certified, what was released, and from what."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import h5py
import pytest

from ml_assets.forecasts.controls import DIRECTION_CONTROLS, EDGE, WALK
from ml_assets.forecasts.direction import WalkForwardReport
from ml_assets.forecasts.release import Release
from ml_assets.forecasts.targets import DIRECTION
from ml_assets.forecasts.verdicts import Verdict
from ml_assets.prices import open_source
from ml_assets.prices.simulated import simulate
from ml_assets.storage import Certificate, read_certified
from orchestration.definitions import ASSETS
from orchestration.fleet.state import stale_verdict
from orchestration.gating import _dagster_private as private
from orchestration.gating import collect_gates
from orchestration.pipelines import JOBS
from tests.integration.conftest import SETTINGS, FolderRun, command
from tests.integration.project import Market, Project, open_project

pytestmark = pytest.mark.xdist_group("pipeline")

PER_SYMBOL = JOBS["symbol_pipeline"]
SINGLE = [*JOBS["base_pipeline"], *JOBS["option_pipeline"], *JOBS["fleet_verdict"]]


@pytest.fixture
def project(folder_run: FolderRun) -> Project:
    return folder_run.project


def verdicts(project: Project) -> dict[str, Verdict]:
    promotion = DIRECTION.promotion.from_bytes(project.store.read("promotion")[0])
    return {verdict.symbol: verdict for verdict in promotion.verdicts}


def places() -> list[tuple[str, str | None]]:
    """Every asset and partition that the run should have published."""
    return [(a, s) for a in PER_SYMBOL for s in ("EDGE", "WALK", *DIRECTION_CONTROLS)] + [
        (a, None) for a in SINGLE
    ]


def test_planted_edge_is_promoted_and_the_random_walk_is_not(project: Project) -> None:
    found = verdicts(project)
    assert found["EDGE"].verdict == "PROMOTE", found["EDGE"]
    assert found["WALK"].verdict in ("REJECT", "RETRAIN"), found["WALK"]


def test_the_page_on_requirements_counts_what_was_certified(project: Project) -> None:
    page = (Path(project.store.root) / "reports" / "COMPLETION_REPORT.md").read_text(encoding="utf-8")
    causal = [
        int(gate.figures["checked"])
        for symbol in ("EDGE", "WALK", *DIRECTION_CONTROLS)
        for gate in project.current("split_sequences", symbol).gates
        if gate.gate == "causal"
    ]
    assert f"| split_sequences | causal | 4 of 5 | {sum(causal):,} |" in page, "one was refused"
    assert "`walk_forward_report`: 5 gates, 4 of 5 versions" in page
    assert "none in this store" not in page


def test_controls_are_judged_beside_the_symbols_and_teach_nobody(project: Project) -> None:
    promotion = DIRECTION.promotion.from_bytes(project.store.read("promotion")[0])
    assert promotion.void is None
    assert {v.symbol: v.verdict == "PROMOTE" for v in promotion.controls} == {EDGE: True, WALK: False}
    assert not {s.symbol for s in promotion.champions} & set(DIRECTION_CONTROLS)
    base = project.current("mamba_base_weights")
    assert sorted(base.inputs) == ["split_sequences/EDGE", "split_sequences/WALK"]


def test_every_fold_is_trained_anew_on_more_days(project: Project) -> None:
    report = WalkForwardReport.from_bytes(project.store.read("walk_forward_report", "EDGE")[0])
    first, second = report.folds
    assert second.training_rows > first.training_rows
    assert first.last_day < second.first_day
    assert first.known_until < first.first_day
    page = Path(project.settings.store_url) / "reports" / "walk_forward" / "EDGE.md"
    assert f"**{report.scores[0].level:.1%}**" in page.read_text()
    assert page.with_suffix(".png").read_bytes().startswith(b"\x89PNG")


def test_an_earlier_release_is_brought_back_through_its_gates(project: Project) -> None:
    """One command; what it serves again passes every gate of a release once more."""
    before = project.current("release").sha256
    served = Release.from_bytes(project.store.read("release")[0])
    strict = replace(project, settings=project.settings.model_copy(update={"quarantine_accuracy": 0.60}))
    assert strict.run("fleet_verdict").success
    assert project.current("release").sha256 != before
    newer = project.current("promotion").sha256
    try:
        done = command("rollback", before[:10], folder=project.root, **settings_of(project))
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"release {before[:12]}" in done.stdout
        back = Release.from_bytes(project.store.read("release")[0])
        assert back == replace(served, passed_over={"promotion": newer})
        newest = project.materializations("release")[0]
        assert newest.metadata["rolled_back_to"].value == before
        assert stale_verdict(project.instance, project.store) is None, "a sensor would undo it"
        unknown = command("rollback", "ffff", folder=project.root, **settings_of(project))
        assert unknown.returncode == 2
        assert "0 earlier releases match ffff" in unknown.stdout
    finally:
        assert project.run("fleet_verdict").success


def settings_of(project: Project) -> dict[str, object]:
    return {"home": project.settings.home, "prices": project.settings.prices, **SETTINGS}


def test_refused_symbol_has_its_verdict_and_stops_nobody(project: Project) -> None:
    short = verdicts(project)["SHORT"]
    assert (short.verdict, short.p_value) == ("REJECT", 1.0)
    assert short.reason.startswith("no certified report: ")
    assert short.level is None


def test_too_good_to_be_true_is_quarantined_and_not_released(project: Project) -> None:
    """The same reports judged by the default limit, 60 %: what was promoted is now taken for a leak."""
    strict = replace(project, settings=project.settings.model_copy(update={"quarantine_accuracy": 0.60}))
    assert strict.run("fleet_verdict").success
    try:
        assert verdicts(project)["EDGE"].verdict == "QUARANTINE"
        manifest = Release.from_bytes(project.store.read("release")[0])
        assert [v.asset for v in manifest.versions] == ["pinn_weights"]
        assert set(manifest.withheld["direction"]) == {f"{s} (1 d)" for s in ("EDGE", "WALK", "SHORT")}
    finally:
        assert project.run("fleet_verdict").success


def test_release_holds_promoted_symbols_and_nothing_else(project: Project) -> None:
    manifest = Release.from_bytes(project.store.read("release")[0])
    promoted = {symbol for symbol, v in verdicts(project).items() if v.verdict == "PROMOTE"}
    assert {v.partition for v in manifest.versions if v.asset == "mamba_weights"} == promoted == {"EDGE"}
    assert set(manifest.withheld["direction"]) == {"WALK (1 d)", "SHORT (1 d)"}
    for version in manifest.versions:
        _, certificate = read_certified(project.store.root, version.asset, version.partition, version.sha256)
        assert certificate.passed
    by_people = json.loads((Path(project.settings.store_url) / "manifest" / "release.json").read_text())
    assert by_people["versions"] == [
        {"asset": v.asset, "partition": v.partition, "sha256": v.sha256, "horizon": v.horizon}
        for v in manifest.versions
    ]
    (why,) = manifest.withheld["variance"].values()  # nobody has asked for it
    assert why.startswith("no model with skill: variance is not judged")


@pytest.mark.parametrize(("asset", "partition"), places())
def test_certificate_lies_beside_the_artifact(project: Project, asset: str, partition: str | None) -> None:
    certificate = project.current(asset, partition)
    artifact = Path(project.store.location(certificate))
    assert artifact.is_file()
    assert artifact.with_name(f"{certificate.sha256}.certificate.json").is_file()
    gates = collect_gates(ASSETS)
    assert {verdict.gate for verdict in certificate.gates} == gates[asset]
    assert all(verdict.passed and verdict.message for verdict in certificate.gates)


@pytest.mark.parametrize(("asset", "partition"), places())
def test_materialization_shows_version_and_figures(
    project: Project, asset: str, partition: str | None
) -> None:
    metadata = {
        name: value.value for name, value in project.materializations(asset, partition)[0].metadata.items()
    }
    certificate = project.current(asset, partition)
    assert metadata["sha256"] == certificate.sha256
    assert metadata["bytes"] == certificate.size
    assert metadata["inputs"] == dict(certificate.inputs)
    assert len(metadata) > 4, f"nothing about the content: {sorted(metadata)}"


def test_certificates_chain_the_release_to_the_raw_prices(project: Project) -> None:
    """From the release, by certificates alone, to the prices that were loaded: no link may be missing."""
    seen: dict[str, Certificate] = {}

    def follow(certificate: Certificate) -> None:
        for name, sha256 in certificate.inputs.items():
            asset, _, partition = name.partition("/")
            _, found = project.store.read(asset, partition or None, sha256)
            assert (found.asset, found.partition, found.sha256) == (asset, partition or None, sha256)
            assert seen.setdefault(name, found).sha256 == sha256, f"two versions of {name} in one release"
            follow(found)

    follow(project.current("release"))
    expected = {
        f"{asset}/{symbol}" for asset in PER_SYMBOL for symbol in ("EDGE", "WALK", *DIRECTION_CONTROLS)
    }
    assert set(seen) == expected | {"mamba_base_weights", "promotion", "latency_benchmark", "pinn_weights"}
    prices = open_source(project.settings.prices).load("EDGE")
    assert project.store.read("raw_prices", "EDGE", seen["raw_prices/EDGE"].sha256)[0] == prices.to_bytes()


@pytest.mark.parametrize("symbol", ["EDGE", "WALK"])
def test_alias_of_the_weights_opens_as_hdf5(project: Project, symbol: str) -> None:
    path = Path(project.settings.store_url) / "weights" / f"{symbol}.weights.h5"
    sizes: list[int] = []
    with h5py.File(path) as file:
        file.visititems(lambda _, node: sizes.append(node.size) if isinstance(node, h5py.Dataset) else None)
    assert sum(sizes) > 1000
    assert path.read_bytes() == project.store.read("mamba_weights", symbol)[0]


def test_alias_of_the_option_network_is_the_certified_version(project: Project) -> None:
    path = Path(project.settings.store_url) / "models" / "pinn" / "option_pricing" / "option_pricing.npz"
    assert path.read_bytes() == project.store.read("pinn_weights")[0]


def test_equal_seeds_give_equal_bytes_and_another_seed_does_not(tmp_path: Path) -> None:
    prices = {"WALK": simulate("random_walk", 1300, seed=1, symbol="WALK").prices}
    found = []
    for name, seed in (("first", 0), ("equal", 0), ("other", 1)):
        with open_project(tmp_path / name, Market(prices), epochs=3, test_days=500, seed=seed) as project:
            assert project.run_symbol("WALK").success
            found.append({asset: project.current(asset, "WALK").sha256 for asset in PER_SYMBOL})
    first, equal, other = found
    assert equal == first
    same = {asset for asset in PER_SYMBOL if other[asset] == first[asset]}
    assert same == {"raw_prices", "split_sequences"}  # what no seed touches


def test_checks_of_partitioned_assets_carry_the_partition(project: Project) -> None:
    for asset in (a for a in ASSETS if a.key.to_user_string() in PER_SYMBOL):
        specs = list(asset.check_specs)
        assert specs
        for spec in specs:
            assert spec.partitions_def == asset.partitions_def
            assert not list(private.check_history(project.instance, spec.key, None)), (
                "a verdict without a symbol"
            )
            for symbol in ("EDGE", "WALK"):
                records = list(private.check_history(project.instance, spec.key, symbol))
                evaluation = records[0].evaluation
                assert evaluation is not None
                assert evaluation.partition == symbol
                assert evaluation.passed
                version = project.current(spec.asset_key.to_user_string(), symbol).sha256
                assert evaluation.metadata["sha256"].value == version
