"""Checkpoints: exact, verified, bounded in number, and never the last complete one lost."""

import errno

import numpy as np
import pytest

from ml_assets.storage import atomic_write
from ml_assets.training import CheckpointFolder, Snapshot, checkpoints


def snapshot(epoch, batch_size=32, size=10):
    return Snapshot(
        epoch=epoch,
        batch_size=batch_size,
        model=[np.full((size, 2), epoch, np.float32), np.arange(3)],
        optimizer=[np.array(epoch)],
        losses={"loss": [0.5] * epoch},
    )


def test_round_trip_is_exact():
    again = Snapshot.from_bytes(snapshot(3, 7).to_bytes())
    assert (again.epoch, again.batch_size, again.losses) == (3, 7, {"loss": [0.5] * 3})
    np.testing.assert_array_equal(again.model[0], snapshot(3).model[0])
    assert again.model[1].dtype == np.arange(3).dtype


def test_newest_is_found_and_old_ones_are_removed(tmp_path):
    folder = CheckpointFolder(tmp_path / "run", keep=2)
    assert folder.latest() is None
    for epoch in (1, 2, 3, 10):
        folder.save(snapshot(epoch))
    assert [path.name[:12] for path in folder.paths()] == ["epoch-000003", "epoch-000010"]
    assert folder.latest().epoch == 10
    folder.clear()
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "damage", [lambda b: b[:-9], lambda b: b"", lambda b: b[:200] + b"\x00\xff" + b[202:]]
)
def test_a_damaged_one_falls_back_to_the_one_before(tmp_path, damage, caplog):
    folder = CheckpointFolder(tmp_path)
    folder.save(snapshot(1))
    newest = folder.save(snapshot(2))
    newest.write_bytes(damage(newest.read_bytes()))
    assert folder.latest().epoch == 1
    assert f"checkpoint {newest} is damaged" in caplog.text


def test_other_files_in_the_folder_are_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    folder = CheckpointFolder(tmp_path, keep=1)
    folder.save(snapshot(1))
    folder.save(snapshot(2))
    folder.clear()
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def small_disk(monkeypatch, folder, capacity):
    """Inject the fault: a disk on which `folder` may hold `capacity` bytes."""

    def write(path, blob):
        if sum(p.stat().st_size for p in folder.glob("*.npz")) + len(blob) > capacity:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        atomic_write(path, blob)

    monkeypatch.setattr(checkpoints, "atomic_write", write)


def test_a_full_disk_costs_old_checkpoints_and_never_the_newest_complete_one(tmp_path, monkeypatch, caplog):
    size = len(snapshot(1).to_bytes())
    folder = CheckpointFolder(tmp_path, keep=3)
    small_disk(monkeypatch, tmp_path, int(2.5 * size))
    for epoch in (1, 2, 3, 4):
        assert folder.save(snapshot(epoch)) is not None
        assert folder.latest().epoch == epoch
    assert len(folder.paths()) == 2
    assert "removed 1 older checkpoints. Free space on the disk" in caplog.text
    assert folder.save(snapshot(5, size=10_000)) is None, "no room even then: training goes on"
    assert "training goes on without it" in caplog.text
    assert folder.latest().epoch == 4


def test_other_failures_of_the_disk_are_not_swallowed(tmp_path, monkeypatch):
    def denied(path, blob):
        raise PermissionError(errno.EACCES, "denied", str(path))

    monkeypatch.setattr(checkpoints, "atomic_write", denied)
    with pytest.raises(PermissionError):
        CheckpointFolder(tmp_path).save(snapshot(1))


def test_keeping_none_is_refused(tmp_path):
    with pytest.raises(ValueError, match="at least one checkpoint"):
        CheckpointFolder(tmp_path, keep=0)
