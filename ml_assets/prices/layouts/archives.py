"""Files as they lie in a folder: plain, compressed, or archives with several members."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from ml_assets.prices.errors import DOWNLOAD_AGAIN, PriceFileError

__all__ = ["members"]

_MAX_DEPTH = 3
_COMPRESSED = ((b"\x1f\x8b", gzip.decompress), (b"BZh", bz2.decompress), (b"\xfd7zXZ", lzma.decompress))
"""How files compressed in each way begin."""
_ERRORS = (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, tarfile.TarError, RuntimeError)


def members(path: Path, name: str) -> Iterator[tuple[str, bytes]]:
    """Yield the uncompressed content of a file, one item for each member of an archive.

    The kind is told by the first bytes, not by the extension.

    Parameters
    ----------
    path : Path
        The file.
    name : str
        Its name for messages; members get ``name/member``.

    Raises
    ------
    PriceFileError
        If an archive is damaged, encrypted or nested too deeply.
    """
    yield from _unpack(path.read_bytes(), name, 0)


def _unpack(data: bytes, name: str, depth: int) -> Iterator[tuple[str, bytes]]:
    if depth > _MAX_DEPTH:
        raise PriceFileError("the archive is nested too deeply", "Unpack it.", file=name)
    try:
        decompress = next((known for mark, known in _COMPRESSED if data.startswith(mark)), None)
        if decompress is not None:
            yield from _unpack(decompress(data), name, depth + 1)
        elif data.startswith((b"PK\x03\x04", b"PK\x05\x06")):
            yield from _unzip(data, name, depth)
        elif data[257:262] == b"ustar":
            yield from _untar(data, name, depth)
        else:
            yield name, data
    except _ERRORS as error:
        raise PriceFileError(
            f"the archive is damaged or encrypted ({error})", DOWNLOAD_AGAIN, file=name
        ) from error


def _unzip(data: bytes, name: str, depth: int) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        if "xl/workbook.xml" in archive.namelist():
            raise PriceFileError("Excel workbooks are not read", "Save the sheet as CSV.", file=name)
        for item in sorted(archive.namelist()):
            if _is_content(item):
                yield from _unpack(archive.read(item), f"{name}/{item}", depth + 1)


def _untar(data: bytes, name: str, depth: int) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for item in sorted(archive.getmembers(), key=lambda member: member.name):
            stream = archive.extractfile(item) if item.isfile() and _is_content(item.name) else None
            if stream is not None:
                yield from _unpack(stream.read(), f"{name}/{item.name}", depth + 1)


def _is_content(name: str) -> bool:
    """Tell real members from folders and from what macOS adds."""
    last = name.rpartition("/")[2]
    return bool(last) and not last.startswith(".") and "__MACOSX" not in name
