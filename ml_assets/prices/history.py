"""The clean price history of one symbol: the first artifact of the pipeline."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ml_assets.prices.report import CleaningReport

__all__ = ["COLUMNS", "PriceHistory"]

COLUMNS = ("open", "high", "low", "close", "volume")
"""The columns that a history may have, in their order; only ``close`` always is there."""

_FORMAT = b"1"


@dataclass(frozen=True, eq=False)
class PriceHistory:
    """Daily prices of one symbol, cleaned.

    Parameters
    ----------
    symbol : str
        The normalized symbol.
    frame : pandas.DataFrame
        Index ``date``: time-zone-naive midnights (``datetime64[ns]``), strictly increasing. Columns
        ``float64``: ``close``, adjusted for splits and dividends where the source has an adjusted close;
        ``open``, ``high``, ``low`` on the same scale and ``volume`` only where the source really has them.
        ``close`` is never missing; the others are NaN on days on which the source has no (credible) value.
        Prices are in the source's currency units.
    report : CleaningReport
        What became of each row that was read.

    Raises
    ------
    ValueError
        If the frame breaks one of these rules.
    """

    kind: ClassVar[str] = "prices"
    extension: ClassVar[str] = ".parquet"

    symbol: str
    frame: pd.DataFrame
    report: CleaningReport

    def __post_init__(self) -> None:
        object.__setattr__(self, "frame", _in_order(self.frame))

    def __len__(self) -> int:
        return len(self.frame)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PriceHistory):
            return NotImplemented
        same = (self.symbol, self.report) == (other.symbol, other.report)
        return same and self.frame.equals(other.frame)

    def __hash__(self) -> int:
        return hash((self.symbol, len(self.frame)))

    @property
    def dates(self) -> pd.DatetimeIndex:
        """The days of the history."""
        return pd.DatetimeIndex(self.frame.index)

    def to_bytes(self) -> bytes:
        """Encode as Parquet; symbol and report stand in the schema's metadata.

        Returns
        -------
        bytes
            Equal for equal histories (under the same pyarrow release, which Parquet records in its footer).
        """
        days = pa.array(self.dates.to_numpy().astype("datetime64[D]"))
        numbers = {name: pa.array(self.frame[name].to_numpy(), from_pandas=False) for name in self.frame}
        report = self.report.to_json()
        table = pa.table(
            {"date": days, **numbers},
            metadata={b"format": _FORMAT, b"symbol": self.symbol.encode(), b"report": report.encode()},
        )
        sink = io.BytesIO()
        pq.write_table(table, sink, compression="zstd", use_dictionary=False)
        return sink.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Decode what :meth:`to_bytes` wrote.

        Raises
        ------
        ValueError
            If the bytes are no price history.
        """
        try:
            table = pq.read_table(io.BytesIO(data))
        except pa.ArrowException as error:
            raise ValueError(
                f"these bytes are no Parquet file ({error}); publish the prices again"
            ) from error
        metadata = table.schema.metadata or {}
        if metadata.get(b"format") != _FORMAT:
            raise ValueError(
                "this Parquet file is no price history of this version; publish the prices again"
            )
        days = table.column("date").to_numpy().astype("datetime64[ns]")
        frame = table.drop_columns(["date"]).to_pandas().set_axis(pd.DatetimeIndex(days, name="date"))
        report = CleaningReport.from_json(metadata[b"report"].decode())
        return cls(metadata[b"symbol"].decode(), frame, report)


def _in_order(frame: pd.DataFrame) -> pd.DataFrame:
    """Check the shape of a frame and return a copy with its columns in canonical order."""
    index = frame.index
    if not isinstance(index, pd.DatetimeIndex) or index.dtype != np.dtype("datetime64[ns]"):
        raise ValueError(f"a price history is indexed by naive datetime64[ns] days, not by {index.dtype}")
    if not index.equals(index.normalize()):
        raise ValueError("a price history is indexed by days; drop the time of day first")
    if not (index.is_monotonic_increasing and index.is_unique):
        raise ValueError(
            "the days of a price history must strictly increase; sort them and drop duplicates first"
        )
    unknown = [name for name in frame.columns if name not in COLUMNS]
    if unknown or "close" not in frame.columns:
        raise ValueError(
            f"a price history has the columns {COLUMNS} with 'close' among them, not {list(frame.columns)}"
        )
    ordered = frame[[name for name in COLUMNS if name in frame.columns]].astype("float64")
    ordered.index = pd.DatetimeIndex(index.to_numpy(), name="date")
    ordered.columns.name = None
    return ordered
