"""Running the fleet in one process: a failure is an outcome with its innermost reason."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from ml_assets.storage import ArtifactStore
from orchestration.fleet.run import register_symbols, run_job
from orchestration.instance import open_instance, prepare_home
from orchestration.partitions import SYMBOLS
from orchestration.settings import Settings
from tests.unit.orchestration.toy import definitions


@pytest.fixture(scope="module")
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        register_symbols(instance, ["APPLE", "B", "X1", "7", "CRASH"])
        yield instance


def test_symbols_are_added_once_and_none_is_lost() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        for symbols in (["A", "B"], ["B", "C"], [], ["A"]):
            register_symbols(instance, symbols)
        assert sorted(instance.get_dynamic_partitions(str(SYMBOLS.name))) == ["A", "B", "C"]


def test_passing_run(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    outcome = run_job(definitions(tmp_path), instance, "words", partition="APPLE")
    assert (outcome.job, outcome.partition, outcome.success) == ("words", "APPLE", True)
    assert (outcome.gates_passed, outcome.gates_failed) == (2, 0)
    assert (outcome.reason, outcome.quarantine) == (None, None)
    run = instance.get_run_by_id(outcome.run_id)
    assert run is not None  # the UI shows it
    assert run.is_success


def test_settings_in_force_stand_in_tags_metadata_and_certificate(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    outcome = run_job(definitions(tmp_path, epochs=3), instance, "words", partition="APPLE")
    run = instance.get_run_by_id(outcome.run_id)
    assert run is not None
    assert run.tags["gated-mamba/settings"] == "epochs=3"
    newest = instance.get_latest_materialization_event(dg.AssetKey("word"))
    assert newest is not None
    assert newest.asset_materialization is not None
    assert newest.asset_materialization.metadata["settings_changed"].value == {"epochs": "3"}
    certificate = ArtifactStore(tmp_path).current("word", "APPLE")
    assert certificate is not None
    assert certificate.settings == Settings(epochs=3).in_force()


def test_refused_run_names_the_gates_that_refused(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    one = run_job(definitions(tmp_path), instance, "words", partition="B")
    assert (one.success, one.gates_passed, one.gates_failed) == (False, 1, 1)
    assert one.reason == "word, gate long_enough: 1 letters"
    both = run_job(definitions(tmp_path), instance, "words", partition="7")
    assert both.reason == "word, gate long_enough: 1 letters; word, gate spelled: looked at [7]"
    assert both.quarantine is not None
    assert Path(both.quarantine).exists()


def test_crash_names_its_innermost_cause(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    outcome = run_job(definitions(tmp_path), instance, "words", partition="CRASH")
    assert (outcome.success, outcome.gates_passed, outcome.gates_failed) == (False, 0, 0)
    assert outcome.reason == "word: OSError: disk [/dev/sda] is gone"


def test_one_bad_symbol_does_not_stop_the_others(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    defs = definitions(tmp_path)
    outcomes = [run_job(defs, instance, "words", partition=p) for p in ("CRASH", "7", "APPLE")]
    assert [outcome.success for outcome in outcomes] == [False, False, True]


def test_home_is_written_once_and_then_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", "")
    settings = Settings(home=tmp_path / "var")
    prepare_home(settings)
    config = settings.dagster_home / "dagster.yaml"
    assert "enabled: false" in config.read_text()
    config.write_text("telemetry:\n  enabled: false\n# mine\n")
    with open_instance(settings) as instance:
        assert instance.root_directory == str(settings.dagster_home)
    assert "# mine" in config.read_text()
