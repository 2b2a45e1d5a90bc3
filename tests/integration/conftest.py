"""One run of the real command on a folder of a user's files, looked at by several modules."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from ml_assets.prices import PriceHistory
from ml_assets.prices.simulated import price_history, simulate
from orchestration.settings import Settings
from tests.integration.project import Project

__all__ = [
    "SETTINGS",
    "UNEVEN_DAYS",
    "FolderRun",
    "command",
    "copied",
    "folder_run",
    "uneven",
    "variance_run",
]

DAYS, SHORT_DAYS, UNEVEN_DAYS = 1300, 400, 2500
CALM, ROUGH = 0.7, 1.3
# The edge is far above what daily prices have: few days and few epochs suffice to find it. Its market is of
# the kind that no baseline can follow, and the limit above which skill is taken for a leak is lifted for it.
SETTINGS = {
    "epochs": 40,
    "test_days": 500,
    "folds": 2,
    "quarantine_accuracy": 0.95,
    "pinn_adam_steps": 300,
    "pinn_soft": False,
    "latency_batch": 64,
    "pinn_bfgs_iterations": 4500,  # enough for the gates on any machine: 3000 end at 1.0e-8, the limit
}


@dataclass(frozen=True)
class FolderRun:
    """A finished ``gated-mamba run``."""

    project: Project
    exit_code: int
    output: str
    errors: str


def command(*arguments: str, folder: Path, **settings: object) -> subprocess.CompletedProcess[str]:
    """Run ``gated-mamba`` as a user would, with settings in the environment."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ML_ASSETS_")}
    environment |= {f"ML_ASSETS_{name.upper()}": str(value) for name, value in settings.items()}
    environment["PYTHONPATH"] = str(Path(__file__).parents[2])
    return subprocess.run(
        [sys.executable, "-m", "orchestration.cli", *arguments],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


def write_prices(folder: Path) -> None:
    """Two good files, a header without rows, a word in a cell of prices, a file too short."""
    folder.mkdir()
    edge = simulate("product", DAYS, best_accuracy=0.85, seed=3).prices.frame
    walk = simulate("random_walk", DAYS, seed=1).prices.frame
    edge.rename_axis("Date").rename(columns=str.capitalize).to_csv(folder / "EDGE.csv")
    walk.rename_axis("Date").rename(columns=str.capitalize).to_csv(folder / "WALK.csv")
    walk.iloc[:SHORT_DAYS].to_csv(folder / "SHORT.csv")
    (folder / "EMPTY.csv").write_text("Date,Close\n")
    text = walk["close"].map("{:.4f}".format).to_frame("Close").rename_axis("Date")
    text.iloc[40, 0] = "twelve"
    text.to_csv(folder / "WORDS.csv")


@pytest.fixture(scope="session")
def folder_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FolderRun]:
    root = tmp_path_factory.mktemp("folder_run")
    write_prices(root / "prices")
    settings: Mapping[str, object] = {"home": root / "var", "prices": root / "prices", **SETTINGS}
    done = command("run", folder=root, **settings)
    with dg.DagsterInstance.from_config(str(root / "var" / "dagster")) as instance:
        project = Project(root, instance, Settings(**{**settings, "prices": str(root / "prices")}), {})
        yield FolderRun(project, done.returncode, done.stdout, done.stderr)


def uneven(days: int, *, turned_from: int | None = None) -> PriceHistory:
    """A market that is rough after a fall and calm after a rise; from a day on, the other way round.

    Milder than the control: above a gain of 0.2 nats a model is taken for a leak.
    """
    noise = np.random.default_rng(5).standard_normal(days)
    fell = np.concatenate([[False], noise[:-1] < 0])
    rough = np.where(np.arange(days) < (days if turned_from is None else turned_from), fell, ~fell)
    closes = 100 * np.exp(np.cumsum(0.015 * np.where(rough, ROUGH, CALM) * noise))
    index = pd.bdate_range("2000-01-03", periods=days, name="date").astype("datetime64[ns]")
    return price_history("UNEVEN", pd.DataFrame({"close": closes}, index=index))


@contextmanager
def copied(run: FolderRun, root: Path) -> Iterator[FolderRun]:
    """A finished run in a folder of its own, to go on with."""
    for folder in ("var", "prices"):
        shutil.copytree(run.project.root / folder, root / folder)
    moved = {"home": root / "var", "prices": str(root / "prices")}
    with dg.DagsterInstance.from_config(str(root / "var" / "dagster")) as instance:
        settings = run.project.settings.model_copy(update=moved)
        yield replace(run, project=Project(root, instance, settings, {}))


@pytest.fixture(scope="session")
def variance_run(folder_run: FolderRun, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FolderRun]:
    """That fleet after ``gated-mamba volatility`` of a walk, a short history and a market to be learnt."""
    root = tmp_path_factory.mktemp("variance_run")
    with copied(folder_run, root) as run:
        frame = uneven(UNEVEN_DAYS).frame.rename_axis("Date").rename(columns=str.capitalize)
        frame.to_csv(root / "prices" / "UNEVEN.csv")
        settings = {**SETTINGS, "home": root / "var", "prices": root / "prices", "workers": 1}
        done = command("volatility", folder=root, symbols="SHORT,WALK,UNEVEN", **settings)
        yield FolderRun(run.project, done.returncode, done.stdout, done.stderr)
