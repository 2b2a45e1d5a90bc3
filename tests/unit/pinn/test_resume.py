"""A training that was interrupted goes on to the bit, from whole states of its own recipe only."""

from __future__ import annotations

import functools
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from ml_assets.pinn import PinnRecipe
from ml_assets.pinn.american import AmericanRecipe
from ml_assets.pinn.bfgs import BfgsState, InverseHessian
from ml_assets.pinn.progress import Progress, ProgressCallback
from ml_assets.pinn.recipe import TrainingRecipe

european = pytest.importorskip("ml_assets.pinn.european.training")
american = pytest.importorskip("ml_assets.pinn.american.training")
resume = pytest.importorskip("ml_assets.pinn.resume")

TINY = PinnRecipe(adam_steps=20, bfgs_iterations=40, points=128, width=6, resample_every=15)
# With seed 1 no line search fails: a step that fails leaves no state.
TINY_AMERICAN = AmericanRecipe(
    adam_steps=20, bfgs_iterations=40, points=128, seed=1, nodes=8, width=6, resample_every=15
)


class KilledError(Exception):
    """As sudden as a signal, but inside one process."""


def train(recipe: TrainingRecipe, progress: ProgressCallback | None = None, **keep: object) -> bytes:
    """Bytes of the network of either kind."""
    trainer = european.train_pinn if isinstance(recipe, PinnRecipe) else american.train_american
    return trainer(recipe, progress, **keep).to_bytes()


@functools.cache
def whole(recipe: TrainingRecipe) -> bytes:
    """What a training ends with that nothing has broken."""
    return train(recipe)


@pytest.fixture(params=[TINY, TINY_AMERICAN], ids=["european", "american"])
def tiny(request: pytest.FixtureRequest) -> TrainingRecipe:
    """Each kind in turn."""
    return request.param


def broken_at(step: int, folder: Path, recipe: TrainingRecipe = TINY) -> None:
    """Train with a checkpoint after every step, and die when the checkpoint of this step is written."""
    written = resume.CheckpointFolder.save

    def save(self, state):  # type: ignore[no-untyped-def]
        written(self, state)
        if state.epoch == step:
            raise KilledError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resume.CheckpointFolder, "save", save)
        with pytest.raises(KilledError):
            train(recipe, checkpoint_dir=folder, checkpoint_seconds=0.0)


def resumed(folder: Path, recipe: TrainingRecipe = TINY) -> bytes:
    return train(recipe, checkpoint_dir=folder, checkpoint_seconds=0.0)


