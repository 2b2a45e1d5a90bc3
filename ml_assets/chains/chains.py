"""Option chains as an artifact: clean quotes, the forwards they imply, and the account of both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import pandas as pd

from ml_assets.chains._parquet import decode, encode, frame_of, plain_columns
from ml_assets.chains.cleaning import clean_quotes
from ml_assets.chains.parity import fit_forwards
from ml_assets.chains.reading import ChainRows
from ml_assets.prices.report import CleaningReport

__all__ = ["OptionChains"]


@dataclass(frozen=True, eq=False)
class OptionChains:
    """Quotes of options at the close of several days.

    Parameters
    ----------
    quotes : pandas.DataFrame
        ``date``, ``underlying``, ``expiry``, ``at_open`` (settled in the morning of the expiry), ``strike``,
        ``call``, ``bid``, ``ask``, ``spot`` (NaN where the source has none); sorted by the first six, each
        option of a day once. Currency units of the source.
    forwards : pandas.DataFrame
        Forward and discount factor of each expiry of a day, see
        :func:`ml_assets.chains.parity.fit_forwards`.
    refused : pandas.DataFrame
        Expiries of a day without a credible forward, each with its ``reason`` and the ``value`` found.
    report : CleaningReport
        What became of every row read.
    simulated : bool
        Whether no market has seen these quotes.
    """

    kind: ClassVar[str] = "option_chains"
    extension: ClassVar[str] = ".parquet"

    quotes: pd.DataFrame
    forwards: pd.DataFrame
    refused: pd.DataFrame
    report: CleaningReport
    simulated: bool

    @classmethod
    def from_rows(
        cls, parts: Sequence[ChainRows], source: str, *, notes: Sequence[str] = (), simulated: bool = False
    ) -> Self:
        """Clean what was read and fit the forwards; see :func:`ml_assets.chains.cleaning.clean_quotes`."""
        quotes, report = clean_quotes(parts, source, notes)
        return cls(quotes, *fit_forwards(quotes), report, simulated)

    @property
    def days(self) -> pd.DatetimeIndex:
        """The days that have quotes."""
        return pd.DatetimeIndex(self.quotes["date"].unique())

    @property
    def refusals(self) -> dict[str, int]:
        """Number of expiries refused, by reason."""
        return {str(reason): int(count) for reason, count in self.refused["reason"].value_counts().items()}

    def with_quotes(self, quotes: pd.DataFrame) -> Self:
        """Return the same chains with other bids and asks; forwards and account stay."""
        return type(self)(quotes, self.forwards, self.refused, self.report, self.simulated)

    def to_bytes(self) -> bytes:
        """Encode as Parquet; forwards, refusals and report stand in the schema's metadata.

        Equal chains give equal bytes (under the same pyarrow release).
        """
        facts = {
            "forwards": plain_columns(self.forwards),
            "refused": plain_columns(self.refused),
            "report": self.report.to_json(),
            "simulated": self.simulated,
        }
        return encode(self.quotes, self.kind, facts)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Decode what :meth:`to_bytes` wrote; raises ValueError on anything else."""
        quotes, facts = decode(data, cls.kind)
        return cls(
            quotes,
            frame_of(facts["forwards"]),
            frame_of(facts["refused"]),
            CleaningReport.from_json(facts["report"]),
            facts["simulated"],
        )
