"""Which files of a folder may hold data."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ml_assets.prices.layouts.hint import HINT_FILE

__all__ = ["NOT_READ", "data_files"]

_READ = frozenset(
    (".csv", ".txt", ".tsv", ".dat", ".gz", ".tgz", ".bz2", ".xz", ".zip", ".tar", ".parquet", ".pq")
)
NOT_READ = frozenset(
    (
        *(".xlsx", ".xls", ".xlsm", ".ods", ".json", ".jsonl", ".feather", ".arrow", ".h5", ".hdf5", ".pkl"),
        *(".pickle", ".rds", ".7z", ".rar"),
    )
)
_DOCUMENTS = ("license", "licence", "readme", "notice", "changelog", "copying", "source.", "requirements")


def data_files(path: Path) -> Iterator[Path]:
    """Yield the files that may hold data, sorted; documents and hidden files are passed over."""
    if path.is_file():
        yield path
        return
    for file in sorted(path.rglob("*")):
        parts, name = file.relative_to(path).parts, file.name.lower()
        hidden = any(part.startswith((".", "__MACOSX")) for part in parts)
        if hidden or name == HINT_FILE or name.startswith(_DOCUMENTS) or not file.is_file():
            continue
        if file.suffix.lower() in _READ | NOT_READ:
            yield file
