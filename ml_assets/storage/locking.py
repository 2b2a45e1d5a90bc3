"""One process at a time, and a plain answer to who holds it."""

from __future__ import annotations

import json
import logging
import os
import socket
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import filelock

from ml_assets.storage._process import ProcessId
from ml_assets.storage.atomic import atomic_write, safe_makedirs
from ml_assets.storage.retry import backoff

__all__ = ["FileLock", "Holder", "LockTimeout"]

_log = logging.getLogger(__name__)
_FIRST_DELAY, _LONGEST_DELAY = 0.002, 0.1
"""Of the waits between two tries [s]."""


@dataclass(frozen=True)
class Holder:
    """Who holds a lock, as it wrote down itself.

    Parameters
    ----------
    process : ProcessId
        Process number, host and start.
    host_name : str
        Name of the machine, for people.
    since : float
        When the lock was taken [seconds since 1970].
    """

    process: ProcessId
    host_name: str
    since: float

    @property
    def age(self) -> float:
        """Seconds for which the lock has been held."""
        return max(0.0, time.time() - self.since)

    def __str__(self) -> str:
        return f"pid {self.process.pid} on {self.host_name}, for {self.age:.1f} s"


class LockTimeout(filelock.Timeout):
    """The lock was not free in time. A ``TimeoutError``; the message says who holds it and what to do.

    Attributes
    ----------
    path : Path
        The lock file.
    holder : Holder or None
        Who holds it, where it is known.
    """

    def __init__(self, path: str | Path, message: str = "", holder: Holder | None = None) -> None:
        super().__init__(str(path))
        self.path = Path(path)
        self.message = message
        self.holder = holder

    def __str__(self) -> str:
        return self.message


class FileLock:
    """Lock between processes (and threads), as a context manager.

    The lock itself is ``filelock``'s: the operating system's own lock, which it releases the moment its
    holder dies, or with ``soft`` a marker file, which the next taker exchanges for its own in one step once
    the holder is proved dead. This class adds who holds it, waiting with jitter, and errors that say what to
    do.

    Parameters
    ----------
    path : path
        What is to be guarded; the lock is a file beside it, ``<path>.lock``. A path that ends in ``.lock`` is
        the lock file itself. Parents are made.
    timeout : float, default 60
        Longest wait [s]. 0 tries once, a negative number waits without end.
    soft : bool, default False
        Use a marker file, for file systems without locks of their own.

    Raises
    ------
    LockTimeout
        On entering, if the lock is not free in time.

    Notes
    -----
    Re-entrant per instance and thread: the same instance may enter again, and releases when it leaves the
    outermost block. Another instance on the same path is another taker, even in the same thread. A forked
    child holds nothing.

    Examples
    --------
    >>> with FileLock("var/weights/AAPL.weights.h5", timeout=10):  # doctest: +SKIP
    ...     ...
    """

    def __init__(self, path: str | os.PathLike[str], *, timeout: float = 60.0, soft: bool = False) -> None:
        guarded = Path(path)
        self.path = guarded if guarded.suffix == ".lock" else guarded.with_name(guarded.name + ".lock")
        self.timeout = timeout
        self.soft = soft
        self.took_over_from: Holder | None = None
        """The holder that died with the lock in its hands, after an acquisition that found one."""
        self._record = self.path.with_name(self.path.name + ".holder")
        self._backend = self._new_backend()
        self._pid = os.getpid()

    def acquire(self, timeout: float | None = None) -> Self:
        """Take the lock, waiting for at most ``timeout`` seconds (default: the instance's).

        Raises
        ------
        LockTimeout
            If it is not free in time.
        """
        if self._pid != os.getpid():  # a forked child does not hold what its parent holds
            self._backend, self._pid = self._new_backend(), os.getpid()
        limit = self.timeout if timeout is None else timeout
        safe_makedirs(self.path.parent)
        started = time.monotonic()
        for delay in backoff(_FIRST_DELAY, _LONGEST_DELAY):
            if self._try():
                return self
            left = limit - (time.monotonic() - started)
            if limit >= 0 and left <= 0:
                holder = self.holder()
                what = f"{self.path} was not free within {limit:g} s"
                raise LockTimeout(self.path, f"{what}. {self._advice(holder)}", holder)
            time.sleep(delay if limit < 0 else min(delay, left))
        raise AssertionError("unreachable")  # pragma: no cover

    def release(self) -> None:
        """Give the lock back; only the outermost of nested releases does."""
        if self._backend.lock_counter == 1:
            # Before the lock is free, so that the next holder's record is not the one removed.
            with suppress(OSError):
                self._record.unlink()
        self._backend.release()

    @property
    def is_held(self) -> bool:
        """Whether this instance holds the lock in this thread."""
        return self._pid == os.getpid() and self._backend.is_locked

    def holder(self) -> Holder | None:
        """Who holds the lock by its own record; None if nobody does or the record cannot be read.

        The record is for people: the lock, not the record, decides who may go on.
        """
        try:
            record = json.loads(self._record.read_bytes())
            return Holder(ProcessId(**record["process"]), str(record["host_name"]), float(record["since"]))
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def __enter__(self) -> Self:
        return self.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def __del__(self) -> None:
        # The backend lets go when it is collected; its record must not stay behind and look like a crash.
        if getattr(self, "_pid", None) == os.getpid() and self._backend.is_locked:
            self._record.unlink(missing_ok=True)

    def _new_backend(self) -> filelock.BaseFileLock:
        return filelock.SoftFileLock(self.path) if self.soft else filelock.FileLock(self.path)

    def _try(self) -> bool:
        try:
            self._backend.acquire(blocking=False)
        except filelock.Timeout:
            return False
        if self._backend.lock_counter == 1:
            self._write_record()
        return True

    def _write_record(self) -> None:
        # A release removes its record, so one that is still there belongs to a holder that died.
        self.took_over_from = self.holder()
        if self.took_over_from is not None:
            _log.warning("took over %s: its holder died (%s)", self.path, self.took_over_from)
        mine = Holder(ProcessId.of_self(), socket.gethostname(), time.time())
        try:
            atomic_write(self._record, json.dumps(asdict(mine)), durable=False)
        except OSError as error:  # a full disk must not cost the lock
            _log.warning("cannot write down who holds %s: %s", self.path, error)

    def _advice(self, holder: Holder | None) -> str:
        if holder is None:
            look = "" if self.soft else f", or look for the process with 'fuser -v {self.path}'"
            return (
                "Its holder left no record (it may have got it this instant): "
                f"wait with a longer timeout={look}."
            )
        if holder.process == ProcessId.of_self():
            return (
                f"This very process holds it ({holder}): use one FileLock instance, or leave its block first."
            )
        if not holder.process.is_dead():
            return (
                f"It is held by {holder}. Wait with a longer timeout=, or end that process there: "
                "the lock is free the moment it is gone."
            )
        if self.soft:
            return (
                f"Its holder is dead ({holder}), but this file system cannot exchange two files in one step, "
                f"so a take-over would not be safe. Make sure that nobody uses it, then remove {self.path}."
            )
        return (
            f"Its recorded holder is dead ({holder}); a process that it started keeps the lock: "
            f"end it ('fuser -v {self.path}' shows which)."
        )
