"""What holds for the report of any target: all sealed days, sealed folds, forecasts again, attempts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ml_assets.forecasts.attempts import Attempt, attempt_number
from ml_assets.forecasts.forecaster import TrainedModel, fold_rows
from ml_assets.forecasts.report import Record, Report
from ml_assets.forecasts.walk_forward import champion_record
from ml_assets.gates._verdict import Tally, all_pass, require, verdict
from ml_assets.gates.core import GateResult
from ml_assets.gates.forecasts.champion import champion_asked
from ml_assets.prices import PriceHistory
from ml_assets.windows.rolling import Floats
from ml_assets.windows.sequence_set import SequenceSet

__all__ = [
    "Known",
    "ReportEvidence",
    "attempts_counted",
    "every_test_day_scored",
    "folds_recorded",
    "predictions_reproduced",
    "retrained_fold",
]


@dataclass(frozen=True)
class ReportEvidence:
    """What a report is judged by, whatever it forecasts.

    Parameters
    ----------
    lineage : callable
        ``() -> GateResult`` on the certificates of what the report was made from.
    prices : PriceHistory
        The certified prices.
    sequences : SequenceSet
        The certified sequences; its folds were trained on and scored.
    horizons : tuple of int
        Days ahead that are due.
    forecast : callable
        ``(fold number) -> forecasts (test rows, H)``: from the certified weights for the last fold, from a
        training done again for another.
    retrained : int
        The earlier fold that is trained again: see `retrained_fold`.
    served : mapping of int to (str, TrainedModel)
        By horizon: version and model in service, where it is another than the one that is scored.
    earlier : sequence of Attempt
        The certified reports of the symbol that the store keeps.
    """

    lineage: Callable[[], GateResult]
    prices: PriceHistory
    sequences: SequenceSet
    horizons: tuple[int, ...]
    forecast: Callable[[int], Floats]
    retrained: int
    served: Mapping[int, tuple[str, TrainedModel]]
    earlier: Sequence[Attempt]

    @property
    def folds(self) -> list[SequenceSet]:
        """The sequences as they stood at each fold."""
        return [self.sequences.fold(number + 1) for number in range(self.sequences.folds)]


@dataclass(frozen=True)
class Known:
    """What the model of a fold knew: training rows, and the days on which the last labels end (ISO)."""

    training_rows: int
    trained_until: str
    known_until: str


def every_test_day_scored(
    prices: PriceHistory,
    sequences: SequenceSet,
    horizons: tuple[int, ...],
    report: Report,
    *,
    overlapping: bool,
) -> GateResult:
    """One forecast per sealed day and horizon wherever the outcome is known; none dropped, none added.

    The sealed days are counted from the end of the ledger, not taken from the folds.

    Parameters
    ----------
    prices, sequences, horizons
        As in `ReportEvidence`.
    report : Report
        The candidate.
    overlapping : bool
        Whether outcomes may share days with each other; else every h-th day is due.
    """
    symbol = report.symbol

    def inspect(tally: Tally) -> str:
        require(
            report.horizons == horizons,
            f"{symbol}: horizons {report.horizons} were scored, {horizons} are due",
        )
        ledger = sequences.ledger
        sealed = int((ledger["split"] == "test").sum()) * sequences.folds
        days = ledger["as_of"].to_numpy()[-sealed:].astype("datetime64[D]")
        history = prices.dates.to_numpy().astype("datetime64[D]")
        for score in report.scores:
            step = 1 if overlapping else score.horizon
            expected = [str(d) for d in days[::step] if d <= history[-1 - score.horizon]]
            missing = sorted(set(expected) - set(score.dates))
            extra = sorted(set(score.dates) - set(expected))
            values = (score.dates, score.forecast, score.realized, score.baseline_forecast)
            require(
                score.dates == expected and {len(v) for v in values} == {len(expected)},
                f"{symbol} over {score.horizon} day(s): {len(score.dates)} days scored, {len(expected)} "
                f"sealed ones have an outcome; missing {missing[:3]}, not sealed {extra[:3]}",
            )
            tally.checked += len(expected)
        return f"{symbol}: every sealed day scored once at horizons {report.horizons}"

    return verdict("every_test_day_scored", inspect)


def folds_recorded(folds: Sequence[SequenceSet], known: Sequence[Known], report: Report) -> GateResult:
    """What each fold's model knew ends before its test windows begin, and the report records it so.

    Parameters
    ----------
    folds : sequence of SequenceSet
        Cut from the certified sequences.
    known : sequence of Known
        Of the model of each fold.
    report : Report
        The candidate.
    """
    symbol = report.symbol

    def inspect(tally: Tally) -> str:
        numbers, due = [fold.number for fold in report.folds], list(range(1, len(folds) + 1))
        require(numbers == due, f"{symbol}: folds {numbers} reported, {due} exist")
        for record, fold, of in zip(report.folds, folds, known, strict=True):
            test, where = fold.as_of("test"), f"{symbol} fold {record.number}"
            begins = fold.dates[fold.positions("test")[0] - fold.window + 1]
            scored = sum(str(test[0]) <= day <= str(test[-1]) for day in report.dates)
            found = (
                record.training_rows, record.trained_until, record.known_until, record.first_day,
                record.last_day, record.days,
            )  # fmt: skip
            expected = (
                of.training_rows, of.trained_until, of.known_until, str(test[0]), str(test[-1]), scored,
            )  # fmt: skip
            require(found == expected, f"{where}: recorded {found}, the ledger says {expected}")
            require(
                bool(np.datetime64(of.known_until) < begins),
                f"{where}: labels end on {of.known_until}, test windows begin on {begins}",
            )
            tally.checked += of.training_rows + test.size
        return f"{symbol}: {len(folds)} folds, each trained and validated on days before its own"

    return verdict("folds_sealed", inspect)


def predictions_reproduced(evidence: ReportEvidence, report: Report) -> GateResult:
    """Forecast again: the report's values must come out, bit for bit, and those of the model in service."""
    asked = [
        champion_asked(evidence.sequences, score.champion, evidence.served.get(score.horizon))
        for score in report.scores
    ]
    return all_pass("predictions_reproduced", [*asked, _reproduced(evidence, report)])


