"""Trainings of option networks, killed for real at any moment, end with the bytes of an unbroken one."""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.faults.zygote import Zygote

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="no fork, no kill -9"),
    pytest.mark.xdist_group("training faults"),
]
_STEP = re.compile(r"epoch-(\d+)-")


def _steps(folder: Path) -> int:
    """How far the newest checkpoint is."""
    with contextlib.suppress(FileNotFoundError):  # the training has just ended
        return max(
            (int(found[1]) for path in folder.iterdir() if (found := _STEP.match(path.name))), default=0
        )
    return 0


@pytest.mark.parametrize("training", ["train_options", "train_boundary"])
def test_killed_training_goes_on_to_the_bit(training: str, zygote: Zygote, tmp_path: Path, rounds) -> None:
    whole, broken, rng = tmp_path / "whole", tmp_path / "broken", random.Random(4)
    whole.mkdir()
    broken.mkdir()
    assert zygote.run(training, whole) == 0
    expected = (whole / "result").read_bytes()
    kills = 0
    for _ in range(rounds(short=1, long=15)):
        at: list[int] = []
        while True:  # killed again and again until one run gets through
            until = (at[-1] if at else 0) + rng.randint(120, 180)  # in one phase, then in the other
            pid = zygote.start(training, broken)
            while psutil.pid_exists(pid) and not any(_steps(f) >= until for f in _folders(broken)):
                time.sleep(0.001)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, (signal.SIGKILL, signal.SIGTERM)[kills % 2])
            status = zygote.ended()
            if status == 0:
                break
            assert status in (-signal.SIGKILL, 128 + signal.SIGTERM)
            at.append(max(map(_steps, _folders(broken)), default=0))
            kills += 1
        assert at == sorted(at), "each run went on where the last one stood"
        assert (broken / "result").read_bytes() == expected
        assert _folders(broken) == [], "no checkpoint is left"
        (broken / "result").unlink()
    assert kills > 0
    print(f"{kills} kills, equal bytes each time")


def _folders(root: Path) -> list[Path]:
    checkpoints = root / "checkpoints"
    return list(checkpoints.iterdir()) if checkpoints.exists() else []
