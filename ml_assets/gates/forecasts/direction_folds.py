"""Gate on the folds of a direction report: each equals what prices alone give that end with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ml_assets.forecasts.direction import WalkForwardReport
from ml_assets.gates._verdict import Tally, all_pass, require, verdict
from ml_assets.gates.core import GateResult
from ml_assets.gates.data._disjoint import require_disjoint
from ml_assets.gates.forecasts.report import Known, ReportEvidence, folds_recorded
from ml_assets.prices import PriceHistory
from ml_assets.windows.sequences import SequenceSet

if TYPE_CHECKING:
    from ml_assets.mamba.base_weights import MambaBaseWeights

__all__ = ["DirectionEvidence", "folds_sealed"]


@dataclass(frozen=True)
class DirectionEvidence(ReportEvidence):
    """What a direction report is judged by.

    Parameters
    ----------
    base : MambaBaseWeights or None
        The base model that folds may have started from: then it knows no day of their validation.
    rebuild : callable
        ``(prices, test days) -> SequenceSet`` of one fold, from raw prices.
    """

    base: MambaBaseWeights | None
    rebuild: Callable[[PriceHistory, int], SequenceSet]


def folds_sealed(evidence: DirectionEvidence, report: WalkForwardReport) -> GateResult:
    """Each fold is rebuilt from the prices up to it; what it was trained on ends before its test days."""
    folds = evidence.folds
    known = [Known(len(f.positions("train")), str(f.train_end), str(f.validation_end)) for f in folds]
    recorded = folds_recorded(folds, known, report)
    return all_pass("folds_sealed", [recorded, _rebuilt(evidence, report)]) if recorded.passed else recorded


def _rebuilt(evidence: DirectionEvidence, report: WalkForwardReport) -> GateResult:
    symbol, prices = report.symbol, evidence.prices

    def inspect(tally: Tally) -> str:
        for record, fold in zip(report.folds, evidence.folds, strict=True):
            where = f"{symbol} fold {record.number}"
            cut = replace(prices, frame=prices.frame.iloc[: len(fold.dates)])
            again = replace(evidence.rebuild(cut, len(fold.positions("test"))), folds=fold.folds)
            require(
                again.to_bytes() == fold.to_bytes(),
                f"{where}: its sequences are not those of the prices up to {fold.dates[-1]}",
            )
            tally.checked += fold.features.size
            parts = {name: fold.positions(name) for name in ("train", "validation", "test")}
            require_disjoint(where, fold.dates, parts, fold.horizon, fold.window)
            if record.origin != "scratch":
                _require_ignorant(where, fold, evidence.base)
        return f"{symbol}: {len(report.folds)} folds equal those of the prices up to them"

    return verdict("folds_sealed", inspect)


def _require_ignorant(where: str, fold: SequenceSet, base: MambaBaseWeights | None) -> None:
    """The base model that a fold started from knows no day of the fold's validation."""
    require(base is not None, f"{where}: started from a base model, but none was read")
    assert base is not None
    start = fold.dates[fold.positions("validation")[0] - fold.window + 1]
    end = fold.as_of("validation")[-1]
    require(
        np.datetime64(base.boundary) <= start and np.datetime64(base.known_until) <= end,
        f"{where}: the base model was trained on days before {base.boundary} and chosen by "
        f"days until {base.known_until}; the validation reads from {start} and ends on {end}",
    )
