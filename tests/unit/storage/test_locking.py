"""FileLock within one process; crowds and crashes are in tests/faults."""

from __future__ import annotations

import gc
import json
import os
import pickle
import subprocess
import sys
import threading
import time
from pathlib import Path

import filelock
import pytest

from ml_assets.storage import FileLock, LockTimeout, atomic_write

both = pytest.mark.parametrize("soft", [False, True], ids=["native", "soft"])


@both
def test_lock_is_beside_what_it_guards_and_survives_its_replacement(tmp_path: Path, soft: bool) -> None:
    target = tmp_path / "new" / "AAPL.weights.h5"
    with FileLock(target, soft=soft) as lock:
        assert lock.path.name == "AAPL.weights.h5.lock"
        atomic_write(target, b"x")
        with pytest.raises(LockTimeout):
            FileLock(lock.path, timeout=0, soft=soft).acquire()
    with FileLock(lock.path, timeout=0, soft=soft):
        pass


@both
def test_lock_is_reentrant_per_instance(tmp_path: Path, soft: bool) -> None:
    lock, other = FileLock(tmp_path / "x", soft=soft), FileLock(tmp_path / "x", timeout=0, soft=soft)
    with lock:
        with lock:
            assert lock.is_held
        assert lock.is_held
        assert lock.holder() is not None
        with pytest.raises(LockTimeout):
            other.acquire()
    assert not lock.is_held
    assert lock.holder() is None
    with other:
        assert other.is_held


@both
def test_one_instance_shared_by_threads_admits_one_at_a_time(tmp_path: Path, soft: bool) -> None:
    lock, inside, most = FileLock(tmp_path / "x", soft=soft), [], []

    def work() -> None:
        for _ in range(20):
            with lock:
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(most) == 80
    assert max(most) == 1


def test_timeout_names_path_holder_age_and_remedy(tmp_path: Path) -> None:
    with FileLock(tmp_path / "x"), pytest.raises(LockTimeout) as caught:
        FileLock(tmp_path / "x", timeout=0.15).acquire()
    message = str(caught.value)
    assert str(tmp_path / "x.lock") in message
    assert f"pid {os.getpid()}" in message
    assert "for 0.1 s" in message or "for 0.2 s" in message
    assert "This very process holds it" in message
    assert isinstance(caught.value, (TimeoutError, filelock.Timeout))
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.path, again.holder) == (message, caught.value.path, caught.value.holder)


def test_timeout_waits_as_long_as_it_says(tmp_path: Path) -> None:
    with FileLock(tmp_path / "x"):
        started = time.monotonic()
        with pytest.raises(LockTimeout):
            FileLock(tmp_path / "x", timeout=0.3).acquire()
        assert 0.3 <= time.monotonic() - started < 1.0


def test_negative_timeout_waits_until_free(tmp_path: Path) -> None:
    lock = FileLock(tmp_path / "x").acquire()
    got = threading.Event()

    def wait() -> None:
        with FileLock(tmp_path / "x", timeout=-1):
            got.set()

    thread = threading.Thread(target=wait)
    thread.start()
    assert not got.wait(0.2)
    lock.release()
    assert got.wait(2)
    thread.join()


def test_holder_record_is_for_people_only(tmp_path: Path) -> None:
    for content in (b"", b"garbage", b"[]", b'{"process": {}}', b"\xff"):
        (tmp_path / "x.lock.holder").write_bytes(content)
        lock = FileLock(tmp_path / "x", timeout=0)
        assert lock.holder() is None
        with lock:
            assert lock.holder() is not None


def test_message_without_a_record_still_helps(tmp_path: Path) -> None:
    with FileLock(tmp_path / "x") as lock:
        Path(f"{lock.path}.holder").unlink()
        with pytest.raises(LockTimeout, match=r"left no record.*fuser"):
            FileLock(tmp_path / "x", timeout=0).acquire()


def test_lock_works_where_its_record_cannot_be_written(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "x.lock.holder").mkdir()
    with FileLock(tmp_path / "x", timeout=0), pytest.raises(LockTimeout):
        FileLock(tmp_path / "x", timeout=0).acquire()
    assert "cannot write down who holds" in caplog.text


def test_lock_of_another_host_is_not_taken_and_the_message_says_where(tmp_path: Path) -> None:
    (tmp_path / "x.lock").write_text("4711\nelsewhere\n99\n")
    record = {
        "process": {"pid": 4711, "host": "elsewhere", "start": "1"},
        "host_name": "elsewhere",
        "since": time.time(),
    }
    (tmp_path / "x.lock.holder").write_text(json.dumps(record))
    with pytest.raises(LockTimeout, match="pid 4711 on elsewhere"):
        FileLock(tmp_path / "x", soft=True, timeout=0.2).acquire()
    assert (tmp_path / "x.lock").read_text().startswith("4711")


def test_dead_soft_holder_where_no_exchange_is_possible(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network file system may refuse the exchange: then nobody takes over, and the message says why."""
    code = (
        "import os, sys; from ml_assets.storage import FileLock\n"
        "lock = FileLock(sys.argv[1], soft=True).acquire(); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "x")], check=False)
    monkeypatch.setattr("filelock._soft.exchange_names", lambda *_: False)
    with pytest.raises(LockTimeout, match=r"holder is dead .* then remove .*x\.lock"):
        FileLock(tmp_path / "x", soft=True, timeout=0.2).acquire()
    monkeypatch.undo()
    with FileLock(tmp_path / "x", soft=True, timeout=0.2) as lock:
        assert lock.took_over_from is not None


def test_forked_child_holds_nothing_and_a_lock_may_be_used_on_both_sides(tmp_path: Path) -> None:
    code = (
        "import os, sys; from ml_assets.storage import FileLock, LockTimeout\n"
        "lock = FileLock(sys.argv[1], timeout=0).acquire()\n"
        "if os.fork() == 0:\n"
        "    try: lock.acquire(); os._exit(1)\n"
        "    except LockTimeout: os._exit(0 if not lock.is_held else 2)\n"
        "assert os.waitpid(-1, 0)[1] == 0\n"
        "lock.release()\n"
        "if os.fork() == 0: lock.acquire(); os._exit(0)\n"
        "assert os.waitpid(-1, 0)[1] == 0\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "x")], check=True)


def test_child_that_outlives_the_holder_is_named_as_the_reason(tmp_path: Path) -> None:
    """The kernel keeps a lock while any process has the descriptor; the message must not blame the dead."""
    with FileLock(tmp_path / "x") as lock:
        record = Path(f"{lock.path}.holder")
        body = json.loads(record.read_text())
        body["process"]["start"] = "boot.1"
        record.write_text(json.dumps(body))
        with pytest.raises(LockTimeout, match="a process that it started keeps the lock"):
            FileLock(tmp_path / "x", timeout=0).acquire()


def test_a_forgotten_lock_is_released_without_looking_like_a_crash(tmp_path: Path) -> None:
    FileLock(tmp_path / "x").acquire()  # nobody keeps it
    gc.collect()
    with FileLock(tmp_path / "x", timeout=0) as lock:
        assert lock.took_over_from is None
