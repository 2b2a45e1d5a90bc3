"""Gate on the record of the model in service: that it cannot be asked is no excuse, but a fact."""

from __future__ import annotations

from typing import Protocol

from ml_assets.forecasts.report import Record
from ml_assets.gates._verdict import Tally, require, verdict
from ml_assets.gates.core import GateResult
from ml_assets.windows.sequence_set import SequenceSet

__all__ = ["Reads", "champion_asked"]


class Reads(Protocol):
    """What a model's weights say that it reads."""

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of its features, in order."""

    @property
    def window(self) -> int:
        """Days of a window."""


def champion_asked(
    sequences: SequenceSet,
    record: Record | None,
    served: tuple[str, Reads] | None,
) -> GateResult:
    """Require a record of the very model in service, marked as beyond asking exactly where it is.

    Parameters
    ----------
    sequences : SequenceSet
        What the new model was scored on.
    record : Record, optional
        Of the report.
    served : (str, weights), optional
        Version and weights of the model in service, if it is not the new one itself.
    """

    def inspect(tally: Tally) -> str:
        tally.checked = 1
        version = None if served is None else served[0]
        told = None if record is None else record.weights_sha256
        require(told == version, f"{sequences.symbol}: in service is {version}, the record is of {told}")
        if served is None or record is None:
            return f"{sequences.symbol}: no other model in service"
        model, gone = served[1], []
        if list(model.feature_names) != list(sequences.feature_names):
            gone.append(f"{len(model.feature_names)} features, not these {len(sequences.feature_names)}")
        if model.window != sequences.window:
            gone.append(f"windows of {model.window} days, not {sequences.window}")
        require(
            record.askable is not bool(gone) and not (gone and record.dates),
            f"{sequences.symbol}: {told} reads {gone or 'what there is'}, but its record says askable="
            f"{record.askable} with {len(record.dates)} days",
        )
        return f"{sequences.symbol}: {str(told)[:12]} {'reads ' + '; '.join(gone) if gone else 'was asked'}"

    return verdict("champion_asked", inspect)
