"""atomic_write and safe_makedirs, beyond crashes (those are in tests/faults)."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from upath import UPath

from ml_assets.storage import atomic_write, remove_stale_temps, safe_makedirs
from ml_assets.storage._process import ProcessId
from tests.unit.storage.make import names_in


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(old=st.none() | st.binary(max_size=200), new=st.binary(max_size=200) | st.text(max_size=50))
def test_atomic_write_leaves_exactly_the_new_content(
    tmp_path: Path, old: bytes | None, new: bytes | str
) -> None:
    path = tmp_path / "deep" / "er" / "file.json"
    if old is not None:
        atomic_write(path, old)
    try:
        wanted = new.encode("utf-8") if isinstance(new, str) else new
    except UnicodeEncodeError:
        return
    atomic_write(path, new)
    assert path.read_bytes() == wanted
    assert names_in(path.parent) == ["file.json"]


def test_atomic_write_takes_text_paths_and_urls(tmp_path: Path) -> None:
    atomic_write(str(tmp_path / "a"), "ä")
    atomic_write(UPath(tmp_path / "b"), b"b")
    atomic_write(f"file://{tmp_path}/c", b"c")
    atomic_write("memory://atomic/d", b"d")
    assert [(tmp_path / n).read_bytes() for n in "abc"] == ["ä".encode(), b"b", b"c"]
    assert UPath("memory://atomic/d").read_bytes() == b"d"


def test_atomic_write_refuses_places_where_a_write_is_not_atomic() -> None:
    with pytest.raises(ValueError, match="not atomic"):
        atomic_write("http://example.invalid/x", b"x")


def test_atomic_write_keeps_permissions_and_links(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.write_bytes(b"old")
    real.chmod(0o640)
    link.symlink_to(real)
    atomic_write(link, b"new")
    assert link.is_symlink()
    assert real.read_bytes() == b"new"
    assert stat.S_IMODE(real.stat().st_mode) == 0o640


def test_atomic_write_new_file_follows_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        atomic_write(tmp_path / "f", b"")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "f").stat().st_mode) == 0o640


def test_atomic_write_leaves_no_temp_after_an_error(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder"):
        atomic_write(tmp_path / "folder", b"x")
    assert names_in(tmp_path) == ["folder"]


def test_atomic_write_leaves_no_temp_after_an_interrupt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "f").write_bytes(b"old")

    def interrupted(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        atomic_write(tmp_path / "f", b"new")
    assert names_in(tmp_path) == ["f"]
    assert (tmp_path / "f").read_bytes() == b"old"


def test_atomic_write_forces_content_and_folder_to_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    real = os.fsync

    def spy(descriptor: int) -> None:
        synced.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", spy)
    atomic_write(tmp_path / "f", b"x")
    assert synced == ["file", "folder"]
    atomic_write(tmp_path / "f", b"y", durable=False)
    assert synced == ["file", "folder"]


def _dead_process() -> ProcessId:
    code = "from ml_assets.storage._process import ProcessId; print(ProcessId.of_self().tag)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    found = ProcessId.from_tag(done.stdout.strip())
    assert found is not None
    return found


def test_temps_of_dead_processes_go_and_those_of_live_ones_stay(tmp_path: Path) -> None:
    rand = "0123456789ab"
    mine, dead = ProcessId.of_self(), _dead_process()
    reused = ProcessId(mine.pid, mine.host, "boot.1")  # our number, another process before us
    foreign = "ffffffff-1-x"
    names = {
        who: f".tmp-{tag}-{rand}"
        for who, tag in {
            "mine": mine.tag,
            "dead": dead.tag,
            "reused": reused.tag,
            "foreign": foreign,
            "old": "eeeeeeee-1-x",
        }.items()
    }
    for name in (*names.values(), ".tmp-mine", "data.bin"):
        (tmp_path / name).write_bytes(b"half")
    yesterday = time.time() - 25 * 3600
    os.utime(tmp_path / names["old"], (yesterday, yesterday))
    removed = remove_stale_temps(tmp_path)
    assert sorted(removed) == sorted([names["dead"], names["reused"], names["old"]])
    assert names_in(tmp_path) == sorted([names["mine"], names["foreign"], ".tmp-mine", "data.bin"])


def test_a_process_that_wrote_before_still_clears_up_after_those_that_die_later(tmp_path: Path) -> None:
    for n in range(3):
        (tmp_path / f".tmp-{_dead_process().tag}-0123456789a{n}").write_bytes(b"half")
        atomic_write(tmp_path / "f", str(n))
        assert names_in(tmp_path) == ["f"]


def test_a_forked_child_is_another_process() -> None:
    code = (
        "import os; from ml_assets.storage._process import ProcessId as P; before = P.of_self()\n"
        "r, w = os.pipe()\n"
        "if os.fork() == 0: os.write(w, P.of_self().tag.encode()); os._exit(0)\n"
        "os.wait(); child = P.from_tag(os.read(r, 200).decode())\n"
        "assert child.pid != before.pid and child.is_dead() and not before.is_dead(), (child, before)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_another_hosts_process_is_never_called_dead() -> None:
    assert not ProcessId(2**22 + 1, "elsewhere", "x").is_dead()
    assert ProcessId.from_tag("nonsense") is None


def test_safe_makedirs_by_many_threads_at_once(tmp_path: Path) -> None:
    target, errors, barrier = tmp_path.joinpath(*"abcdef"), [], threading.Barrier(16)

    def make() -> None:
        barrier.wait()
        try:
            assert safe_makedirs(target) == target
        except OSError as error:
            errors.append(error)

    threads = [threading.Thread(target=make) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert target.is_dir()


@pytest.mark.parametrize("below", ["", "sub", "sub/sub"])
def test_safe_makedirs_names_the_file_in_the_way(tmp_path: Path, below: str) -> None:
    blocker = tmp_path / "blocker"
    blocker.write_bytes(b"data")
    with pytest.raises(FileExistsError, match="blocker is a file"):
        safe_makedirs(blocker / below)
    assert blocker.read_bytes() == b"data"


def test_safe_makedirs_does_nothing_on_an_object_store() -> None:
    assert safe_makedirs("memory://some/folder") is None
