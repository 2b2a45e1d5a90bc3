"""Named arrays and a JSON header in one blob: a ``.npz`` file whose bytes depend on its content alone."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["fold_windows", "pack", "unfold_windows", "unpack"]

_HEADER = "header"


def pack(arrays: Mapping[str, NDArray[Any]], header: Mapping[str, Any]) -> bytes:
    """Encode arrays and a JSON-able header.

    Stored without compression: the output of a compressor differs between its versions, and equal values
    must give equal bytes.
    """
    text = json.dumps(header, sort_keys=True, separators=(",", ":"))
    entries = {_HEADER: np.frombuffer(text.encode(), dtype=np.uint8), **arrays}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(entries):
            # A ZipInfo made from a name alone carries the fixed date 1980-01-01.
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as file:
                np.lib.format.write_array(file, np.ascontiguousarray(entries[name]), allow_pickle=False)
    return buffer.getvalue()


def unpack(data: bytes) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Decode what `pack` wrote.

    Raises
    ------
    ValueError
        If the bytes are not such a file, or are damaged.
    """
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        header = json.loads(arrays.pop(_HEADER).tobytes())
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"not a readable array file ({error}); materialize the asset that wrote it again"
        ) from error
    return arrays, header


def fold_windows(windows: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Write overlapping windows as one strip of rows, each row once.

    Parameters
    ----------
    windows : ndarray, shape (n, window, k)
        Where a window is its predecessor moved on by one row, only its last row is new.

    Returns
    -------
    strip : ndarray, shape (rows, k)
    start : ndarray, shape (n,)
        Window i is ``strip[start[i] : start[i] + window]``, to the bit, whatever the windows are.
    """
    n, window, _ = windows.shape
    follows = np.zeros(n, dtype=bool)
    # Bits are compared, not values: -0.0 equals 0.0 and NaN equals nothing.
    bits = np.ascontiguousarray(windows).view(f"u{windows.dtype.itemsize}")
    follows[1:] = (bits[:-1, 1:] == bits[1:, :-1]).all(axis=(1, 2))
    added = np.where(follows, 1, window)
    end = np.cumsum(added)
    strip = np.empty((int(end[-1]) if n else 0, windows.shape[2]), dtype=windows.dtype)
    for i in np.flatnonzero(~follows):
        strip[end[i] - window : end[i]] = windows[i]
    strip[end[follows] - 1] = windows[follows, -1]
    return strip, (end - window).astype(np.int64)


def unfold_windows(strip: NDArray[Any], start: NDArray[np.int64], window: int) -> NDArray[Any]:
    """Rebuild the windows that `fold_windows` folded, shape (n, window, k)."""
    windows: NDArray[Any] = strip[start[:, None] + np.arange(window)]
    return windows
