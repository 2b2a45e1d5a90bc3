"""A leak is planted in a pipeline that has published a clean version: no path may lead it to a model.

First a clean run certifies version 1 of everything. Then the code of one step is replaced by one that knows
the future. Its candidate must go to quarantine, and whatever is tried afterwards, each model that is ever
published must descend from version 1.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

import dagster as dg
import numpy as np
import pytest
from dagster._core.execution.backfill import BulkActionStatus

from ml_assets.prices.simulated import simulate
from ml_assets.storage import Certificate, NotCertified
from ml_assets.windows.features import extract_features
from ml_assets.windows.scaling import fit_scale
from ml_assets.windows.steps import Steps
from tests.integration.backfills import run_backfill
from tests.integration.project import Market, Project, open_project
from tests.mutants.augmentation_leaks import STEPS as AUGMENTATION_LEAKS
from tests.mutants.feature_leaks import FEATURES
from tests.mutants.row_leaks import LABELS

pytestmark = pytest.mark.xdist_group("pipeline")

SYMBOL, OTHER = "LEAK", "GOOD"
LEAKY, READER = "split_sequences", "mamba_weights"
DOWNSTREAM = ("augmented_training_set", READER)
DAYS = 1100
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
ROOT = "PLANTED_LEAK_ROOT"

CENTERED = Steps(features=FEATURES["centered window"])


def _scale_of_all(features: np.ndarray, train: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return fit_scale(features, np.isfinite(features).all(axis=1))


def market() -> Market:
    return Market(
        {s: simulate("random_walk", DAYS, seed=n, symbol=s).prices for n, s in enumerate((SYMBOL, OTHER))}
    )


def open_here(root: Path) -> AbstractContextManager[Project]:
    return open_project(
        root, market(), epochs=1, minimum_rows=1000, verdict_wait_seconds=0.1, verdict_wait_tries=2
    )


@pytest.fixture(scope="module")
def clean_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Version 1 of everything, both symbols. Do not write here."""
    root = tmp_path_factory.mktemp("clean")
    with open_here(root) as project:
        for symbol in (SYMBOL, OTHER):
            outcome = project.run_symbol(symbol)
            assert outcome.success, outcome.reason
    return root


