"""No room: the old version stays, nothing is left behind, and the error says how much is missing."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ml_assets.storage import ArtifactStore, DiskFullError, FileLock, atomic_write
from tests.unit.storage.make import certificate, names_in

PAGE = 4096


@contextmanager
def mounted(folder: Path, size: str) -> Iterator[Path]:
    """A real file system of this size in the place of an empty folder."""
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], check=False, capture_output=True
    )
    if done.returncode != 0:
        pytest.skip("mounting needs root; test_file_size_limit_leaves_the_old_version covers the same code")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Path]:
    """A real file system of one megabyte."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    with mounted(folder, "1m"):
        yield folder


def _free(folder: Path) -> int:
    stat = os.statvfs(folder)
    return stat.f_bavail * stat.f_frsize


def _fill(folder: Path, leave: int) -> None:
    filler = folder / "filler"
    filler.unlink(missing_ok=True)
    filler.write_bytes(b"\0" * max(0, _free(folder) - leave))


def test_full_disk_keeps_the_old_file_and_says_what_is_missing(tiny: Path) -> None:
    atomic_write(tiny / "f", b"old")
    with pytest.raises(
        DiskFullError, match=r"2,000,000 bytes needed, [\d,]+ free .*old file is untouched"
    ) as caught:
        atomic_write(tiny / "f", b"x" * 2_000_000)
    assert isinstance(caught.value, OSError)
    assert caught.value.errno == errno.ENOSPC
    assert caught.value.needed == 2_000_000
    assert 500_000 < caught.value.free < 1_048_576
    assert names_in(tiny) == ["f"]
    assert (tiny / "f").read_bytes() == b"old"


def test_disk_that_fills_up_at_any_step_of_a_publication_keeps_a_sound_version(tiny: Path) -> None:
    """Room for nothing, one page, two pages, ... until the publication fits."""
    store = ArtifactStore(tiny / "store", keep_versions=1, lock_timeout=1)
    outcomes = []
    for pages in range(40):
        (tiny / "filler").unlink(missing_ok=True)
        old, new = (f"{kind} {pages}".encode() * 1500 for kind in ("old", "new"))
        store.publish(old, certificate(old), alias="by_name/x.bin")
        _fill(tiny, pages * PAGE)
        try:
            store.publish(new, certificate(new), alias="by_name/x.bin")
            outcomes.append("published")
        except DiskFullError:
            outcomes.append("refused")
        assert store.read("weights", "AAPL")[0] in ((old, new) if outcomes[-1] == "refused" else (new,))
        assert (tiny / "store" / "by_name" / "x.bin").read_bytes() in (old, new)
        assert not list(tiny.rglob(".tmp-*"))
        if outcomes[-1] == "published":
            break
    assert outcomes[-1] == "published"
    assert outcomes.count("refused") > 3


def test_lock_works_on_a_full_disk(tiny: Path) -> None:
    FileLock(tiny / "x").acquire().release()
    _fill(tiny, 0)
    with FileLock(tiny / "x", timeout=0), pytest.raises(TimeoutError):
        FileLock(tiny / "x", timeout=0).acquire()


def test_file_size_limit_leaves_the_old_version(tmp_path: Path) -> None:
    """The same without root: the process may write no file larger than 20 kB."""
    pytest.importorskip("resource")
    code = (
        "import resource, sys; from pathlib import Path\n"
        "from ml_assets.storage import ArtifactStore, DiskFullError\n"
        "from tests.unit.storage.make import names_in, certificate\n"
        "store = ArtifactStore(sys.argv[1]); old, new = b'o' * 9_000, b'n' * 90_000\n"
        "store.publish(old, certificate(old))\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
        "try: store.publish(new, certificate(new)); sys.exit('not refused')\n"
        "except DiskFullError as error: assert '90,000 bytes needed' in str(error), error\n"
        "assert store.read('weights', 'AAPL')[0] == old\n"
        "assert not list(Path(sys.argv[1]).rglob('.tmp-*'))\n"
    )
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "s")], check=True, cwd=root)
