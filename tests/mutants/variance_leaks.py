"""Variance rows, starts and reports that know too much, or a rival that knows too little."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from ml_assets.forecasts.report import Score
from ml_assets.forecasts.variance import VarianceSet, VolatilityReport
from ml_assets.forecasts.variance.losses import diebold_mariano, qlike
from ml_assets.forecasts.variance.start import StartRule, fit_start
from ml_assets.windows.labels import forward_returns, forward_variance
from ml_assets.windows.rolling import Floats
from ml_assets.windows.rows import split_column
from ml_assets.windows.scaling import fit_scale, normalize
from ml_assets.windows.sequence_set import SequenceSet
from tests.mutants.pipeline import (
    HORIZONS,
    Mutant,
    Rows,
    VarianceCase,
    VariancePipeline,
    clean_report,
    clean_variance,
    scored,
)

Change = Callable[[VarianceSet, SequenceSet, Floats], VarianceSet]


def _changed(change: Change) -> Rows:
    return lambda sequences, closes: change(
        clean_variance(sequences, closes), sequences, closes[: len(sequences.dates)]
    )


def _known(rows: VarianceSet, values: Floats) -> Floats:
    """Up to the last validation row, as the product keeps them."""
    return np.where(np.arange(len(rows.dates))[:, None] <= rows.validation[-1], values, np.nan)


def _all_labels(closes: Floats) -> Floats:
    return np.column_stack([forward_variance(closes, h) for h in HORIZONS])


def _labels(values: Callable[[Floats, int], Floats]) -> Change:
    return lambda rows, _, closes: replace(
        rows, labels=_known(rows, np.column_stack([values(closes, h) for h in HORIZONS]))
    )


def _of_filled(closes: Floats, h: int) -> Floats:
    """Every fiftieth close is missing and filled from the day before."""
    holes = pd.Series(np.where(np.arange(len(closes)) % 50 == 7, np.nan, closes))
    return forward_variance(holes.ffill().to_numpy(), h)


LABELS: dict[str, Callable[[Floats, int], Floats]] = {
    "variance label one day longer": lambda c, h: forward_variance(c, h + 1),
    "variance label begins a day early": lambda c, h: np.concatenate([[np.nan], forward_variance(c, h)[:-1]]),
    "variance label begins a day late": lambda c, h: np.concatenate([forward_variance(c, h)[1:], [np.nan]]),
    "variance label is the squared return": lambda c, h: forward_returns(c, h) ** 2,
    "variance label from filled prices": _of_filled,
    "variance label over the mean of all days": lambda c, h: (
        forward_variance(c, h) / np.nanmean(forward_variance(c, h))
    ),
}


def _with_rule(rows: VarianceSet, rule: StartRule, closes: Floats) -> VarianceSet:
    return replace(rows, rule=rule, start=_known(rows, rule.forecast(closes)))


def _fitted_until(last: Callable[[VarianceSet], int]) -> Change:
    """Fit the start on more than the training rows."""

    def change(rows: VarianceSet, _: SequenceSet, closes: Floats) -> VarianceSet:
        end, reach = last(rows), max(HORIZONS)
        more = np.arange(rows.train[0], end - reach + 1)
        return _with_rule(rows, fit_start(closes[: end + 1], _all_labels(closes), more, HORIZONS), closes)

    return change


def _level_of_all(rows: VarianceSet, _: SequenceSet, closes: Floats) -> VarianceSet:
    level = np.nanmean(_all_labels(closes), axis=0)
    return _with_rule(rows, replace(rows.rule, level=tuple(level.tolist())), closes)


def _start(values: Callable[[Floats, Floats], Floats]) -> Change:
    return lambda rows, _, closes: replace(
        rows, start=_known(rows, values(rows.rule.forecast(closes), closes))
    )


def _remembered() -> Rows:
    """Fit the start once per fold, on all of its days, and keep it whatever the prices become."""
    rules: dict[int, StartRule] = {}

    def rows(sequences: SequenceSet, closes: Floats) -> VarianceSet:
        clean, closes = clean_variance(sequences, closes), closes[: len(sequences.dates)]
        days = len(closes)
        if days not in rules:
            known = np.arange(clean.train[0], days - max(HORIZONS))
            rules[days] = fit_start(closes, _all_labels(closes), known, HORIZONS)
        return _with_rule(clean, rules[days], closes)

    return rows


def _half_fitted(rows: VarianceSet, _: SequenceSet, closes: Floats) -> VarianceSet:
    """The start is fitted on half of the training days: a poor start makes the model look good."""
    half = rows.train[: len(rows.train) // 2]
    rule = fit_start(closes[: half[-1] + 1], _all_labels(closes), half[: -max(HORIZONS)], HORIZONS)
    return _with_rule(rows, replace(rule, level=rows.rule.level), closes)


def _both(smooth: int) -> Callable[[Floats, Floats], Floats]:
    return lambda start, _: pd.DataFrame(start).rolling(smooth, center=True, min_periods=1).mean().to_numpy()


STARTS: dict[str, tuple[str, Rows]] = {
    "start fitted on validation days": (
        "weights/non_interference",
        _changed(_fitted_until(lambda r: r.validation[-1])),
    ),
    "start fitted on test days": (
        "weights/non_interference",
        _changed(_fitted_until(lambda r: len(r.dates) - 1)),
    ),
    "start fitted one day too long": (
        "weights/non_interference",
        _changed(_fitted_until(lambda r: int(r.train[-1]) + max(HORIZONS) + 1)),
    ),
    "level of the start from all days": ("weights/non_interference", _changed(_level_of_all)),
    "start of the next day": (
        "weights/non_interference",
        _changed(_start(lambda s, _: np.roll(s, -1, axis=0))),
    ),
    "start smoothed over both sides": ("weights/non_interference", _changed(_start(_both(5)))),
    "start over the mean of all days": (
        "weights/non_interference",
        _changed(_start(lambda s, _: s / np.nanmean(s))),
    ),
    "start of the day before": (
        "report/start_recomputed",
        _changed(_start(lambda s, _: np.vstack([s[:1], s[:-1]]))),
    ),
    "start fitted on half of the days": ("report/start_recomputed", _changed(_half_fitted)),
}


def _unpurged(*parts: str) -> Change:
    """The purge of the sequences' own horizon is kept for the longest one."""
    return lambda rows, sequences, _: replace(rows, **{name: sequences.positions(name) for name in parts})