@pytest.fixture(scope="module")
def planted_root(clean_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same after a run of the leaking pipeline. Do not write here."""
    root = tmp_path_factory.mktemp("planted") / "copy"
    shutil.copytree(clean_root, root)
    with open_here(root) as project:
        assert not project.with_overrides(steps=CENTERED).run_symbol(SYMBOL).success
    return root


@dataclass(frozen=True)
class Scene:
    """The project with the leaking code in place and its candidate in quarantine."""

    project: Project  # with the leak
    good: Certificate  # version 1 of the sequences
    leaked: Certificate

    @property
    def folder(self) -> Path:
        return Path(self.project.store.location(self.good)).parents[1]

    def run_reader(self) -> None:
        self.project.run_symbol(SYMBOL, *DOWNSTREAM)

    def report_materialization(self) -> None:
        """Claim by hand that the leaked bytes were materialized."""
        self.project.instance.report_runless_asset_event(
            dg.AssetMaterialization(LEAKY, partition=SYMBOL, metadata={"sha256": self.leaked.sha256})
        )

    def report_checks(self) -> None:
        """Claim by hand that every gate passed on the leaked bytes."""
        for verdict in self.leaked.gates:
            self.project.instance.report_runless_asset_event(
                dg.AssetCheckEvaluation(
                    dg.AssetKey(LEAKY),
                    verdict.gate,
                    True,
                    metadata={"sha256": self.leaked.sha256},
                    partition=SYMBOL,
                )
            )

    def move_into_versions(self, certificate: str | None = None) -> None:
        """Put the quarantined bytes where the certified ones lie, with their own certificate or another."""
        for path in (self.folder / "quarantine").glob(f"{self.leaked.sha256}*"):
            shutil.copy(path, self.folder / "versions" / path.name)
        if certificate is not None:
            (self.folder / "versions" / f"{self.leaked.sha256}.certificate.json").write_text(certificate)

    def point_to_leaked(self) -> None:
        pointer = self.folder / "current.json"
        pointer.write_text(pointer.read_text().replace(self.good.sha256, self.leaked.sha256))

    def forged(self, *, sealed: bool) -> str:
        """The refused certificate with every verdict turned into a pass."""
        passed = replace(self.leaked, gates=tuple(replace(v, passed=True) for v in self.leaked.gates))
        if sealed:
            return passed.to_json()
        refused, seal = passed.to_json(), json.loads(self.leaked.to_json())["seal"]
        return json.dumps({**json.loads(refused), "seal": seal})


@pytest.fixture
def scene(planted_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    root = tmp_path / "copy"
    shutil.copytree(planted_root, root)
    monkeypatch.setenv(ROOT, str(root))
    with open_here(root) as project:
        (leaked,) = project.store.quarantined(LEAKY, SYMBOL)
        yield Scene(project.with_overrides(steps=CENTERED), project.current(LEAKY, SYMBOL), leaked)


def leaky_defs() -> dg.Definitions:
    """For code that loads definitions by name: the leaking pipeline on the test's folder."""
    root = Path(os.environ[ROOT])
    with open_here(root) as project:
        return project.with_overrides(steps=CENTERED).defs


def leaky_job() -> dg.JobDefinition:
    return leaky_defs().resolve_job_def("symbol_pipeline")


# ------------------------------------------------------------------ the gate turns red

LEAKS = {
    "centered window": (LEAKY, "causal", CENTERED),
    "scale of all rows": (LEAKY, "non_interference", Steps(scale=_scale_of_all)),
    "label one day early": (LEAKY, "oracle", Steps(labels=LABELS["label one day early"])),
    "price level": (LEAKY, "scale", Steps(features=lambda f: extract_features(f) + f[["close"]].to_numpy())),
    "rows shuffled": (
        "augmented_training_set",
        "ledger",
        Steps(augment=AUGMENTATION_LEAKS["rows shuffled"][1]),
    ),
}


@pytest.mark.parametrize("name", LEAKS)
def test_leak_is_refused_and_the_last_good_version_stays(clean_root: Path, tmp_path: Path, name: str) -> None:
    asset, gate, steps = LEAKS[name]
    shutil.copytree(clean_root, tmp_path / "copy")
    with open_here(tmp_path / "copy") as clean:
        project = clean.with_overrides(steps=steps)
        before = {a: project.current(a, SYMBOL) for a in (LEAKY, *DOWNSTREAM)}
        outcome = project.run_symbol(SYMBOL)
        assert not outcome.success
        assert outcome.gates_failed >= 1
        assert gate in (outcome.reason or "")
        # The good version is current, readable, and still the newest that the event log knows.
        assert project.current(asset, SYMBOL).sha256 == before[asset].sha256
        assert project.materializations(asset, SYMBOL)[0].metadata["sha256"].value == before[asset].sha256
        assert project.current(READER, SYMBOL).sha256 == before[READER].sha256
        # The candidate lies in quarantine, and its certificate says which gate and why.
        (refused,) = project.store.quarantined(asset, SYMBOL)
        assert gate in {verdict.gate for verdict in refused.failed_gates}
        assert all(verdict.message for verdict in refused.failed_gates)
        with pytest.raises(NotCertified):
            project.store.read(asset, SYMBOL, refused.sha256)


def test_reading_says_that_a_newer_candidate_was_refused(scene: Scene) -> None:
    outcome = scene.project.run_symbol(SYMBOL, *DOWNSTREAM)
    assert outcome.success, outcome.reason
    logged = [entry.user_message for entry in scene.project.instance.all_logs(outcome.run_id)]
    assert any(scene.good.sha256[:12] in line for line in logged)
    assert any(scene.leaked.sha256[:12] in line and "refused by gate causal" in line for line in logged)


# ------------------------------------------------------------------ every path that we could think of


def downstream_alone(scene: Scene) -> None:
    scene.run_reader()


def _failed_run(scene: Scene) -> str:
    job, tags = dg.reconstructable(leaky_job), {"dagster/partition": SYMBOL}
    run = dg.execute_job(job, scene.project.instance, tags=tags, raise_on_error=False, run_config=QUIET)
    assert not run.success
    return run.run_id


def _reexecute(scene: Scene, options: dg.ReexecutionOptions) -> dg.JobExecutionResult:
    return dg.execute_job(
        dg.reconstructable(leaky_job), scene.project.instance, reexecution_options=options,
        tags={"dagster/partition": SYMBOL}, raise_on_error=False, run_config=QUIET,
    )  # fmt: skip


def reexecution_of_the_steps_downstream(scene: Scene) -> None:
    options = dg.ReexecutionOptions(_failed_run(scene), step_selection=[f"{DOWNSTREAM[0]}*"])
    failed = [event.step_key for event in _reexecute(scene, options).get_step_failure_events()]
    # The score builds its folds anew from the prices, and the leaking code gives others: refused, too.
    assert failed == ["walk_forward_report"]


def reexecution_from_failure(scene: Scene) -> None:
    run_id = _failed_run(scene)
    result = _reexecute(scene, dg.ReexecutionOptions.from_failure(run_id, scene.project.instance))
    assert [event.step_key for event in result.get_step_failure_events()] == [LEAKY]


def selection_without_checks(scene: Scene) -> None:
    selection = dg.AssetSelection.assets(LEAKY, *DOWNSTREAM).without_checks()
    defs, job = scene.project.defs, dg.define_asset_job("unchecked", selection)
    unchecked = dg.Definitions(assets=defs.assets, resources=defs.resources, jobs=[job])
    # The gates are part of the asset's own op: Dagster rejects the selection itself.
    with pytest.raises((dg.DagsterInvalidDefinitionError, dg.DagsterInvalidSubsetError)):
        unchecked.resolve_job_def("unchecked")
    scene.run_reader()


def range_in_one_run(scene: Scene) -> None:
    tags = {"dagster/asset_partition_range_start": OTHER, "dagster/asset_partition_range_end": SYMBOL}
    result = scene.project.defs.resolve_job_def("symbol_pipeline").execute_in_process(
        instance=scene.project.instance, tags=tags, raise_on_error=False, run_config=QUIET
    )
    assert not result.success
    scene.run_reader()


def backfill_of_everything(scene: Scene) -> None:
    folder = Path(os.environ[ROOT])
    status = run_backfill(scene.project.instance, leaky_defs, folder, LEAKY, *DOWNSTREAM)
    assert status == BulkActionStatus.COMPLETED_FAILED
    assert scene.project.store.quarantined(LEAKY, OTHER), "the backfill did not even try"


def checks_reported_by_hand(scene: Scene) -> None:
    scene.report_checks()
    scene.run_reader()


def materialization_reported_by_hand(scene: Scene) -> None:
    scene.report_materialization()
    scene.run_reader()


def both_reported_by_hand(scene: Scene) -> None:
    scene.report_materialization()
    scene.report_checks()
    scene.run_reader()


def history_wiped_then_reported_by_hand(scene: Scene) -> None:
    scene.project.instance.wipe_assets([dg.AssetKey(LEAKY)])
    scene.move_into_versions(scene.forged(sealed=True))
    both_reported_by_hand(scene)


def materialized_by_an_op_of_another_job(scene: Scene) -> None:
    sha256 = scene.leaked.sha256

    @dg.op(out={})
    def claim() -> Iterator[dg.AssetMaterialization]:
        yield dg.AssetMaterialization(LEAKY, partition=SYMBOL, metadata={"sha256": sha256})

    @dg.job
    def claims() -> None:
        claim()

    assert claims.execute_in_process(instance=scene.project.instance, run_config=QUIET).success
    scene.move_into_versions(scene.forged(sealed=True))
    scene.report_checks()
    scene.run_reader()


def leaked_bytes_over_the_certified_file(scene: Scene) -> None:
    quarantined = Path(scene.project.store.location(scene.leaked))
    shutil.copy(quarantined, scene.project.store.location(scene.good))
    scene.run_reader()


def pointer_edited(scene: Scene) -> None:
    scene.point_to_leaked()
    scene.run_reader()


def moved_into_versions(scene: Scene) -> None:
    scene.move_into_versions()
    scene.point_to_leaked()
    scene.run_reader()


def certificate_forged_without_its_seal(scene: Scene) -> None:
    scene.move_into_versions(scene.forged(sealed=False))
    scene.point_to_leaked()
    with pytest.raises(NotCertified):
        scene.project.store.read(LEAKY, SYMBOL)
    both_reported_by_hand(scene)


def certificate_forged_with_its_seal(scene: Scene) -> None:
    scene.move_into_versions(scene.forged(sealed=True))
    scene.point_to_leaked()
    scene.run_reader()


def everything_forged_at_once(scene: Scene) -> None:
    """The store is entirely in the forger's hands; the event log still holds the gates' own verdicts."""
    scene.move_into_versions(scene.forged(sealed=True))
    scene.point_to_leaked()
    both_reported_by_hand(scene)


def sensor_tick(scene: Scene) -> None:
    assert not scene.project.tick("new_symbols").run_requests
    scene.run_reader()


# Whether the reader still reads version 1 afterwards, or, as the place was tampered with, nothing at all.
PATHS: dict[Callable[[Scene], None], bool] = {
    downstream_alone: True,
    reexecution_of_the_steps_downstream: True,
    reexecution_from_failure: False,  # it begins with the leaking step, and that fails again
    selection_without_checks: True,
    range_in_one_run: True,
    backfill_of_everything: False,
    checks_reported_by_hand: True,
    materialization_reported_by_hand: False,
    both_reported_by_hand: False,
    history_wiped_then_reported_by_hand: False,
    materialized_by_an_op_of_another_job: False,
    leaked_bytes_over_the_certified_file: False,
    pointer_edited: True,
    moved_into_versions: True,
    certificate_forged_without_its_seal: False,
    certificate_forged_with_its_seal: True,
    everything_forged_at_once: False,
    sensor_tick: True,
}


def sequences_behind(project: Project, materialization: dg.AssetMaterialization) -> str:
    """Version of the sequences from which a model was computed, by the certificates of its inputs."""
    sha256 = str(materialization.metadata["sha256"].value)
    _, weights = project.store.read(READER, SYMBOL, sha256)
    _, augmented = project.store.read(DOWNSTREAM[0], SYMBOL, weights.inputs[f"{DOWNSTREAM[0]}/{SYMBOL}"])
    return augmented.inputs[f"{LEAKY}/{SYMBOL}"]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.__name__)
def test_no_path_leads_the_leak_to_a_model(scene: Scene, path: Callable[[Scene], None]) -> None:
    project = scene.project
    before = len(project.materializations(READER, SYMBOL))
    path(scene)
    models = project.materializations(READER, SYMBOL)
    assert (len(models) > before) == PATHS[path]
    assert {sequences_behind(project, model) for model in models} == {scene.good.sha256}
    # Nor is there anything else, anywhere in the store, that names the leaked set as what it was made from.
    root = Path(project.settings.store_url)
    certificates = [json.loads(path.read_text()) for path in root.rglob("*.certificate.json")]
    assert len(certificates) > 2 * len(DOWNSTREAM)
    assert not [c for c in certificates if scene.leaked.sha256 in c["inputs"].values()]
