"""A training that was interrupted goes on to the bit, from whole states of its own recipe only."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from ml_assets.pinn import PinnRecipe, PinnWeights
from ml_assets.pinn.bfgs import BfgsState, InverseHessian

training = pytest.importorskip("ml_assets.pinn.training")
resume = pytest.importorskip("ml_assets.pinn.resume")

TINY = PinnRecipe(adam_steps=20, bfgs_iterations=40, points=128, width=6, resample_every=15)


class KilledError(Exception):
    """As sudden as a signal, but inside one process."""


@pytest.fixture(scope="module")
def unbroken() -> bytes:
    return training.train_pinn(TINY).to_bytes()


def broken_at(step: int, folder: Path, recipe: PinnRecipe = TINY) -> None:
    """Train with a checkpoint after every step, and die when the checkpoint of this step is written."""
    written = resume.CheckpointFolder.save

    def save(self, state):  # type: ignore[no-untyped-def]
        written(self, state)
        if state.epoch == step:
            raise KilledError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resume.CheckpointFolder, "save", save)
        with pytest.raises(KilledError):
            training.train_pinn(recipe, checkpoint_dir=folder, checkpoint_seconds=0.0)


def resumed(folder: Path, recipe: PinnRecipe = TINY) -> PinnWeights:
    return training.train_pinn(recipe, checkpoint_dir=folder, checkpoint_seconds=0.0)


# In the first phase, at its end, in the second, before and at a draw of new points, at the last step.
@pytest.mark.parametrize("step", [1, 20, 21, 34, 35, 60])
def test_broken_training_ends_with_the_bytes_of_an_unbroken_one(
    step: int, unbroken: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broken_at(step, tmp_path)
    with caplog.at_level(logging.INFO):
        assert resumed(tmp_path).to_bytes() == unbroken
    assert f"after step {step}" in caplog.text
    assert list(tmp_path.iterdir()) == [], "checkpoints are removed when the training is complete"


def test_broken_many_times(unbroken: bytes, tmp_path: Path) -> None:
    for step in (3, 20, 30, 47):
        broken_at(step, tmp_path)
    assert resumed(tmp_path).to_bytes() == unbroken


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


@pytest.mark.parametrize("damage", [_cut, _flip])
@pytest.mark.parametrize("every_one", [False, True])
def test_damaged_checkpoint_falls_back(
    damage: Callable[[Path], None],
    every_one: bool,
    unbroken: bytes,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    broken_at(30, tmp_path)
    paths = sorted(tmp_path.rglob("*.npz"))
    assert len(paths) == 3
    for path in paths if every_one else paths[-1:]:
        damage(path)
    with caplog.at_level(logging.INFO):
        assert resumed(tmp_path).to_bytes() == unbroken
    assert "is damaged" in caplog.text
    assert ("resuming" in caplog.text) != every_one
    assert "after step 29" in caplog.text or every_one


@pytest.mark.parametrize(
    "other", [replace(TINY, seed=1), replace(TINY, points=64), replace(TINY, bfgs_iterations=41)]
)
def test_another_recipe_never_resumes(
    other: PinnRecipe, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    expected = training.train_pinn(other).to_bytes()
    broken_at(30, tmp_path)
    with caplog.at_level(logging.INFO):
        assert resumed(tmp_path, other).to_bytes() == expected
    assert "resuming" not in caplog.text
    assert len(list(tmp_path.rglob("*.npz"))) == 3, "the other training's states stay"


@pytest.fixture
def default_sigterm() -> Iterator[None]:
    """Undo what earlier tests of this process left: Dagster lets SIGTERM act as Ctrl-C."""
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.usefixtures("default_sigterm")
def test_sigterm_saves_then_acts(unbroken: bytes, tmp_path: Path) -> None:
    def terminate(progress: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(SystemExit, match="143"):  # checkpoint_seconds is long: it is the signal that saves
        training.train_pinn(TINY, terminate, checkpoint_dir=tmp_path)
    (path,) = tmp_path.rglob("*.npz")
    assert "epoch-000050" in path.name
    assert resumed(tmp_path).to_bytes() == unbroken


def test_a_handler_of_the_program_is_told(tmp_path: Path) -> None:
    told = []
    before = signal.signal(signal.SIGTERM, lambda signum, _: told.append(signum))
    try:
        with pytest.raises(InterruptedError, match="SIGTERM; run it again"):
            training.train_pinn(TINY, lambda _: signal.raise_signal(signal.SIGTERM), checkpoint_dir=tmp_path)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert told == [signal.SIGTERM]


def test_progress_counts_the_time_of_the_interrupted_run(tmp_path: Path) -> None:
    broken_at(30, tmp_path)
    (path, *_) = sorted(tmp_path.rglob("*.npz"), reverse=True)
    spent = resume.TrainingState.from_bytes(path.read_bytes()).seconds
    reports: list[training.Progress] = []
    training.train_pinn(TINY, reports.append, checkpoint_dir=tmp_path)
    assert reports[0].step == 50
    assert reports[0].seconds > spent > 0


def test_negative_pause_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="checkpoint_seconds is -1"):
        training.train_pinn(TINY, checkpoint_dir=tmp_path, checkpoint_seconds=-1)


@pytest.mark.parametrize("data", [b"", b"no archive"])
def test_other_bytes_are_no_state(data: bytes) -> None:
    with pytest.raises(ValueError, match="not a readable array file"):
        resume.TrainingState.from_bytes(data)


def test_state_of_another_version_is_refused() -> None:
    from ml_assets.npz import pack

    with pytest.raises(ValueError, match="not the state of a PINN training"):
        resume.TrainingState.from_bytes(pack({}, {"phase": "adam", "optimizer": {}, "rest": {}}))


def test_state_survives_encoding_to_the_bit() -> None:
    rng = np.random.default_rng(0)
    hessian = InverseHessian(5, 0.3)
    hessian.update(rng.normal(size=5), rng.normal(size=5) ** 2, 0.7)
    bfgs = BfgsState(rng.normal(size=5), rng.normal(size=5), *hessian.pack(), 1e-17, None, 7, 9, 1)
    state = resume.TrainingState(27, bfgs, 3, float("nan"), 1.5, ((20.0, 0.1),))
    again = resume.TrainingState.from_bytes(state.to_bytes())
    assert again.to_bytes() == state.to_bytes()
    restored = InverseHessian.unpack(again.optimizer.inverse, again.optimizer.gamma, 5)
    np.testing.assert_array_equal(restored.dense(), hessian.dense())


def test_training_uses_one_blas_thread_whatever_the_process_does(
    unbroken: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: set[int] = set()

    def look(_: object) -> None:
        seen.update(library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas")

    with threadpool_limits(2, user_api="blas"):
        assert training.train_pinn(TINY, look).to_bytes() == unbroken
    assert seen == {1}


def test_in_another_thread_signals_are_left_alone(unbroken: bytes, tmp_path: Path) -> None:
    found: list[bytes] = []
    thread = threading.Thread(target=lambda: found.append(resumed(tmp_path).to_bytes()))
    thread.start()
    thread.join()
    assert found == [unbroken]