def _reproduced(evidence: ReportEvidence, report: Report) -> GateResult:
    symbol, folds = report.symbol, evidence.folds
    numbers = sorted({evidence.retrained, len(folds)})

    def inspect(tally: Tally) -> str:
        for number in numbers:
            again, fold = evidence.forecast(number), folds[number - 1]
            row = {str(day): i for i, day in enumerate(fold.as_of("test"))}
            for i, score in enumerate(report.scores):
                where = f"over {score.horizon} day(s)"
                require(
                    len(score.dates) == len(score.forecast),
                    f"{symbol} {where}: {len(score.dates)} days, {len(score.forecast)} forecasts",
                )
                mine = [(d, v) for d, v in zip(score.dates, score.forecast, strict=True) if d in row]
                require(bool(mine), f"{symbol} fold {number}: no forecast {where}")
                tally.checked += len(mine)
                wrong = [(d, v) for d, v in mine if v != again[row[d], i]]
                if wrong:
                    day, reported = wrong[0]
                    require(
                        False,
                        f"{symbol} {day} {where}: reported {reported!r}, the weights say "
                        f"{float(again[row[day], i])!r}; {len(wrong)} of {len(mine)} differ in fold {number}",
                    )
        newest = fold_rows(evidence.prices.frame, evidence.sequences, evidence.horizons)[-1]
        for score in report.scores:
            served = evidence.served.get(score.horizon)
            due = None if served is None else champion_record(newest, score, *served)
            tally.checked += len(due.dates) if due else 0
            require(
                score.champion == due,
                f"{symbol} over {score.horizon} day(s): the record of the model in service "
                f"({_said(score.champion)}) is not what it says when asked again ({_said(due)})",
            )
        return f"{symbol}: {tally.checked} forecasts of folds {numbers} reproduced exactly"

    return verdict("predictions_reproduced", inspect)


def _said(record: Record | None) -> str:
    if record is None:
        return "none"
    return f"{len(record.dates)} days by {record.weights_sha256[:12]}, first {record.forecast[:1]}"


def attempts_counted(report: Report, earlier: Sequence[Attempt]) -> GateResult:
    """The number of attempts on these days is that of the reports in the store.

    Parameters
    ----------
    report : Report
        The candidate.
    earlier : sequence of Attempt
        The certified reports of the symbol that the store keeps.
    """
    symbol = report.symbol

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


def retrained_fold(weights_sha256: str, folds: int) -> int:
    """Which fold a gate trains again: by the weights' hash, so that nobody chooses; the only one if so."""
    return 1 + int(weights_sha256[:8], 16) % max(1, folds - 1)
