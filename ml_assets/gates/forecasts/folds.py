"""Gates on the folds of a walk-forward score: each stands on days before it, and the tries are counted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ml_assets.forecasts.attempts import Attempt, attempt_number, earlier_reports
from ml_assets.forecasts.direction import WalkForwardReport
from ml_assets.gates._verdict import Tally, require, verdict
from ml_assets.gates.core import GateResult
from ml_assets.gates.data._disjoint import require_disjoint
from ml_assets.prices import PriceHistory
from ml_assets.storage import ArtifactStore
from ml_assets.windows.sequences import SequenceSet

if TYPE_CHECKING:
    from ml_assets.mamba.base_weights import MambaBaseWeights

__all__ = ["attempts_counted", "folds_sealed", "retrained_fold", "same_count"]

Rebuild = Callable[[PriceHistory, int], SequenceSet]


def folds_sealed(
    prices: PriceHistory,
    sequences: SequenceSet,
    report: WalkForwardReport,
    base: MambaBaseWeights | None,
    rebuild: Rebuild,
) -> GateResult:
    """Each fold equals what prices alone give that end with it; what it was trained on ends before its test.

    Parameters
    ----------
    prices : PriceHistory
        The certified prices.
    sequences : SequenceSet
        The certified sequences; its folds were trained on and scored.
    report : WalkForwardReport
        The candidate.
    base : MambaBaseWeights or None
        The base model that folds may have started from: then it knows no day of their validation.
    rebuild : callable
        ``(prices, test days) -> SequenceSet`` of one fold, from raw prices.

    Returns
    -------
    GateResult
        On failure: the symbol, the fold and both days.
    """
    symbol = sequences.symbol

    def inspect(tally: Tally) -> str:
        numbers = range(1, sequences.folds + 1)
        require(
            [fold.number for fold in report.folds] == list(numbers),
            f"{symbol}: folds {[fold.number for fold in report.folds]} reported, {list(numbers)} exist",
        )
        for number in numbers:
            fold = sequences.fold(number)
            cut = replace(prices, frame=prices.frame.iloc[: len(fold.dates)])
            again = replace(rebuild(cut, len(fold.positions("test"))), folds=fold.folds)
            require(
                again.to_bytes() == fold.to_bytes(),
                f"{symbol} fold {number}: its sequences are not those of the prices up to {fold.dates[-1]}",
            )
            tally.checked += fold.features.size
            parts = {name: fold.positions(name) for name in ("train", "validation", "test")}
            require_disjoint(f"{symbol} fold {number}", fold.dates, parts, fold.horizon, fold.window)
            _require_recorded(symbol, report, number, fold)
            if report.folds[number - 1].origin != "scratch":
                _require_ignorant(symbol, number, fold, base)
        return f"{symbol}: {sequences.folds} folds, each trained and validated on days before its own"

    return verdict("folds_sealed", inspect)


def _require_ignorant(symbol: str, number: int, fold: SequenceSet, base: MambaBaseWeights | None) -> None:
    """The base model that a fold started from knows no day of the fold's validation."""
    require(base is not None, f"{symbol} fold {number}: started from a base model, but none was read")
    assert base is not None
    start = fold.dates[fold.positions("validation")[0] - fold.window + 1]
    end = fold.as_of("validation")[-1]
    require(
        np.datetime64(base.boundary) <= start and np.datetime64(base.known_until) <= end,
        f"{symbol} fold {number}: the base model was trained on days before {base.boundary} and chosen by "
        f"days until {base.known_until}; the validation reads from {start} and ends on {end}",
    )


def _require_recorded(symbol: str, report: WalkForwardReport, number: int, fold: SequenceSet) -> None:
    record, test = report.folds[number - 1], fold.as_of("test")
    found = (record.training_rows, record.trained_until, record.first_day, record.last_day)
    expected = (len(fold.positions("train")), str(fold.train_end), str(test[0]), str(test[-1]))
    require(found == expected, f"{symbol} fold {number}: recorded {found}, the ledger says {expected}")


def attempts_counted(store: ArtifactStore, report: WalkForwardReport) -> GateResult:
    """The number of attempts on these days is that of the reports in the store.

    Parameters
    ----------
    store : ArtifactStore
        Holds the earlier reports of the symbol.
    report : WalkForwardReport
        The candidate.
    """

    return same_count(report.symbol, report, earlier_reports(store, report.symbol))


def same_count(symbol: str, report: Attempt, earlier: Sequence[Attempt]) -> GateResult:
    """Count the attempts of a report once more, whatever it forecasts.

    Parameters
    ----------
    symbol : str
    report : Attempt
        The candidate.
    earlier : sequence of Attempt
        The certified reports of the symbol that the store keeps.
    """

    def inspect(tally: Tally) -> str:
        tally.checked = 1 + len(earlier)
        expected = attempt_number(report, earlier)
        require(
            report.attempt == expected,
            f"{symbol}: attempt {report.attempt} reported, {expected} by the {len(earlier)} reports kept",
        )
        tally.figures["attempt"] = expected
        return f"{symbol}: attempt {expected} on these days, by {len(earlier)} earlier reports"

    return verdict("attempts_counted", inspect)


def retrained_fold(weights_sha256: str, folds: Sequence[SequenceSet]) -> int:
    """Which fold a gate trains again: by the weights' hash, so that nobody chooses; the only one if so."""
    return 1 + int(weights_sha256[:8], 16) % max(1, len(folds) - 1)
