"""Which process is this, and does that one still run? What cannot be proved dead counts as alive."""

from __future__ import annotations

import hashlib
import os
import socket
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psutil

__all__ = ["ProcessId"]


@dataclass(frozen=True)
class ProcessId:
    """Identity of a process that survives the reuse of its number.

    Parameters
    ----------
    pid : int
        Process number.
    host : str
        Host name and, on Linux, the number of the PID namespace: two containers of one pod share the name,
        but their process numbers mean different processes.
    start : str
        Boot, and when after it the process started; empty where the platform does not tell.
    """

    pid: int
    host: str
    start: str

    @classmethod
    def of_self(cls) -> ProcessId:
        """Identity of the calling process, right after a fork too."""
        return _identity_of(os.getpid())

    def is_dead(self) -> bool:
        """Whether it is proved to be gone: on this host, its number is free or was given away since."""
        if self.host != _host():
            return False
        if _has_ended(self.pid):
            return True
        now = _start_of(self.pid)
        return bool(self.start and now and self.start != now)

    @property
    def tag(self) -> str:
        """Short form for file names, ``host-pid-start``; the host is hashed."""
        return f"{_host_tag(self.host)}-{self.pid}-{self.start or 'x'}"

    @classmethod
    def from_tag(cls, tag: str) -> ProcessId | None:
        """Undo :attr:`tag`.

        Returns
        -------
        ProcessId or None
            None if the tag is malformed or comes from another host.
        """
        host, _, rest = tag.partition("-")
        pid, _, start = rest.partition("-")
        if host != _host_tag(_host()) or not pid.isdecimal() or not 0 < int(pid) < 2**31:
            return None
        return cls(int(pid), _host(), "" if start == "x" else start)


@cache
def _identity_of(pid: int) -> ProcessId:
    # Keyed by the number, so that a forked child does not inherit its parent's answer.
    return ProcessId(pid, _host(), _start_of(pid))


@cache
def _host() -> str:
    try:
        namespace = f"/{Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:  # not Linux, or hidden by a sandbox
        namespace = ""
    return socket.gethostname() + namespace


@cache
def _host_tag(host: str) -> str:
    return hashlib.sha256(host.encode("utf-8", "surrogateescape")).hexdigest()[:8]


@cache
def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")[:8]
    except OSError:
        return "boot"


def _start_of(pid: int) -> str:
    """Boot and hundredths of a second since then; empty if there is no such process, or nothing is told.

    Since the boot, not since 1970: somebody may set the clock while the process runs.
    """
    try:
        seconds = psutil.Process(pid).create_time() - psutil.boot_time()
    except (psutil.Error, OSError, RuntimeError):  # RuntimeError: a sandbox hides the time of the boot
        return ""
    return f"{_boot()}.{round(seconds * 100)}"


def _has_ended(pid: int) -> bool:
    """Whether its number is free, or only waits for the parent to take note of the end."""
    if not psutil.pid_exists(pid):
        return True
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True
    except psutil.Error:  # it belongs to somebody else
        return False