def _one_short(rows: VarianceSet, _: SequenceSet, __: Floats) -> VarianceSet:
    return replace(rows, train=np.append(rows.train, rows.train[-1] + 1))


def _with_rows_of(part: str) -> Change:
    return lambda rows, sequences, _: replace(
        rows, train=np.concatenate([rows.train, sequences.positions(part)])
    )


def _easy(name: str) -> Change:
    """Rows with the largest outcomes are left out."""

    def change(rows: VarianceSet, _: SequenceSet, __: Floats) -> VarianceSet:
        at = getattr(rows, name)
        outcome = rows.labels[at, 0]
        return replace(rows, **{name: at[outcome < np.quantile(outcome, 0.95)]})

    return change


def _scaled_by_all(hidden: bool) -> Change:
    def change(rows: VarianceSet, sequences: SequenceSet, _: Floats) -> VarianceSet:
        center, scale = fit_scale(sequences.features, np.isfinite(sequences.features).all(axis=1))
        days = _known(rows, normalize(sequences.features, center, scale)).astype(np.float32)
        return replace(rows, days=days) if hidden else replace(rows, days=days, center=center, scale=scale)

    return change


def _shifted_days(rows: VarianceSet, sequences: SequenceSet, _: Floats) -> VarianceSet:
    """Each day holds the features of the next one."""
    days = np.roll(sequences.normalize(sequences.features), -1, axis=0)
    return replace(rows, days=_known(rows, days).astype(np.float32))


ROWS: dict[str, tuple[str, Change]] = {
    "no purge for the longer horizon": ("report/ledger", _unpurged("train", "validation")),
    "no purge for the longer horizon in training": ("report/ledger", _unpurged("train")),
    "no purge for the longer horizon in validation": ("report/ledger", _unpurged("validation")),
    "purge of the longer horizon one row short": ("report/ledger", _one_short),
    "variance rows of test days in training": ("report/ledger", _with_rows_of("test")),
    "variance rows of validation days in training": ("report/ledger", _with_rows_of("validation")),
    "test days as variance validation": (
        "report/ledger",
        lambda rows, sequences, _: replace(rows, validation=sequences.positions("test")),
    ),
    "hard training days of variance dropped": ("report/ledger", _easy("train")),
    "hard validation days of variance dropped": ("report/ledger", _easy("validation")),
    "variance features scaled by all days": ("report/ledger", _scaled_by_all(hidden=False)),
    "variance features scaled by all days, hidden": ("report/ledger", _scaled_by_all(hidden=True)),
    "variance features of the next day": ("report/ledger", _shifted_days),
    "labels of test days kept": (
        "report/oracle",
        lambda rows, _, closes: replace(rows, labels=_all_labels(closes)),
    ),
    "start of test days kept": (
        "report/ledger",
        lambda rows, _, closes: replace(rows, start=rows.rule.forecast(closes)),
    ),
    "features of test days kept": (
        "report/ledger",
        lambda rows, sequences, _: replace(rows, days=sequences.normalize(sequences.features)),
    ),
}


def _rivals_on(parts: Callable[[np.ndarray], np.ndarray]) -> Callable[[VarianceCase], VolatilityReport]:
    """Baselines fitted on other rows than those known: the folds that they are given say so."""

    def report(case: VarianceCase) -> VolatilityReport:
        folds = []
        for fold in case.folds:
            names = parts(fold.ledger["split"].astype(str).to_numpy().copy())
            folds.append(replace(fold, ledger=fold.ledger.assign(split=split_column(names))))
        return clean_report(replace(case, folds=folds))

    return report


def _without_validation(names: np.ndarray) -> np.ndarray:
    names[np.flatnonzero(names == "validation")[1:]] = "purged"
    return names


