"""Processes of their own that materialize assets and are told to stop in the middle of a training."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ml_assets.pinn.resume import TrainingState
from tests.integration.recovering import SYMBOL, prepared

pytestmark = [
    pytest.mark.xdist_group("recovery"),
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="limits and signals of Linux"),
]

ROOT = Path(__file__).parents[2]
MANY_STEPS = 10**6


def start(*command: str, **settings: object) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment |= {f"ML_ASSETS_{name.upper()}": str(value) for name, value in settings.items()}
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [sys.executable, "-m", *command], cwd=ROOT, env=environment, stdout=pipe, stderr=pipe, text=True
    )


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project with a certified training set."""
    with prepared(tmp_path) as project:
        assert project.run_symbol(SYMBOL, "raw_prices", "split_sequences", "augmented_training_set").success
    return tmp_path


@pytest.mark.torture
def test_sigterm_in_the_middle_of_a_model_leaves_nothing_and_the_next_run_certifies(root: Path) -> None:
    process = start("tests.integration.recovering", "weights", str(root))
    assert process.stdout is not None
    assert any(line.strip() == "training" for line in process.stdout)
    time.sleep(0.5)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=120)
    # Whether Dagster or the training hears of it first decides how it ends, but never by the bare signal.
    assert process.returncode not in (0, -signal.SIGTERM), "it ends in an orderly way, its locks given back"
    with prepared(root) as project:
        assert project.store.current("mamba_weights", SYMBOL) is None
        assert not list(root.rglob(".tmp-*"))
        assert project.run_symbol(SYMBOL, "mamba_weights").success
        assert project.current("mamba_weights", SYMBOL).events == ()


def wait_for(condition: Callable[[], bool], seconds: float = 120.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.1)


def test_sigterm_in_the_middle_of_an_option_network_is_resumable(tmp_path: Path) -> None:
    def newest() -> int:
        names = sorted(path.name for path in (tmp_path / "checkpoints").rglob("*.npz"))
        return int(names[-1].split("-")[1]) if names else 0

    def seconds() -> float:
        path = max((tmp_path / "checkpoints").rglob("*.npz"), key=lambda path: path.name)
        return TrainingState.from_bytes(path.read_bytes()).seconds

    stopped_at, spent = [0], [0.0]
    for _ in range(2):
        process = start(
            "orchestration.cli", "options", home=tmp_path, pinn_adam_steps=MANY_STEPS, pinn_soft=False
        )
        wait_for(lambda: newest() > stopped_at[-1])  # a checkpoint every five seconds
        seen = newest()
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=120)
        assert process.returncode in (130, 143), out + err
        assert newest() >= seen, "the state of the last step was saved"
        stopped_at.append(newest())
        spent.append(seconds())
    assert stopped_at[2] > stopped_at[1] > 0
    assert spent[2] > spent[1] + 4.0, "the second run went on where the first one stood"
