"""Files that are either the old one or the new one, whatever happens in between."""

from __future__ import annotations

import errno
import logging
import os
import re
import secrets
import shutil
import stat
import sys
from contextlib import suppress
from pathlib import Path

from ml_assets.storage._process import ProcessId
from ml_assets.storage.paths import PathLike, age_of, file_in_the_way, is_remote, list_files, place
from ml_assets.storage.retry import RetryError, retry

__all__ = ["DiskFullError", "atomic_write", "remove_stale_temps", "safe_makedirs"]

_log = logging.getLogger(__name__)

_TEMP = re.compile(r"\.tmp-(?P<tag>.+)-[0-9a-f]{12}")
# No space; quota used up; larger than the process may write.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# A temp of another host (a shared folder) cannot be judged by its process, so only by its age.
_FOREIGN_TEMP_LIFE = 24 * 3600.0


class DiskFullError(OSError):
    """There was no room for a file; what stood there before is untouched.

    Attributes
    ----------
    needed : int
        Size of the file that was to be written [bytes].
    free : int
        Space left where it was to go [bytes].
    """

    needed: int = 0
    free: int = 0


def safe_makedirs(path: PathLike) -> Path | None:
    """Make a folder with its parents; any number of processes may do so at once.

    Parameters
    ----------
    path : path or URL
        The folder. An object store has no folders: nothing is done there.

    Returns
    -------
    Path or None
        The folder; None for an object store.

    Raises
    ------
    FileExistsError
        If a file stands where the folder or one of its parents should be; the message names it.
    """
    folder = place(path)
    if not isinstance(folder, Path):
        return None
    missing = [p for p in (folder, *folder.parents) if not p.exists()]
    try:
        # Somebody may remove an empty parent between its creation and that of its child.
        retry(
            lambda: folder.mkdir(parents=True, exist_ok=True),
            exceptions=FileNotFoundError,
            first=0.01,
            cap=0.1,
        )
    except RetryError as error:
        raise FileNotFoundError(
            errno.ENOENT, f"{error}. Somebody keeps removing its parent", folder
        ) from error
    except (FileExistsError, NotADirectoryError) as error:
        blocker = file_in_the_way(folder) or folder
        raise FileExistsError(
            errno.EEXIST,
            f"cannot make this folder because {blocker} is a file. Move that file or choose another folder",
            str(folder),
        ) from error
    for made in missing:
        _sync_folder(made.parent)
    return folder


def atomic_write(path: PathLike, data: bytes | str, *, durable: bool = True) -> None:
    """Write a file so that every reader, and every crash, finds the old content or the new, never half.

    On a folder: a temp file beside the target, its content forced to the disk, then renamed over the target,
    then the folder forced to the disk. On an object store: one put, which is atomic there. Missing parents
    are made, the permissions of an existing file are kept, a symbolic link stays one.

    Parameters
    ----------
    path : path or URL
        The file.
    data : bytes or str
        Its whole new content; text is encoded as UTF-8.
    durable : bool, default True
        Force it to the disk, so that a power cut cannot undo it. Without, only a crash of the process is
        provided for; for notes that no longer matter after a restart.

    Raises
    ------
    DiskFullError
        If there is no room. Names the bytes needed and free; the old file is untouched.
    OSError
        On any other failure, the old file untouched too.

    Examples
    --------
    >>> atomic_write("var/report.json", '{"ok": true}')  # doctest: +SKIP
    """
    blob = data.encode("utf-8") if isinstance(data, str) else data
    target = place(path)
    if not isinstance(target, Path):
        target.fs.pipe_file(target.path, bytes(blob))
        return
    if target.is_symlink():
        target = target.resolve()
    folder = target.parent
    safe_makedirs(folder)
    # Every time: a process that runs for weeks outlives many that die beside it.
    remove_stale_temps(folder)
    try:
        _replace(target, blob, durable=durable)
    except OSError as error:
        if error.errno in _FULL:
            raise _disk_full(target, len(blob), error) from error
        raise


def remove_stale_temps(folder: PathLike) -> list[str]:
    """Remove the temp files that dead processes left behind; those of live ones stay.

    A temp is named by its process. On this host it is removed once that process is proved dead; from another
    host (a shared folder) once it has not been written for a day.

    Returns
    -------
    list of str
        Names of the files removed.
    """
    where = place(folder)
    if is_remote(where):
        return []
    removed = []
    for name in list_files(where, prefix=".tmp-"):
        match = _TEMP.fullmatch(name)
        if match is None:
            continue
        owner = ProcessId.from_tag(match["tag"])
        with suppress(OSError):  # another process cleans up too, or it is not ours to remove
            if owner.is_dead() if owner else age_of(where / name) > _FOREIGN_TEMP_LIFE:
                (where / name).unlink()
                removed.append(name)
    if removed:
        _log.info("removed %d unfinished files of dead processes from %s", len(removed), where)
    return removed


def _replace(target: Path, blob: bytes, *, durable: bool) -> None:
    temp = target.parent / f".tmp-{ProcessId.of_self().tag}-{secrets.token_hex(6)}"
    try:
        _write_new(temp, blob, durable=durable)
        with suppress(FileNotFoundError):
            temp.chmod(stat.S_IMODE(target.stat().st_mode))
        _rename(temp, target)
    except BaseException:  # an interrupt too must leave no temp
        temp.unlink(missing_ok=True)
        raise
    if durable:
        _sync_folder(target.parent)


def _write_new(temp: Path, blob: bytes, *, durable: bool) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    # 0o666 less the umask, as open() does it; mkstemp's 0o600 would lock out colleagues.
    with open(os.open(temp, flags, 0o666), "wb") as file:  # noqa: PTH123 - a descriptor, not a path
        file.write(blob)
        file.flush()
        if durable:
            os.fsync(file.fileno())


def _rename(temp: Path, target: Path) -> None:
    if sys.platform != "win32":
        temp.replace(target)
        return
    # Windows refuses while a reader has the target open; readers close it within milliseconds.
    try:
        retry(lambda: temp.replace(target), exceptions=PermissionError, attempts=12, first=0.005, cap=0.5)
    except RetryError as error:
        raise PermissionError(
            errno.EACCES, "another program keeps this file open: close it there, then try again", str(target)
        ) from error


def _sync_folder(folder: Path) -> None:
    # The rename itself is safe against a crash of the process; this makes it outlast a power cut. Windows
    # opens no folders and some network file systems refuse, so it is best effort.
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _disk_full(target: Path, needed: int, error: OSError) -> DiskFullError:
    free = shutil.disk_usage(target.parent).free
    full = DiskFullError(
        error.errno,
        f"no room: {needed:,} bytes needed, {free:,} free ({error.strerror}). The old file is untouched. "
        "Free some space or raise the quota, then run again",
        str(target),
    )
    full.needed, full.free = needed, free
    return full
