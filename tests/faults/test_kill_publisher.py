"""kill -9 while publishing: old or new, never half, and the next one goes on at once."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

from ml_assets.storage import ArtifactStore
from tests.faults.start import line_of, running, tell
from tests.faults.workers import ALIAS, is_whole, payload
from tests.unit.storage.make import certificate

KILLS = 40


def _temps(root: Path) -> list[Path]:
    return [p for p in root.rglob("*") if p.name.startswith(".tmp-")]


def _files(root: Path) -> int:
    return sum(p.is_file() for p in root.rglob("*"))


def _check(store: ArtifactStore, root: Path) -> bytes:
    """Everything that can be read is whole; what cannot is not on offer."""
    data, _ = store.read("weights", "AAPL")
    assert is_whole(data)
    for version in store.versions("weights", "AAPL"):
        assert is_whole(store.read("weights", "AAPL", version.sha256)[0])
    for refused in store.quarantined("weights", "AAPL"):
        assert is_whole(Path(store.location(refused)).read_bytes())
    alias = root / ALIAS
    assert not alias.exists() or is_whole(alias.read_bytes())
    return data


def test_kill_at_random_moments_leaves_a_complete_version(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path, keep_versions=2, lock_timeout=2)
    first = payload("first-0")
    store.publish(first, certificate(first))
    currents, most, most_files = set(), 0, 0
    with running("zygote", "publish_forever", tmp_path) as zygote:
        for kill in range(KILLS):
            tell(zygote, "")
            pid = int(line_of(zygote))
            time.sleep(random.uniform(0.01, 0.12))
            os.kill(pid, signal.SIGKILL)
            assert int(line_of(zygote)) == -signal.SIGKILL
            currents.add(_check(store, tmp_path))
            most = max(most, len(_temps(tmp_path)))
            most_files = max(most_files, _files(tmp_path))
            if kill % 8 == 7:  # this process publishes too: the dead one's lock is no obstacle
                mine = payload(f"mine-{kill}")
                store.publish(mine, certificate(mine), alias=ALIAS)
                assert store.read("weights", "AAPL")[0] == mine
                assert not _temps(tmp_path)
    assert len(currents) > 4, "the children hardly published: the test would prove nothing"
    assert most <= 4, "temps of killed processes pile up"
    assert most_files <= 2 * 3 + 2 * 3 + 4 + 4, "versions of killed processes pile up"


def test_kill_at_every_single_call_on_the_file_system(tmp_path: Path) -> None:
    """Not at random: before and after each open, write, flush, rename, removal of one publication in turn."""
    store = ArtifactStore(tmp_path, keep_versions=1, lock_timeout=2)
    outcomes = []
    with running("zygote", "publish_until_step", tmp_path) as zygote:
        for step in range(1, 1000):
            old = payload(f"old-{step}")
            store.publish(old, certificate(old), alias=ALIAS)
            new = payload(f"new-{step}")
            tell(zygote, f"new-{step} {step}")
            line_of(zygote)
            code = int(line_of(zygote))
            assert code in (0, -signal.SIGKILL)
            now = _check(store, tmp_path)
            assert now in (old, new)
            outcomes.append(now == new)
            if code == 0:
                break
        else:
            raise AssertionError("the publication never ended")
        # one more publication clears up after all of them
        store.publish(old, certificate(old), alias=ALIAS)
    assert not _temps(tmp_path)
    assert outcomes == sorted(outcomes), "once the pointer has moved it stays moved"
    assert outcomes[-1]
    assert not outcomes[0]
    assert len(outcomes) > 50, "too few steps seen: the test would prove nothing"