# In the first phase, at its end, in the second, before and at a draw of new points, at the last step.
@pytest.mark.parametrize("step", [1, 20, 21, 34, 35, 60])
def test_broken_training_ends_with_the_bytes_of_an_unbroken_one(
    step: int, tiny: TrainingRecipe, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broken_at(step, tmp_path, tiny)
    with caplog.at_level(logging.INFO):
        assert resumed(tmp_path, tiny) == whole(tiny)
    assert f"after step {step}" in caplog.text
    assert list(tmp_path.iterdir()) == [], "checkpoints are removed when the training is complete"


def test_broken_many_times(tiny: TrainingRecipe, tmp_path: Path) -> None:
    for step in (3, 20, 30, 47):
        broken_at(step, tmp_path, tiny)
    assert resumed(tmp_path, tiny) == whole(tiny)


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
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    broken_at(30, tmp_path)
    paths = sorted(tmp_path.rglob("*.npz"))
    assert len(paths) == 3
    for path in paths if every_one else paths[-1:]:
        damage(path)
    with caplog.at_level(logging.INFO):
        assert resumed(tmp_path) == whole(TINY)
    assert "is damaged" in caplog.text
    assert ("resuming" in caplog.text) != every_one
    assert "after step 29" in caplog.text or every_one


@pytest.mark.parametrize(
    "other",
    [replace(TINY, seed=1), replace(TINY, points=64), replace(TINY, bfgs_iterations=41), TINY_AMERICAN],
)
def test_another_recipe_never_resumes(
    other: TrainingRecipe, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    broken_at(30, tmp_path)
    with caplog.at_level(logging.INFO):
        assert resumed(tmp_path, other) == whole(other)
    assert "resuming" not in caplog.text
    assert len(list(tmp_path.rglob("*.npz"))) == 3, "the other training's states stay"


@pytest.mark.parametrize(("mine", "other"), [(TINY, TINY_AMERICAN), (TINY_AMERICAN, TINY)])
def test_state_of_the_other_kind_is_refused_where_it_fits_by_name(
    mine: TrainingRecipe, other: TrainingRecipe, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Moved into the folder of a network with as many parameters, it is still not its own."""
    broken_at(30, tmp_path, mine)
    (folder,) = tmp_path.iterdir()
    states = [resume.TrainingState.from_bytes(path.read_bytes()) for path in folder.iterdir()]
    size = states[0].optimizer.x.size
    with resume.keeping(tmp_path, other, 0.0) as keeper:
        folder.rename(tmp_path / keeper.training)
        with caplog.at_level(logging.INFO):
            assert keeper.latest(size) is None
        assert "belongs to another model" in caplog.text
        keeper.save(replace(states[0], training=keeper.training, epoch=31))
        assert keeper.latest(size) is not None, "it is the name of the training that decides"


def test_two_kinds_of_equal_values_have_different_names(tmp_path: Path) -> None:
    @dataclass(frozen=True)
    class Twin(PinnRecipe):
        pass

    names = []
    for recipe in (TINY, Twin(**vars(TINY))):
        with resume.keeping(tmp_path, recipe, 0.0) as keeper:
            names.append(keeper.training)
    assert names[0] != names[1]


@pytest.fixture
def default_sigterm() -> Iterator[None]:
    """Undo what earlier tests of this process left: Dagster lets SIGTERM act as Ctrl-C."""
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.usefixtures("default_sigterm")
@pytest.mark.parametrize("adam_steps", [20, 55])
def test_sigterm_saves_then_acts(adam_steps: int, tiny: TrainingRecipe, tmp_path: Path) -> None:
    """The first report comes after step 50: in the second phase, or in a longer first one."""
    recipe, phases = replace(tiny, adam_steps=adam_steps), []

    def terminate(progress: Progress) -> None:
        phases.append(progress.phase)
        os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(SystemExit, match="143"):  # checkpoint_seconds is long: it is the signal that saves
        train(recipe, terminate, checkpoint_dir=tmp_path)
    assert phases == ["bfgs" if adam_steps < 50 else "adam"]
    (path,) = tmp_path.rglob("*.npz")
    assert "epoch-000050" in path.name
    assert resumed(tmp_path, recipe) == whole(recipe)


def test_a_handler_of_the_program_is_told(tmp_path: Path) -> None:
    told = []
    before = signal.signal(signal.SIGTERM, lambda signum, _: told.append(signum))
    try:
        with pytest.raises(InterruptedError, match="SIGTERM; run it again"):
            train(TINY, lambda _: signal.raise_signal(signal.SIGTERM), checkpoint_dir=tmp_path)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert told == [signal.SIGTERM]


def test_progress_counts_the_time_of_the_interrupted_run(tmp_path: Path) -> None:
    broken_at(30, tmp_path)
    (path, *_) = sorted(tmp_path.rglob("*.npz"), reverse=True)
    spent = resume.TrainingState.from_bytes(path.read_bytes()).seconds
    reports: list[Progress] = []
    train(TINY, reports.append, checkpoint_dir=tmp_path)
    assert reports[0].step == 50
    assert reports[0].seconds > spent > 0


def test_negative_pause_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="checkpoint_seconds is -1"):
        train(TINY, checkpoint_dir=tmp_path, checkpoint_seconds=-1)


@pytest.mark.parametrize("data", [b"", b"no archive"])
def test_other_bytes_are_no_state(data: bytes) -> None:
    with pytest.raises(ValueError, match="not a readable array file"):
        resume.TrainingState.from_bytes(data)


def test_state_of_another_version_is_refused() -> None:
    from ml_assets.storage.arrays import pack

    with pytest.raises(ValueError, match="not the state of a PINN training"):
        resume.TrainingState.from_bytes(pack({}, {"phase": "adam", "optimizer": {}, "rest": {}}))


def test_state_survives_encoding_to_the_bit() -> None:
    rng = np.random.default_rng(0)
    hessian = InverseHessian(5, 0.3)
    hessian.update(rng.normal(size=5), rng.normal(size=5) ** 2, 0.7)
    bfgs = BfgsState(rng.normal(size=5), rng.normal(size=5), *hessian.pack(), 1e-17, None, 7, 9, 1)
    state = resume.TrainingState("PinnRecipe-0", 27, bfgs, 3, float("nan"), 1.5, ((20.0, 0.1),))
    again = resume.TrainingState.from_bytes(state.to_bytes())
    assert again.to_bytes() == state.to_bytes()
    restored = InverseHessian.unpack(again.optimizer.inverse, again.optimizer.gamma, 5)
    np.testing.assert_array_equal(restored.dense(), hessian.dense())


def test_training_uses_one_blas_thread_whatever_the_process_does(
    tiny: TrainingRecipe,
) -> None:
    seen: set[int] = set()

    def look(_: object) -> None:
        seen.update(library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas")

    with threadpool_limits(2, user_api="blas"):
        assert train(tiny, look) == whole(tiny)
    assert seen == {1}


def test_in_another_thread_signals_are_left_alone(tmp_path: Path) -> None:
    found: list[bytes] = []
    thread = threading.Thread(target=lambda: found.append(resumed(tmp_path)))
    thread.start()
    thread.join()
    assert found == [whole(TINY)]
