"""Gates on a report of variance forecasts: all sealed days, figures from raw prices, forecasts again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.special import stdtr

from ml_assets.forecasts.variance.report import HorizonScore, VarianceRecord, VolatilityReport
from ml_assets.gates._verdict import Tally, Violation, require, verdict
from ml_assets.gates.core import GateResult
from ml_assets.gates.forecasts._variance_baselines import recomputed_rivals
from ml_assets.prices import PriceHistory
from ml_assets.windows.sequence_set import SequenceSet

if TYPE_CHECKING:
    from ml_assets.forecasts.variance.rows import VarianceSet

__all__ = ["forecasts_reproduced", "variance_days_scored", "variance_figures", "variance_folds"]

Floats = npt.NDArray[np.float64]

# Rules are fitted by the same search (and judged by another), but on sums that differ in their last bits.
_NEAR = {"har_qlike": 1e-4, "har_range": 1e-4}
_EXACT = 1e-6


def variance_days_scored(
    prices: PriceHistory, sequences: SequenceSet, report: VolatilityReport
) -> GateResult:
    """One forecast per sealed day and horizon wherever the outcome is known; none dropped, none added.

    The sealed days are counted from the end of the ledger, not taken from the folds.
    """
    symbol = report.symbol

    def inspect(tally: Tally) -> str:
        ledger = sequences.ledger
        sealed = int((ledger["split"] == "test").sum()) * sequences.folds
        days = ledger["as_of"].to_numpy()[-sealed:].astype("datetime64[D]")
        history = prices.dates.to_numpy().astype("datetime64[D]")
        for score in report.scores:
            last = history[-1 - score.horizon]
            expected = [str(d) for d in days if d <= last]
            missing, extra = (
                sorted(set(expected) - set(score.dates)),
                sorted(set(score.dates) - set(expected)),
            )
            lengths = {
                len(score.forecast),
                len(score.realized),
                len(score.baseline_forecast),
                len(score.dates),
            }
            require(
                score.dates == expected and lengths == {len(expected)},
                f"{symbol} over {score.horizon} day(s): {len(score.dates)} days scored, {len(expected)} "
                "sealed ones "
                f"have an outcome; missing {missing[:3]}, not sealed {extra[:3]}",
            )
            tally.checked += len(expected)
        require(bool(report.scores), f"{symbol}: no horizon was scored")
        return f"{symbol}: every sealed day scored once at horizons {report.horizons}"

    return verdict("every_test_day_scored", inspect)


def variance_folds(
    folds: Sequence[SequenceSet], rows: Sequence[VarianceSet], report: VolatilityReport
) -> GateResult:
    """What each fold's model knew ends before its test windows begin, and the report records it so.

    Parameters
    ----------
    folds : sequence of SequenceSet
        Cut from the certified sequences.
    rows : sequence of VarianceSet
        What the model of each fold was trained on; other gates judge them.
    report : VolatilityReport
    """
    symbol = report.symbol

    def inspect(tally: Tally) -> str:
        numbers = [fold.number for fold in report.folds]
        require(
            numbers == list(range(1, len(folds) + 1)), f"{symbol}: folds {numbers} of {len(folds)} reported"
        )
        for record, fold, of in zip(report.folds, folds, rows, strict=True):
            test = fold.as_of("test")
            begins = fold.dates[fold.positions("test")[0] - fold.window + 1]
            found = (
                record.training_rows,
                record.trained_until,
                record.known_until,
                record.first_day,
                record.last_day,
            )
            expected = (len(of.train), of.trained_until, of.known_until, str(test[0]), str(test[-1]))
            require(
                found == expected, f"{symbol} fold {record.number}: recorded {found}, the rows say {expected}"
            )
            require(
                bool(np.datetime64(of.known_until) < begins),
                f"{symbol} fold {record.number}: labels end on {of.known_until}, test windows begin on "
                f"{begins}",
            )
            tally.checked += len(of.train) + len(of.validation) + test.size
        return f"{symbol}: {len(folds)} folds, each trained and validated on days before its own"

    return verdict("folds_sealed", inspect)


def variance_figures(
    prices: PriceHistory, folds: Sequence[SequenceSet], report: VolatilityReport
) -> GateResult:
    """Recompute outcomes, losses, baselines and p-values from the raw prices, by other code.

    Of the sequences only the positions of the parts are used.
    """
    symbol = report.symbol

    def inspect(tally: Tally) -> str:
        place = {str(d.date()): i for i, d in enumerate(prices.dates)}
        logs = np.log(prices.frame["close"].to_numpy())
        for score in report.scores:
            where = f"{symbol} over {score.horizon} day(s)"
            at = np.array([place.get(date, -1) for date in score.dates], dtype=np.intp)
            require(bool(at.size) and at.min() >= 0, f"{where}: a scored day is none of the price history")
            require(
                at.max() + score.horizon < len(logs), f"{where}: no price {score.horizon} days after the last"
            )
            lengths = {len(score.forecast), len(score.realized), len(score.baseline_forecast)}
            require(lengths == {at.size}, f"{where}: {at.size} days, but {sorted(lengths)} values")
            steps = np.diff(logs[at[:, None] + np.arange(score.horizon + 1)], axis=1)
            _same(where, score, "outcome", np.array(score.realized), np.square(steps).sum(axis=1))
            bounds = [fold.positions("test") for fold in folds]
            parts = [at[(at >= test[0]) & (at <= test[-1])] for test in bounds]
            forecasts = recomputed_rivals(symbol, prices.frame, folds, parts, score.horizon)
            _compare(where, score, forecasts, tally)
        return f"{symbol}: outcomes and {tally.checked} figures equal those from the raw prices"

    return verdict("figures_recomputed", inspect)


def _compare(where: str, score: HorizonScore, forecasts: dict[str, Floats], tally: Tally) -> None:
    x, model = np.array(score.realized), np.array(score.forecast)
    best = np.array(score.baseline_forecast)
    named = {"model": model, **forecasts}
    require(
        set(score.qlike) == set(named) == set(score.mse),
        f"{where}: scored {sorted(score.qlike)}, not {sorted(named)}",
    )
    require(set(score.p_values) == set(forecasts), f"{where}: p-values of {sorted(score.p_values)}")
    lowest = min(forecasts, key=lambda name: score.qlike[name])
    require(
        score.best_baseline == lowest,
        f"{where}: best baseline {score.best_baseline} reported, {lowest} is it",
    )
    apart = float(np.mean(np.abs(np.log(best / forecasts[lowest]))))
    require(
        apart <= _NEAR.get(lowest, _EXACT),
        f"{where}: forecasts of {lowest} are {apart:.4f} from the recomputed ones",
    )
    ours = np.log(model) + x / model
    percent = 1e4 / score.horizon
    for name, f in named.items():
        loss = np.log(f) + x / f
        slack = _NEAR.get(name, _EXACT)
        due = {"QLIKE": float(loss.mean()), "MSE": float(np.mean(((f - x) * percent) ** 2))}
        said = {"QLIKE": score.qlike[name], "MSE": score.mse[name]}
        if name in score.p_values:
            # Against the best one exactly, by the forecasts that are stored.
            rival = np.log(best) + x / best if name == lowest else loss
            due["p"], said["p"] = _p_value(ours - rival), score.p_values[name]
        room = {"QLIKE": slack, "MSE": 2 * slack * due["MSE"], "p": _EXACT if name == lowest else 5 * slack}
        for figure, value in due.items():
            tally.checked += 1
            require(
                abs(said[figure] - value) <= room[figure] + 1e-9 * abs(value),
                f"{where}: {figure} of {name} is {said[figure]} as reported, {value} recomputed",
            )
    level = float(np.mean(x / model))
    require(
        abs(score.calibration - level) <= 1e-9 * level,
        f"{where}: calibration {score.calibration}, not {level}",
    )
    tally.figures[f"qlike_{score.horizon}"] = score.qlike["model"]


def _p_value(difference: Floats) -> float:
    """The lowest frequencies by projection on sines and cosines; the product uses the fast transform."""
    n = difference.size
    if n < 30 or float(np.ptp(difference)) < 1e-15:
        return 1.0
    m = next(k for k in range(1, n + 1) if (k + 1) ** 3 > n)
    angle = 2 * np.pi * np.outer(np.arange(1, m + 1), np.arange(n)) / n
    power = ((np.cos(angle) @ difference) ** 2 + (np.sin(angle) @ difference) ** 2) / n
    return float(stdtr(2 * m, difference.sum() / np.sqrt(n * power.mean())))


def _same(where: str, score: HorizonScore, what: str, found: Floats, due: Floats) -> None:
    require(found.shape == due.shape, f"{where}: {found.size} of {what}, {due.size} days")
    wrong = np.flatnonzero(~np.isclose(found, due, rtol=1e-9, atol=1e-15))
    if wrong.size:
        i = int(wrong[0])
        raise Violation(
            f"{where}, {score.dates[i]}: reported {what} {found[i]!r}, prices say {float(due[i])!r}"
        )


def forecasts_reproduced(
    folds: Sequence[SequenceSet],
    report: VolatilityReport,
    predict: Callable[[int], Floats],
    retrained: int,
    champion: Callable[[HorizonScore], VarianceRecord | None],
) -> GateResult:
    """Forecast again: the report's variances must come out, bit for bit, and those of the model in service.

    Parameters
    ----------
    folds : sequence of SequenceSet
        As they stood at each fold.
    report : VolatilityReport
    predict : callable
        ``(fold number) -> variances (test rows, H)``: from the certified weights for the last fold, from a
        training done again for another.
    retrained : int
        The earlier fold that is trained again; which one, is decided by the weights' hash, not by the report.
    champion : callable
        ``(score) -> record`` of the model in service, computed again; None where there is no other model.
    """
    symbol = report.symbol

    def inspect(tally: Tally) -> str:
        for number in sorted({retrained, len(folds)}):
            again = predict(number)
            days = {str(day): i for i, day in enumerate(folds[number - 1].as_of("test"))}
            for i, score in enumerate(report.scores):
                require(
                    len(score.dates) == len(score.forecast),
                    f"{symbol} over {score.horizon} day(s): {score.days} days, {len(score.forecast)} "
                    "forecasts",
                )
                mine = [(days[d], v) for d, v in zip(score.dates, score.forecast, strict=True) if d in days]
                require(bool(mine), f"{symbol} fold {number}: no forecast over {score.horizon} day(s)")
                tally.checked += len(mine)
                for row, reported in mine:
                    require(
                        reported == again[row, i],
                        f"{symbol} {folds[number - 1].as_of('test')[row]} over {score.horizon} day(s): "
                        "reported "
                        f"{reported!r}, the weights say {float(again[row, i])!r}",
                    )
        for score in report.scores:
            due = champion(score)
            tally.checked += len(due.dates) if due else 0
            require(
                score.champion == due,
                f"{symbol} over {score.horizon} day(s): the record of the model in service "
                f"({_said(score.champion)}) is not what it says when asked again ({_said(due)})",
            )
        numbers = sorted({retrained, len(folds)})
        return f"{symbol}: {tally.checked} forecasts of folds {numbers} reproduced exactly"

    return verdict("forecasts_reproduced", inspect)


def _said(record: VarianceRecord | None) -> str:
    if record is None:
        return "none"
    return f"{len(record.dates)} days by {record.weights_sha256[:12]}, first {record.forecast[:1]}"
