"""A process that has imported TensorFlow and forks a trainer whenever it is asked to."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["Zygote", "open_zygote"]

_ROOT = Path(__file__).parents[2]
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}


class Zygote:
    """Runs a line ``NAME ARGUMENTS`` of ``training_workers`` in a fork."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def start(self, *line: object) -> int:
        """Fork; return the child's number."""
        print(*line, file=self._process.stdin, flush=True)
        return int(self._process.stdout.readline())

    def ended(self) -> int:
        """Wait for the child; return its exit status, negative for a signal."""
        return int(self._process.stdout.readline())

    def run(self, *line: object) -> int:
        """Fork and wait."""
        self.start(*line)
        return self.ended()


@contextmanager
def open_zygote() -> Iterator[Zygote]:
    """Start one; leaving the block closes its input, which ends it, and waits."""
    command = [sys.executable, "-m", "tests.faults.training_workers", "zygote"]
    pipe = subprocess.PIPE
    environment = {**os.environ, **_ONE_THREAD}
    with subprocess.Popen(command, cwd=_ROOT, env=environment, stdin=pipe, stdout=pipe, text=True) as process:
        yield Zygote(process)
