"""``gated-mamba run`` on a user's own files: good ones go through, bad ones are named, no traceback."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestration.cli.commands import run_quotes
from orchestration.definitions import ASSETS
from orchestration.gating import collect_gates
from orchestration.pipelines import JOBS
from tests.integration.conftest import FolderRun, command

pytestmark = pytest.mark.xdist_group("pipeline")


def test_one_bad_symbol_does_not_fail_the_run(folder_run: FolderRun) -> None:
    assert folder_run.exit_code == 0, folder_run.output + folder_run.errors
    assert "Traceback" not in folder_run.output + folder_run.errors


@pytest.mark.parametrize("symbol", ["EDGE", "WALK"])
def test_good_files_go_through(folder_run: FolderRun, symbol: str) -> None:
    gates = sum(
        len(gates) for asset, gates in collect_gates(ASSETS).items() if asset in JOBS["symbol_pipeline"]
    )
    assert f"{symbol}: {gates} gates passed" in folder_run.output
    assert folder_run.project.current("walk_forward_report", symbol).passed


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param(["EMPTY.csv", "no rows", "Download it again"], id="header only"),
        pytest.param(
            ["WORDS.csv", "row 42", "'Close'", "'twelve'", "Correct the cell"], id="a word for a price"
        ),
        pytest.param(
            ["SHORT", "sufficiency", "400 days", "1000 are needed", "longer history"], id="too short"
        ),
    ],
)
def test_bad_files_are_refused_with_place_and_remedy(folder_run: FolderRun, parts: list[str]) -> None:
    text = " ".join(folder_run.output.split())  # the console wraps
    assert all(part in text for part in parts), text


@pytest.mark.parametrize("symbol", ["SHORT", "WORDS", "EMPTY"])
def test_bad_files_leave_nothing_certified(folder_run: FolderRun, symbol: str) -> None:
    store = folder_run.project.store
    assert not store.versions("raw_prices", symbol)
    assert bool(store.quarantined("raw_prices", symbol)) == (symbol == "SHORT")


def test_option_network_was_trained_beside_and_measured(folder_run: FolderRun) -> None:
    latency = folder_run.project.current("latency_benchmark")
    assert latency.inputs == {"pinn_weights": folder_run.project.current("pinn_weights").sha256}
    assert "option quotes with Greeks: p95" in folder_run.output


def test_simulated_quotes_say_so_everywhere(folder_run: FolderRun) -> None:
    """No folder of quotes was set: title, file names, metadata and the closing lines name the simulation."""
    project = folder_run.project
    walk = project.current("option_walk_forward")
    versions = {name: project.current(name).sha256 for name in ("option_quotes", "pinn_weights")}
    assert walk.inputs == versions
    pages = project.root / "var" / "store" / "reports" / "options"
    assert sorted(path.name for path in pages.iterdir()) == [
        f"SIMULATED_option_walk_forward{end}" for end in (".md", "_by_day.png", "_by_kind.png")
    ]
    page = (pages / "SIMULATED_option_walk_forward.md").read_text()
    assert page.startswith("# SIMULATED: ")
    assert "measures the forecast of volatility, not the network" in page
    assert versions["pinn_weights"][:12] in page
    for asset in ("option_quotes", "option_walk_forward"):
        assert project.materializations(asset)[0].metadata["quotes_are"].value == "SIMULATED"
    assert "SIMULATED prices on 39 days" in " ".join(folder_run.output.split())


def test_quotes_alone_and_a_folder_that_is_missing(
    folder_run: FolderRun, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = folder_run.project.settings
    assert run_quotes(settings) == 0
    assert "| smile model |" in capsys.readouterr().out
    missing = settings.model_copy(update={"options": "no/such/folder"})
    assert run_quotes(missing) == 1
    text = " ".join(capsys.readouterr().out.split())
    assert "no/such/folder does not exist; create it or correct ML_ASSETS_OPTIONS" in text


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        pytest.param(
            {"prices": "no/such/folder"},
            ["no/such/folder", "nor a folder that exists", "create the folder"],
            id="no folder",
        ),
        pytest.param({"prices": "empty"}, ["no symbol", "empty"], id="empty folder"),
        pytest.param({"prices": "bad"}, ["no symbol", "BAD.csv", "no rows"], id="only bad files"),
        pytest.param(
            {"symbols": "AAPL,NOPE"}, ["symbols not found", "NOPE", "Available: AAPL"], id="unknown symbol"
        ),
        pytest.param(
            {"epochs": "many"}, ["epochs", "integer", "'many'", "correct ML_ASSETS_"], id="no number"
        ),
        pytest.param({"split": "1.5"}, ["split", "less than 1", "correct ML_ASSETS_"], id="out of range"),
        pytest.param({"prices": " "}, ["prices is empty", "name a folder"], id="blank"),
    ],
)
def test_a_users_mistake_is_explained(tmp_path: Path, settings: dict[str, str], said: list[str]) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "BAD.csv").write_text("Date,Close\n")
    done = command("run", folder=tmp_path, home=tmp_path / "var", **settings)
    text = " ".join((done.stdout + done.stderr).split())
    assert done.returncode == 2, text
    assert all(part in text for part in said), text
    assert "Traceback" not in text


def test_a_misspelled_setting_in_the_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text("epoch = 3\n")
    done = command("run", folder=tmp_path, home=tmp_path / "var")
    assert done.returncode == 2
    assert "epoch" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_broken_settings_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text("epochs = = 3\n")
    done = command("run", folder=tmp_path, home=tmp_path / "var")
    assert done.returncode == 2, done.stderr
    assert "settings.toml" in done.stderr
    assert "Traceback" not in done.stderr
