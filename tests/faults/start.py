"""Start and stop the child programs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_ROOT = Path(__file__).parents[2]


def start(name: str, *arguments: object) -> subprocess.Popen[str]:
    """Start a worker; its output is a pipe, its errors go to the test's own."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.faults.workers", name, *map(str, arguments)],
        cwd=_ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(_ROOT)},
    )


@contextmanager
def running(name: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """A worker that is gone when the block ends."""
    with start(name, *arguments) as process:
        try:
            yield process
        finally:
            process.kill()


def line_of(process: subprocess.Popen[str]) -> str:
    """Next line that the worker prints."""
    assert process.stdout is not None
    line = process.stdout.readline().strip()
    assert line, f"the worker ended with {process.wait()}"
    return line


def tell(process: subprocess.Popen[str], line: str) -> None:
    """Send the worker a line."""
    assert process.stdin is not None
    process.stdin.write(line + "\n")
    process.stdin.flush()
