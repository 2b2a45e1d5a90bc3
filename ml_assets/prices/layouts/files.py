"""Which files of a folder may hold data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path

from ml_assets.prices.layouts.hint import HINT_FILE, LayoutHint, read_hints

__all__ = ["NOT_READ", "data_files"]

_TEXTS_AND_ARCHIVES = ".csv .txt .tsv .dat .gz .tgz .bz2 .xz .zip .tar .parquet .pq"
_OTHERS = ".xlsx .xls .xlsm .ods .json .jsonl .feather .arrow .h5 .hdf5 .pkl .pickle .rds .7z .rar"
_READ, NOT_READ = (frozenset(endings.split()) for endings in (_TEXTS_AND_ARCHIVES, _OTHERS))
"""``NOT_READ`` are the endings of data that nobody reads here: their files are refused by name."""
_DOCUMENTS = ("license", "licence", "readme", "notice", "changelog", "copying", "source.", "requirements")


def data_files(path: Path, hints: Sequence[LayoutHint] = ()) -> Iterator[tuple[Path, str, LayoutHint]]:
    """Yield the files of a folder that may hold data, sorted; documents and hidden files are passed over.

    Parameters
    ----------
    path : Path
        A folder, or one file, which is yielded whatever its name.
    hints : sequence of LayoutHint
        What is known about some files. The folder's own ``layout_hints.json`` is consulted after these.

    Yields
    ------
    Path, str, LayoutHint
        The file, its path relative to the folder, and the first hint whose pattern fits that or the name.
    """
    root = path if path.is_dir() else path.parent
    known = (*hints, *read_hints(root))
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if file == path or _may_hold_data(file, root):
            name = file.relative_to(root).as_posix()
            fitting = (h for h in known if fnmatch(name, h.pattern) or fnmatch(file.name, h.pattern))
            yield file, name, next(fitting, LayoutHint())


def _may_hold_data(file: Path, root: Path) -> bool:
    name = file.name.lower()
    hidden = any(part.startswith((".", "__MACOSX")) for part in file.relative_to(root).parts)
    if hidden or name == HINT_FILE or name.startswith(_DOCUMENTS) or not file.is_file():
        return False
    return file.suffix.lower() in _READ | NOT_READ