def _late_start(names: np.ndarray) -> np.ndarray:
    names[np.flatnonzero(names == "train")[:-100]] = "purged"
    return names


def _into_test_windows(names: np.ndarray) -> np.ndarray:
    last = np.flatnonzero(names == "validation")[-1]
    names[last + 1 : last + 20] = "validation"
    return names


def _off_by_one(case: VarianceCase) -> VolatilityReport:
    """Outcomes, and rivals, of prices that stand a day too late."""
    moved = case.prices.frame.shift(1)
    moved.iloc[0] = case.prices.frame.iloc[0]
    return scored(case, moved)


def _rescored(change: Callable[[Score], Floats]) -> Callable[[VarianceCase], VolatilityReport]:
    """Other forecasts of the model, with every figure that follows from them."""

    def report(case: VarianceCase) -> VolatilityReport:
        clean = clean_report(case)
        scores = []
        for score in clean.scores:
            told, x = change(score), np.array(score.realized)
            ours = qlike(told, x)
            p = diebold_mariano(ours, qlike(np.array(score.baseline_forecast), x))
            scores.append(
                replace(
                    score,
                    forecast=told.tolist(),
                    levels={**score.levels, "model": float(ours.mean())},
                    gain=score.baseline_level - float(ours.mean()),
                    p_value=p,
                    figures={
                        **score.figures,
                        "p_value": {**score.figures["p_value"], score.best_baseline: p},
                        "calibration": {"model": float(np.mean(x / told))},
                    },
                )
            )
        return replace(clean, scores=scores)

    return report


def _quiet_days_scored(case: VarianceCase) -> VolatilityReport:
    """Days with the largest outcomes are not scored."""
    clean = clean_report(case)
    scores = []
    for score in clean.scores:
        x = np.array(score.realized)
        keep = np.flatnonzero(x < np.quantile(x, 0.95)).tolist()
        lists = ("dates", "forecast", "realized", "baseline_forecast")
        kept: dict[str, Any] = {name: [getattr(score, name)[i] for i in keep] for name in lists}
        scores.append(replace(score, **kept))
    return replace(clean, scores=scores)


def _against_the_worst(case: VarianceCase) -> VolatilityReport:
    clean = clean_report(case)
    scores = []
    for score in clean.scores:
        worst = max(score.baselines, key=score.baselines.__getitem__)
        scores.append(replace(score, best_baseline=worst, gain=score.levels[worst] - score.level))
    return replace(clean, scores=scores)


def _rows_of_the_last_fold(case: VarianceCase) -> VolatilityReport:
    """The newest model forecasts every fold, and the report says so: it has seen the earlier test days."""
    case.rows[0] = new = case.rows[-1]
    first, *rest = clean_report(case).folds
    told = replace(first, trained_until=new.trained_until, known_until=new.known_until)
    return replace(clean_report(case), folds=[replace(told, training_rows=len(new.train)), *rest])


def _claimed(case: VarianceCase) -> VolatilityReport:
    """The same, but the report claims what an honest one would."""
    return clean_report(replace(case, rows=[case.rows[-1]] * len(case.rows)))


REPORTS: dict[str, tuple[str, Callable[[VarianceCase], VolatilityReport]]] = {
    "rivals fitted without validation days": ("report/figures_recomputed", _rivals_on(_without_validation)),
    "rivals fitted on the last 100 training days": ("report/figures_recomputed", _rivals_on(_late_start)),
    "rivals fitted into the test windows": ("report/figures_recomputed", _rivals_on(_into_test_windows)),
    "outcomes off by one day": ("report/figures_recomputed", _off_by_one),
    "compared with the worst rival": ("report/figures_recomputed", _against_the_worst),
    "days with large moves not scored": ("report/every_test_day_scored", _quiet_days_scored),
    "forecast of the next day": (
        "report/predictions_reproduced",
        _rescored(lambda score: np.roll(np.array(score.forecast), -1)),
    ),
    "forecast mixed with 1 % of the outcome": (
        "report/predictions_reproduced",
        _rescored(lambda score: 0.99 * np.array(score.forecast) + 0.01 * np.array(score.realized)),
    ),
    "forecast calibrated on the test days": (
        "report/predictions_reproduced",
        _rescored(lambda score: np.array(score.forecast) * score.figures["calibration"]["model"]),
    ),
    "newest variance model for every fold": ("report/folds_sealed", _rows_of_the_last_fold),
    "newest variance model for every fold, hidden": ("report/predictions_reproduced", _claimed),
}


def variance_mutants() -> list[Mutant]:
    """All of them; those with a memory are made anew."""
    rows = {name: ("report/oracle", _changed(_labels(f))) for name, f in LABELS.items()}
    rows |= STARTS | {name: (gate, _changed(change)) for name, (gate, change) in ROWS.items()}
    rows["start fitted once on all days"] = ("report/start_recomputed", _remembered())
    mutants = [Mutant(name, gate, VariancePipeline(rows=f)) for name, (gate, f) in rows.items()]
    return mutants + [Mutant(name, gate, VariancePipeline(report=f)) for name, (gate, f) in REPORTS.items()]
