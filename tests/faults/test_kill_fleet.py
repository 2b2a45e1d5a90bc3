"""A run over the fleet that is killed goes on where it stopped: real commands, real job, real kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import psutil
import pytest

from ml_assets.forecasts.controls import EDGE, VARIANCE, WALK
from ml_assets.forecasts.direction import WalkForwardReport
from ml_assets.forecasts.variance import VolatilityReport
from ml_assets.prices.simulated import simulate
from ml_assets.storage import ArtifactStore, Certificate, NotCertified
from orchestration import pipelines
from orchestration.partitions import PARTITION

ROOT = Path(__file__).parents[2]
SETTINGS = {
    "symbols": "AAA", "minimum_rows": 250, "test_days": 60, "folds": 1, "epochs": 3, "workers": 2,
    "pinn_soft": False, "pinn_adam_steps": 1, "pinn_bfgs_iterations": 0, "latency_batch": 64,
}  # fmt: skip
COMMAND = [sys.executable, "-m", "orchestration.cli"]
JOB = [sys.executable, "-m", "dagster", "job", "execute", "-m", "orchestration.definitions", "-j"]
DIRECTION, UNCERTAIN = ("AAA", EDGE, WALK), ("AAA", VARIANCE, WALK)
GOES_ON = "which was stopped: what it has certified is kept"


@contextmanager
def started(arguments: Sequence[str], folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Start a command as a user would, its output in files."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ML_ASSETS_")}
    settings = {**SETTINGS, "home": folder / "var", "prices": folder / "prices"}
    environment |= {f"ML_ASSETS_{name.upper()}": str(value) for name, value in settings.items()}
    environment |= {"PYTHONPATH": str(ROOT), "DAGSTER_HOME": str(folder / "var" / "dagster")}
    with (folder / "output").open("w") as output:
        process = subprocess.Popen(
            arguments, cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT, text=True
        )
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def runs(folder: Path, *statuses: dg.DagsterRunStatus, **filters: str) -> list[dg.DagsterRun]:
    with dg.DagsterInstance.from_config(str(folder / "var" / "dagster")) as instance:
        return list(instance.get_runs(dg.RunsFilter(statuses=list(statuses) or None, **filters)))


def certified(folder: Path, assets: Sequence[str], symbols: Sequence[str]) -> Mapping[str, Certificate]:
    store = ArtifactStore(str(folder / "var" / "store"))
    found = {}
    for asset in assets:
        for symbol in symbols:
            try:
                certificate = store.current(asset, symbol)
            except NotCertified:
                continue
            if certificate is not None:
                found[f"{asset} {symbol}"] = certificate
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "job", "assets", "symbols"),
    [
        ([*COMMAND, "run"], "symbol_pipeline", (*pipelines.DATA, *pipelines.MODEL), DIRECTION),
        pytest.param(
            [*COMMAND, "volatility"],
            "volatility_pipeline",
            pipelines.VARIANCE,
            UNCERTAIN,
            marks=pytest.mark.torture,
        ),
        ([*JOB, "fleet_update"], "symbol_pipeline", (*pipelines.DATA, *pipelines.MODEL), DIRECTION),
    ],
    ids=["run", "volatility", "fleet_update"],
)
def test_a_killed_run_goes_on_where_it_stopped(
    arguments: list[str], job: str, assets: Sequence[str], symbols: Sequence[str], tmp_path: Path
) -> None:
    (tmp_path / "prices").mkdir()
    frame = simulate("random_walk", 500, seed=0).prices.frame
    frame.rename_axis("date").to_csv(tmp_path / "prices" / "AAA.csv")
    (tmp_path / "var" / "dagster").mkdir(parents=True)
    runs(tmp_path)  # makes the tables, which two processes must not do at once

    with started(arguments, tmp_path) as process:
        finished = _wait_for_a_report(process, tmp_path, job, assets[-1])
        children = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        assert psutil.wait_procs(children, timeout=20)[1] == []  # they end with it
    before = certified(tmp_path, assets, [finished])
    assert len(before) == len(assets)
    assert f"{assets[-1]} {symbols[-1]}" not in certified(tmp_path, assets, symbols)

    with started(arguments, tmp_path) as process:
        process.wait(timeout=300)
    output = (tmp_path / "output").read_text()
    assert GOES_ON in output
    assert "symbols kept from the stopped run" in output
    after = certified(tmp_path, assets, symbols)
    assert len(after) == len(assets) * len(symbols)
    assert {name: after[name] for name in before} == before  # neither made nor published again
    assert runs(tmp_path, dg.DagsterRunStatus.STARTED) == []
    assert not list((tmp_path / "var" / "unfinished").iterdir())
    _require_first_attempts(tmp_path, assets[-1], symbols)


def _wait_for_a_report(process: subprocess.Popen[str], folder: Path, job: str, report: str) -> str:
    """Wait until a symbol's last run has succeeded; its name."""
    while process.poll() is None:
        time.sleep(0.05)
        if (folder / "var" / "dagster" / "history").exists():
            for run in runs(folder, dg.DagsterRunStatus.SUCCESS, job_name=job):
                if run.asset_selection and dg.AssetKey(report) in run.asset_selection:
                    return run.tags[PARTITION]
    raise AssertionError((folder / "output").read_text())


def _require_first_attempts(folder: Path, report: str, symbols: Sequence[str]) -> None:
    store = ArtifactStore(str(folder / "var" / "store"))
    kind = VolatilityReport if report == "volatility_report" else WalkForwardReport
    for symbol in symbols:
        (made,) = store.versions(report, symbol)
        assert kind.from_bytes(store.read(report, symbol, made.sha256)[0]).attempt == 1
