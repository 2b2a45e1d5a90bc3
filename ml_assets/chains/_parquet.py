"""Frames of options as deterministic Parquet, with further tables and facts in the schema's metadata."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

__all__ = ["decode", "encode", "frame_of", "plain_columns"]

_DATES = ("date", "expiry")
_META = b"ml_assets"


def encode(frame: pd.DataFrame, kind: str, facts: Mapping[str, Any]) -> bytes:
    """Write a frame and JSON-able facts; equal input gives equal bytes under one pyarrow release."""
    text = json.dumps({"kind": kind, **facts}, allow_nan=False, ensure_ascii=False)
    columns = {name: _to_arrow(frame[name]) for name in frame.columns}
    sink = io.BytesIO()
    table = pa.table(columns).replace_schema_metadata({_META: text.encode()})
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()


def decode(data: bytes, kind: str) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Read what :func:`encode` wrote.

    Raises
    ------
    ValueError
        If the bytes are something else.
    """
    try:
        table = pq.read_table(io.BytesIO(data))
    except pa.ArrowException as error:
        raise ValueError(
            f"these bytes are no Parquet file ({error}); materialize the asset that wrote them again"
        ) from error
    facts: dict[str, Any] = json.loads((table.schema.metadata or {}).get(_META, b"{}"))
    if facts.pop("kind", None) != kind:
        raise ValueError(f"this Parquet file holds no {kind}; materialize the asset that wrote it again")
    return frame_of({name: table.column(name).to_numpy() for name in table.column_names}), facts


def plain_columns(frame: pd.DataFrame) -> dict[str, list[Any]]:
    """Columns of a small frame as plain values: dates as ISO texts, NaN as None."""
    columns = {}
    for name in frame.columns:
        values = frame[name].dt.strftime("%Y-%m-%d") if name in _DATES else frame[name]
        columns[name] = [None if value != value else value for value in values.tolist()]
    return columns


def frame_of(columns: Mapping[str, Any]) -> pd.DataFrame:
    """Make a frame of decoded columns: dates typed, texts as ``str``, None in numbers as NaN."""
    return pd.DataFrame({name: _typed(name, values) for name, values in columns.items()})


def _typed(name: str, values: Any) -> Any:
    if name in _DATES:
        return np.asarray(values, dtype="datetime64[ns]")
    if len(values) and isinstance(values[0], str):
        return pd.Series(values, dtype="str")
    if isinstance(values, list) and None in values:
        return np.array(values, dtype=np.float64)
    return values


def _to_arrow(column: pd.Series) -> pa.Array:
    if column.dtype.kind == "M":
        return pa.array(column.to_numpy().astype("datetime64[D]"))
    if column.dtype.kind in "fib":
        return pa.array(column.to_numpy(), from_pandas=False)
    return pa.array(column.tolist())
