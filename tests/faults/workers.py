"""Child programs of the fault tests: ``python -m tests.faults.workers NAME ARGUMENTS``.

They run the real storage code in processes of their own, so that they can be killed.
"""

from __future__ import annotations

import itertools
import os
import random
import signal
import sys
import time
from pathlib import Path

from ml_assets.storage import ArtifactStore, FileLock
from tests.unit.storage.make import FAILED, certificate

SIZES = (1_000, 60_000)
ALIAS = "by_name/AAPL.bin"
CALLS = {"open", "write", "flush", "close", "fsync", "replace", "rename", "unlink", "mkdir", "chmod", "flock"}


def payload(stamp: str) -> bytes:
    """Content that shows by itself whether it is whole."""
    size = random.Random(stamp).randrange(*SIZES)
    return f"{stamp}:{size}:".encode() + stamp[-1:].encode() * size


def is_whole(data: bytes) -> bool:
    stamp = data.split(b":", 1)[0].decode()
    return bool(stamp) and data == payload(stamp)


def publish_forever(root: str) -> None:
    """Publish and quarantine until killed."""
    store = ArtifactStore(root, keep_versions=2, lock_timeout=20)
    for n in itertools.count():
        good, bad = (payload(f"{kind}-{os.getpid()}-{n}") for kind in ("good", "bad"))
        store.publish(good, certificate(good), alias=ALIAS)
        store.quarantine(bad, certificate(bad, FAILED))


def publish_until_step(root: str, stamp: str, step: int) -> None:
    """Publish once, and die by SIGKILL just before or just after the given call into the operating system."""
    store = ArtifactStore(root, keep_versions=1, lock_timeout=2)
    data = payload(stamp)
    one = certificate(data)
    seen = itertools.count(1)

    def watch(frame: object, event: str, called: object) -> None:
        if (
            event in ("c_call", "c_return")
            and getattr(called, "__name__", "") in CALLS
            and next(seen) == step
        ):
            os.kill(os.getpid(), signal.SIGKILL)

    sys.setprofile(watch)
    store.publish(data, one, alias=ALIAS)
    sys.setprofile(None)


def publish_jobs(root: str, number: str, barrier: str) -> None:
    """Publish to three partitions in turn, starting together with the others."""
    wait_for(Path(barrier))
    store = ArtifactStore(root, keep_versions=3)
    for job in range(3):
        partition = f"SYM{(int(number) + job) % 3}"
        data = payload(f"{partition}-{number}-{job}")
        store.publish(data, certificate(data, partition=partition), alias=f"by_name/{partition}.bin")


def count_up(folder: str, rounds: str, soft: str, barrier: str) -> None:
    """Add to a counter under a lock, without any other care, and die holding the lock."""
    wait_for(Path(barrier))
    counter, inside = Path(folder) / "counter", Path(folder) / "inside"
    for _ in range(int(rounds)):
        with FileLock(counter, soft=soft == "soft", timeout=50):
            _add_one(counter, inside)
    lock = FileLock(counter, soft=soft == "soft", timeout=50).acquire()
    _add_one(counter, inside)
    os.kill(os.getpid(), signal.SIGKILL)
    lock.release()


def _add_one(counter: Path, inside: Path) -> None:
    os.close(os.open(inside, os.O_CREAT | os.O_EXCL))  # fails if anybody else is inside
    value = int(counter.read_text())
    time.sleep(0.0005)
    counter.write_text(str(value + 1))
    inside.unlink()


def hold(path: str, soft: str) -> None:
    """Take a lock, say so, and keep it until killed."""
    lock = FileLock(path, soft=soft == "soft")
    with lock:
        print("held", flush=True)
        time.sleep(60)


def zygote(name: str, *arguments: str) -> None:
    """Fork a child that runs the named worker for each line read; print its number, then its end.

    A fork takes milliseconds where a new interpreter takes half a second.
    """
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                WORKERS[name](*arguments, *(int(w) if w.isdigit() else w for w in line.split()))
                status = 0
            finally:
                os._exit(status)
        print(pid, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


def wait_for(path: Path) -> None:
    while not path.exists():
        time.sleep(0.001)


WORKERS = {f.__name__: f for f in (publish_forever, publish_until_step, publish_jobs, count_up, hold, zygote)}

if __name__ == "__main__":
    WORKERS[sys.argv[1]](*sys.argv[2:])
