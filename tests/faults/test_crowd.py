"""Many processes at once: nobody fails, nothing is lost, nobody sees half."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from ml_assets.storage import ArtifactStore, FileLock, atomic_write
from tests.faults.start import line_of, running, start, tell
from tests.faults.workers import ALIAS, is_whole, payload
from tests.unit.storage.make import certificate


def _collect(processes: list[subprocess.Popen[str]], seconds: float) -> list[int]:
    """Exit codes, each process collected as soon as it ends: one not collected would count as alive."""
    deadline = time.monotonic() + seconds
    while [p for p in processes if p.poll() is None]:
        assert time.monotonic() < deadline, "the processes do not come to an end"
        time.sleep(0.005)
    for process in processes:
        process.communicate()
    return [p.returncode for p in processes]


def test_ten_processes_publish_to_three_partitions_at_once(tmp_path: Path) -> None:
    root, barrier = tmp_path / "store", tmp_path / "go"
    processes = [start("publish_jobs", root, number, barrier) for number in range(10)]
    time.sleep(0.5)
    barrier.touch()
    assert _collect(processes, 60) == [0] * 10
    store = ArtifactStore(root)
    assert store.partitions("weights") == ("SYM0", "SYM1", "SYM2")
    for partition in store.partitions("weights"):
        data, one = store.read("weights", partition)
        assert is_whole(data)
        assert data.startswith(partition.encode())
        assert (root / "by_name" / f"{partition}.bin").read_bytes() == data
        kept = store.versions("weights", partition)
        assert len(kept) == 3
        assert one in kept
        assert all(is_whole(store.read("weights", partition, v.sha256)[0]) for v in kept)
        folder = root / "weights" / partition
        assert len(list((folder / "versions").iterdir())) == 6
    assert not list(root.rglob(".tmp-*"))


@pytest.mark.parametrize("kind", ["native", "soft"])
def test_no_update_is_lost_while_holders_die_with_the_lock(tmp_path: Path, kind: str) -> None:
    """Eight processes count up under a lock that is stale from the start; each dies holding it.

    So there are nine take-overs, with up to seven takers for each: if two ever won, the counter or the
    exclusive file inside would tell.
    """
    counter, barrier = tmp_path / "counter", tmp_path / "go"
    counter.write_text("0")
    with running("hold", counter, kind) as first:
        assert line_of(first) == "held"
    processes = [start("count_up", tmp_path, 12, kind, barrier) for _ in range(8)]
    time.sleep(0.5)
    barrier.touch()
    assert _collect(processes, 60) == [-signal.SIGKILL] * 8
    assert int(counter.read_text()) == 8 * 13
    with FileLock(counter, soft=kind == "soft", timeout=1) as lock:
        assert lock.took_over_from is not None
    leftovers = {p.name for p in tmp_path.iterdir()} - {"counter", "go", "counter.lock"}
    assert not leftovers


@pytest.mark.parametrize("kind", ["native", "soft"])
def test_killed_holders_lock_is_free_at_once(tmp_path: Path, kind: str) -> None:
    target, waited = tmp_path / "x", []
    got = threading.Event()
    with running("hold", target, kind) as holder:
        assert line_of(holder) == "held"
        lock = FileLock(target, soft=kind == "soft", timeout=30)

        def wait() -> None:
            with lock:
                got.set()
                waited.append(lock.took_over_from)

        thread = threading.Thread(target=wait)
        thread.start()
        assert not got.wait(0.3), "the lock was taken from a living holder"
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        killed = time.monotonic()
        assert got.wait(10)
        assert time.monotonic() - killed < 1.0
        thread.join()
    assert waited[0] is not None
    assert waited[0].process.pid == holder.pid


def test_stopped_holder_keeps_its_lock(tmp_path: Path) -> None:
    """Slow is not dead: a holder that does not run for a while must not lose its lock."""
    for kind in ("native", "soft"):
        with running("hold", tmp_path / kind, kind) as holder:
            assert line_of(holder) == "held"
            holder.send_signal(signal.SIGSTOP)
            with pytest.raises(TimeoutError, match=f"held by pid {holder.pid} on .*end that process"):
                FileLock(tmp_path / kind, soft=kind == "soft", timeout=0.3).acquire()
            holder.send_signal(signal.SIGCONT)


def test_soft_lock_whose_number_was_given_to_another_process_is_taken_over(tmp_path: Path) -> None:
    """The number in the marker is alive, but it is not the process that took the lock."""
    with running("hold", tmp_path / "x", "soft") as holder:
        assert line_of(holder) == "held"
        marker = (tmp_path / "x.lock").read_text().splitlines()
    assert int(marker[0]) == holder.pid
    if len(marker) < 3:
        pytest.skip("this platform does not tell when a process started")
    marker[0] = str(os.getpid())
    (tmp_path / "x.lock").write_text("\n".join(marker) + "\n")
    with FileLock(tmp_path / "x", soft=True, timeout=1) as lock:
        assert lock.is_held


def test_readers_never_see_a_torn_state_while_a_writer_runs(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path, keep_versions=2)
    first = payload("first-0")
    store.publish(first, certificate(first), alias=ALIAS)
    seen, reads = set(), 0
    with running("zygote", "publish_forever", tmp_path) as zygote:
        tell(zygote, "")
        pid = int(line_of(zygote))
        end = time.monotonic() + 2
        while time.monotonic() < end:
            data, one = store.read("weights", "AAPL")
            assert is_whole(data)
            assert is_whole((tmp_path / ALIAS).read_bytes())
            assert store.current("weights", "AAPL") is not None
            seen.add(one.sha256)
            reads += 1
        os.kill(pid, signal.SIGKILL)
        line_of(zygote)
    assert len(seen) > 5, "the writer hardly wrote: the test would prove nothing"
    assert reads > len(seen)


def test_readers_of_a_plain_file_never_see_half(tmp_path: Path) -> None:
    path, stop, errors = tmp_path / "report.json", threading.Event(), []
    atomic_write(path, b"0" * 100_000)

    def write() -> None:
        n = 0
        while not stop.is_set():
            n = (n + 1) % 10
            atomic_write(path, str(n) * (100_000 + n), durable=False)

    def read() -> None:
        while not stop.is_set():
            data = path.read_bytes()
            if len(set(data)) != 1 or len(data) != 100_000 + int(data[:1]):
                errors.append(len(data))

    threads = [threading.Thread(target=f) for f in (write, read, read)]
    for thread in threads:
        thread.start()
    time.sleep(1)
    stop.set()
    for thread in threads:
        thread.join()
    assert not errors
