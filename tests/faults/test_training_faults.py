"""A real training in a process of its own, disturbed for real: signals, kill -9, memory, disk, damage."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from ml_assets.training import CheckpointFolder, Snapshot, TrainingErrorHandler
from tests.faults.test_full_disk import _fill, tiny  # noqa: F401  a fixture
from tests.faults.zygote import Zygote
from tests.unit.training.nets import data, net

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="no fork, no kill -9"),
    pytest.mark.xdist_group("training faults"),
]


@pytest.fixture(scope="module")
def undisturbed(zygote: Zygote, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, float]:
    """What the training comes to when nobody disturbs it, and how long it takes."""
    folder = tmp_path_factory.mktemp("undisturbed")
    assert zygote.run("fit_net", folder) == 0  # the first line also waits for the import
    started = time.monotonic()
    assert zygote.run("fit_net", folder) == 0
    return (folder / "result").read_text(), time.monotonic() - started


def test_disturbed_at_random_moments_it_ends_bit_for_bit_as_if_undisturbed(
    zygote: Zygote, undisturbed: tuple[str, float], tmp_path: Path, rounds
) -> None:
    """SIGTERM, Ctrl-C and kill -9 in turn in each training; then it is left alone and must end the same."""
    expected, seconds = undisturbed
    rng = random.Random(5)
    disturbed = 0
    for n in range(rounds(short=1, long=40)):
        folder = tmp_path / str(n)
        folder.mkdir()
        for signum in rng.sample([signal.SIGTERM, signal.SIGINT, signal.SIGKILL], 3):
            pid = zygote.start("fit_net", folder)
            time.sleep(seconds * rng.uniform(0.1, 0.9))
            with contextlib.suppress(ProcessLookupError):  # it may be done already
                os.kill(pid, signum)
            status = zygote.ended()
            assert status in (0, 143, 130, -signal.SIGKILL, -signal.SIGTERM), f"{signum.name}: {status}"
            disturbed += status != 0
            for path in (folder / "checkpoints").rglob("*.npz"):
                Snapshot.from_bytes(path.read_bytes())  # every file is whole
        assert zygote.run("fit_net", folder) == 0
        assert (folder / "result").read_text() == expected
        assert list((folder / "checkpoints").rglob("*.npz")) == [], "nothing is left to resume"
    assert disturbed > 0
    print(f"{disturbed} trainings disturbed, all resumed, all bit-equal")


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is set by what /proc says is used")
def test_a_process_short_of_memory_trains_with_a_smaller_batch(zygote: Zygote, tmp_path: Path) -> None:
    """An address space too small for the batch of 4096; TensorFlow's own error, nothing injected."""
    assert zygote.run("fit_in_little_memory", tmp_path, 380) == 0
    result = json.loads((tmp_path / "result").read_text())
    assert result["success"] is True, result
    assert result["batch_size"] < 4096
    assert result["recovery_attempts"] >= 1
    assert "out of memory at batch size 4096; went on with 2048" in result["warnings"]


def _snapshots(folder: Path, epochs: range) -> list[Path]:
    checkpoints = CheckpointFolder(folder, keep=len(epochs))
    return [
        path
        for epoch in epochs
        if (path := checkpoints.save(Snapshot(epoch=epoch, model=[np.full(500, epoch, np.float32)])))
    ]


def test_a_flipped_byte_anywhere_falls_back_to_the_checkpoint_before(tmp_path: Path, rounds) -> None:
    rng = random.Random(3)
    _, newest = _snapshots(tmp_path, range(1, 3))
    whole = newest.read_bytes()
    for _ in range(rounds(short=40, long=2000)):
        damaged = bytearray(whole)
        damaged[rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
        newest.write_bytes(bytes(damaged))
        found = CheckpointFolder(tmp_path).latest()
        assert found is not None
        assert found.epoch == 1
    newest.write_bytes(whole[: rng.randrange(len(whole))])
    assert CheckpointFolder(tmp_path).latest().epoch == 1
    newest.write_bytes(whole)
    assert CheckpointFolder(tmp_path).latest().epoch == 2


def test_damage_and_strangers_in_the_folder_cost_no_training(tmp_path: Path, caplog) -> None:
    """Every checkpoint damaged or of another model: it starts anew, with a warning, and ends the same."""
    X, y = data()
    whole = net()
    TrainingErrorHandler().train_with_recovery(whole, X, y, epochs=3, verbose=0)

    class Stop(Exception):  # noqa: N818
        pass

    from ml_assets.training.backend import keras

    class Interrupt(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise Stop

    with pytest.raises(Stop):
        TrainingErrorHandler(checkpoint_dir=tmp_path).train_with_recovery(
            net(), X, y, epochs=3, verbose=0, callbacks=[Interrupt()]
        )
    (folder,) = tmp_path.iterdir()
    for path in folder.iterdir():
        path.write_bytes(b"")
    CheckpointFolder(folder, keep=9).save(Snapshot(epoch=7, model=[np.zeros(3)]))
    model = net()
    result = TrainingErrorHandler(checkpoint_dir=tmp_path).train_with_recovery(
        model, X, y, epochs=3, verbose=0
    )
    assert (result["success"], result["resumed_from_epoch"]) == (True, 0)
    assert "it belongs to another model" in caplog.text
    assert "its sha256 differs from its name" in caplog.text
    for a, b in zip(model.weights, whole.weights, strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))


def test_a_full_disk_costs_old_checkpoints_and_nothing_that_was_complete(
    tiny: Path,  # noqa: F811
    caplog,
    rounds,
) -> None:
    """A real file system of one megabyte, filled at a random epoch of a real training."""
    from ml_assets.training.backend import keras

    X, y = data()
    rng = random.Random(1)
    for n in range(rounds(short=2, long=20)):
        when = rng.randrange(1, 6)

        class Fill(keras.callbacks.Callback):
            def on_epoch_begin(self, epoch, logs=None, when=when):
                if epoch == when:
                    _fill(tiny, leave=rng.randrange(0, 60_000))

        folder = tiny / f"run{n}"
        handler = TrainingErrorHandler(checkpoint_dir=folder)
        result = handler.train_with_recovery(net(), X, y, epochs=8, verbose=0, callbacks=[Fill()])
        assert result["success"] is True, result
        (tiny / "filler").unlink()
        saved = sorted(folder.rglob("*.npz"))
        assert saved == [], "complete: nothing to resume"
    assert "disk full: " in caplog.text
    assert "bytes needed in" in caplog.text
    assert "free" in caplog.text


def test_a_disk_too_small_from_the_start_is_named_before_the_first_epoch(tiny: Path) -> None:  # noqa: F811
    _fill(tiny, leave=20_000)
    result = TrainingErrorHandler(checkpoint_dir=tiny / "run").train_with_recovery(
        net(), *data(), epochs=2, verbose=0
    )
    assert result["success"] is True
    assert "hardly any room for checkpoints" in result["warnings"][0]
    assert "bytes needed in" in result["warnings"][0]
