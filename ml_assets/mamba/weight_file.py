"""A Keras weight file with a record: what `load_weights` opens, and beside it what was trained how."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

__all__ = ["history_from", "history_record", "open_file", "record_of", "require_shapes", "write_file"]

_ATTRIBUTE = "_gated"
_ATTRIBUTE_LIMIT = 64_000  # bytes; HDF5 stores attributes below 64 KiB
_FORMAT = 2

Arrays = Mapping[str, NDArray[Any]]


def write_file(owner: str, kind: str, arrays: Arrays, record: Mapping[str, Any]) -> bytes:
    """Encode weights and record as HDF5; equal values give equal bytes.

    Raises
    ------
    ValueError
        If the record is larger than an HDF5 attribute may be.
    """
    text = json.dumps({**record, "format": _FORMAT, "kind": kind}, sort_keys=True)
    if len(text) > _ATTRIBUTE_LIMIT:
        raise ValueError(
            f"{owner}: the record has {len(text):,} bytes, an HDF5 attribute holds 65,536; train "
            "fewer epochs, on fewer symbols, or with shorter feature names"
        )
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.attrs[_ATTRIBUTE] = text
        for path in sorted(arrays):
            file.create_dataset(path, data=arrays[path], track_times=False)
    return buffer.getvalue()


def open_file(data: bytes) -> tuple[dict[str, NDArray[Any]], str | None]:
    """Return the arrays of a weight file by path, and its record as text if it has one.

    Raises
    ------
    ValueError
        If the bytes are no HDF5 file.
    """
    arrays: dict[str, NDArray[Any]] = {}

    def keep(path: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            arrays[path] = item[()]

    try:
        with h5py.File(io.BytesIO(data), "r") as file:
            file.visititems(keep)
            return arrays, file.attrs.get(_ATTRIBUTE)
    except (OSError, RuntimeError) as error:
        raise ValueError(
            f"these {len(data)} bytes are not a readable HDF5 file ({error}); restore the version from the "
            "store or train again"
        ) from error


def record_of(text: str | None, kind: str, needed: Sequence[str]) -> dict[str, Any]:
    """Decode a record.

    Raises
    ------
    ValueError
        If there is none, it belongs to something else or to another format, or a field is missing.
    """
    if text is None:
        raise ValueError(
            f"this .weights.h5 file carries no '{_ATTRIBUTE}' record; it was not written by this package. "
            "Load it with MambaModel.load_weights, or train again"
        )
    record: dict[str, Any] = json.loads(text)
    if record.get("format") != _FORMAT:
        raise ValueError(
            f"weights of format {record.get('format')}, this version reads {_FORMAT}; train again"
        )
    if record.get("kind") != kind:
        raise ValueError(f"this file holds {record.get('kind')!r}, not {kind!r}; read the other asset")
    if missing := sorted(set(needed) - set(record)):
        raise ValueError(f"the record of these weights is damaged: '{missing[0]}' is missing; train again")
    return record


def history_record(history: Sequence[Mapping[str, float]]) -> dict[str, list[float]]:
    """Return a history by column: each name once, not once per epoch."""
    return {name: [entry[name] for entry in history] for name in (history[0] if history else ())}


def history_from(columns: Mapping[str, Sequence[float]]) -> tuple[dict[str, float], ...]:
    """Read what :func:`history_record` made."""
    return tuple(dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True))


def require_shapes(arrays: Arrays, wanted: Mapping[str, tuple[int, ...]]) -> None:
    """Raise ``ValueError`` naming the first weight that is missing, misshaped or too many."""
    found = {path: np.shape(array) for path, array in arrays.items()}
    for path in sorted(set(found) | set(wanted)):
        if found.get(path) != wanted.get(path):
            raise ValueError(
                f"weight {path} has shape {found.get(path, 'none, it is missing')}, the configuration says "
                f"{wanted.get(path, 'there is no such weight')}; the file is damaged or mixed up: train again"
            )
