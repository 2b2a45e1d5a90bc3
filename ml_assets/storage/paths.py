"""A folder or an object store behind the same few calls."""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

from upath import UPath

__all__ = [
    "PathLike",
    "Place",
    "age_of",
    "exists",
    "file_in_the_way",
    "is_remote",
    "list_files",
    "list_folders",
    "place",
    "read",
    "remove",
]

PathLike: TypeAlias = "str | os.PathLike[str] | UPath"
"""What callers may name a place by."""
Place: TypeAlias = "Path | UPath"
"""A local path is a ``Path``, everything else a ``UPath``."""

# Stores where a put replaces an object as a whole, so that no reader can see half of it. An ssh or web folder
# would take the same calls and break that promise, hence a list.
_ATOMIC_PUT = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "memory"})


def place(path: PathLike) -> Place:
    """Turn a path or URL into a ``Path`` (local) or a ``UPath`` (object store).

    Raises
    ------
    ValueError
        If the URL names a file system on which a write is not atomic.
    """
    there = UPath(path)
    if isinstance(there, Path):
        return Path(there)
    if there.protocol in ("file", "local"):
        return Path(there.path)
    if there.protocol not in _ATOMIC_PUT:
        raise ValueError(
            f"{there}: a write to {there.protocol}:// is not atomic, so a crash could leave half a file. "
            f"Use a folder or one of {', '.join(sorted(_ATOMIC_PUT))}."
        )
    return there


def is_remote(path: Place) -> bool:
    """Whether the place is in an object store."""
    return not isinstance(path, Path)


def read(path: Place) -> bytes:
    """Read a whole file once.

    Raises
    ------
    FileNotFoundError
        If there is none.
    """
    if isinstance(path, Path):
        return path.read_bytes()
    # s3fs asks its directory cache for the size before it reads: another process may have put the file since.
    path.fs.invalidate_cache(path.path)
    return bytes(path.fs.cat_file(path.path))


def exists(path: Place) -> bool:
    """Whether there is a file."""
    if isinstance(path, Path):
        return path.is_file()
    path.fs.invalidate_cache(path.path)
    return bool(path.fs.isfile(path.path))


def list_files(folder: Place, prefix: str = "") -> list[str]:
    """Names of the files in a folder that begin with a prefix, sorted; empty if there is no folder."""
    return _list(folder, "file", prefix)


def list_folders(folder: Place) -> list[str]:
    """Names of the folders in a folder, sorted; empty if there is no folder."""
    return _list(folder, "directory")


def _list(folder: Place, kind: str, prefix: str = "") -> list[str]:
    if isinstance(folder, Path):
        try:
            with os.scandir(folder) as entries:
                return sorted(
                    e.name
                    for e in entries
                    if e.name.startswith(prefix)
                    and (e.is_file(follow_symlinks=False) if kind == "file" else e.is_dir())
                )
        except (FileNotFoundError, NotADirectoryError):
            return []
    folder.fs.invalidate_cache(folder.path)
    try:
        found = folder.fs.ls(folder.path, detail=True)
    except FileNotFoundError:
        return []
    own = folder.path.strip("/")
    names = (
        e["name"].rstrip("/").rsplit("/", 1)[-1]
        for e in found
        if e["type"] == kind and e["name"].strip("/") != own
    )
    return sorted(name for name in names if name.startswith(prefix))


def remove(path: Place) -> None:
    """Remove a file; no error if it is gone already."""
    with suppress(FileNotFoundError):
        if isinstance(path, Path):
            path.unlink()
        else:
            path.fs.rm_file(path.path)


def age_of(path: Place) -> float:
    """Seconds since the file was last written; 0 if the store does not tell."""
    if isinstance(path, Path):
        changed = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    else:
        path.fs.invalidate_cache(path.path)
        try:
            changed = path.fs.modified(path.path)
        except (NotImplementedError, KeyError):
            return 0.0
        changed = changed if changed.tzinfo else changed.replace(tzinfo=UTC)
    return (datetime.now(UTC) - changed).total_seconds()


def file_in_the_way(path: Path) -> Path | None:
    """Nearest of the path and its parents that exists, if it is no folder."""
    nearest = next((candidate for candidate in (path, *path.parents) if candidate.exists()), None)
    return None if nearest is None or nearest.is_dir() else nearest
