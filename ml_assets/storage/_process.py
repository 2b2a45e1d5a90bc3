"""Which process is this, and does that one still run? What cannot be proved dead counts as alive."""

from __future__ import annotations

import hashlib
import os
import socket
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

__all__ = ["ProcessId"]

_START_TIME_FIELD = 19  # of /proc/<pid>/stat, counted after the command's closing bracket


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
        Boot and clock tick at which the process started; empty where the platform does not tell.
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
        if not _exists(self.pid):
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
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return ""
    # The command stands in brackets and may hold spaces and brackets itself: count from the last one.
    fields = stat[stat.rfind(b")") + 1 :].split()
    return f"{_boot()}.{int(fields[_START_TIME_FIELD])}" if len(fields) > _START_TIME_FIELD else ""


if sys.platform == "win32":  # pragma: no cover  # os.kill(pid, 0) would send Ctrl-C there

    def _exists(pid: int) -> bool:
        import ctypes

        kernel = ctypes.WinDLL("kernel32", use_last_error=True)
        kernel.OpenProcess.restype = ctypes.c_void_p
        handle = kernel.OpenProcess(0x100000, False, pid)  # SYNCHRONIZE
        if not handle:
            return bool(ctypes.get_last_error() != 87)  # ERROR_INVALID_PARAMETER: no such process
        try:
            return bool(kernel.WaitForSingleObject(ctypes.c_void_p(handle), 0) != 0)  # 0: it has ended
        finally:
            kernel.CloseHandle(ctypes.c_void_p(handle))

else:

    def _exists(pid: int) -> bool:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        except OSError:  # it exists and belongs to somebody else
            return True
        return True
