"""Each gate on rows and weights passes on the honest candidate and fails on a planted fault, naming it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from ml_assets.forecasts.variance import VarianceSet, variance_rows
from ml_assets.forecasts.variance.start import fit_start
from ml_assets.gates.core import GateResult
from ml_assets.gates.forecasts.variance_rows import (
    horizons_purged,
    variance_learned,
    variance_oracle,
    variance_reload,
)
from ml_assets.gates.forecasts.variance_start import start_causal, start_recomputed
from ml_assets.gates.models.training import untrained_arrays, weights_finite_and_complete
from ml_assets.windows.labels import forward_returns, forward_variance
from ml_assets.windows.scaling import fit_scale, normalize
from tests.unit.forecasts.variance_makers import HORIZONS, closes, folds, market, trained


def rebuild(sequences: Any, values: np.ndarray) -> VarianceSet:
    return variance_rows(sequences, values, HORIZONS)


def on_rows(rows: VarianceSet) -> dict[str, GateResult]:
    prices, sequences = market()
    return {
        "oracle": variance_oracle(prices, rows),
        "purged": horizons_purged(sequences, rows),
        "causal": start_causal(prices, sequences, rows, rebuild),
        "start": start_recomputed(prices, rows),
    }


def test_all_pass_on_the_honest_candidates() -> None:
    weights, rows = trained(2), folds()[1][1]
    results = {
        **on_rows(rows),
        "complete": weights_finite_and_complete(weights),
        "reload": variance_reload(weights.to_bytes(), rows),
        "learned": variance_learned(weights, rows),
    }
    for name, result in results.items():
        assert result.passed, (name, result.message)
        assert result.checked > 0


def test_another_way_to_label_is_noticed_with_day_and_both_values() -> None:
    rows, values = folds()[1][1], closes()
    faults = {
        "off by one": np.roll(rows.labels, 1, axis=0),
        "simple returns": np.column_stack([forward_returns(values, h) ** 2 for h in HORIZONS]),
        "mean for sum": rows.labels / np.array(HORIZONS),
        "one day wrong": np.where(np.arange(len(values))[:, None] == 400, 2 * rows.labels, rows.labels),
    }
    for name, labels in faults.items():
        result = variance_oracle(market()[0], replace(rows, labels=labels))
        assert not result.passed, name
        assert "the closes say" in result.message


def test_labels_that_reach_the_next_part_are_noticed() -> None:
    _, sequences = market()
    rows = folds()[1][1]
    whole = {name: sequences.positions(name) for name in ("train", "validation")}
    for name in whole:
        result = horizons_purged(sequences, replace(rows, **{name: whole[name]}))
        assert not result.passed
        assert f"{name} labels over 5 days end on" in result.message


def test_rows_of_another_part_or_lost_ones_are_noticed() -> None:
    _, sequences = market()
    rows = folds()[1][1]
    foreign = replace(rows, train=np.append(rows.train, sequences.positions("test")[0]))
    assert "is not in the ledger's train" in horizons_purged(sequences, foreign).message
    lost = replace(rows, validation=rows.validation[5:])
    assert "missing without need" in horizons_purged(sequences, lost).message


@pytest.mark.parametrize("fault", ["fitted on all rows", "start sees tomorrow", "label filled"])
def test_what_later_prices_change_is_noticed(fault: str) -> None:
    prices, sequences = market()

    def leaking(source: Any, values: np.ndarray) -> VarianceSet:
        rows = rebuild(source, values)
        if fault == "fitted on all rows":
            level = tuple(float(np.nanmean(rows.labels[:, i])) for i in range(2))
            return replace(rows, rule=replace(rows.rule, level=level))
        if fault == "start sees tomorrow":
            return replace(rows, start=rows.start * np.roll(values / values[0], -1)[:, None])
        return replace(rows, labels=rows.labels + np.nanmean(rows.labels))

    result = start_causal(prices, sequences, leaking(sequences, closes()), leaking)
    assert not result.passed
    assert "SIM" in result.message


def with_rule(rows: VarianceSet, **change: Any) -> VarianceSet:
    """Another rule, used consistently."""
    rule, stop = replace(rows.rule, **change), rows.validation[-1] + 1
    start = np.where(np.arange(len(rows.dates))[:, None] < stop, rule.forecast(closes()), np.nan)
    return replace(rows, rule=rule, start=start)


def test_a_start_that_is_not_its_rule_or_a_rule_that_could_be_better_is_noticed() -> None:
    (prices, _), rows = market(), folds()[1][1]
    assert start_recomputed(prices, with_rule(rows)).passed
    garch, har, later = rows.rule.garch, rows.rule.har, rows.validation
    fitted_late = variance_rows(market()[1], closes(), HORIZONS)
    late = fit_start(closes(), fitted_late.labels, np.concatenate([rows.train, later]), HORIZONS)
    faults = {
        "closes and rule give": replace(rows, start=rows.start * (1 + 1e-8)),
        "the start of": replace(
            rows, start=np.where(np.arange(len(rows.start))[:, None] == 300, 1e-4, rows.start)
        ),
        "GARCH as fitted has a loss": with_rule(rows, garch=replace(garch, omega=1.2 * garch.omega)),
        "GARCH(": with_rule(rows, garch=replace(garch, beta=1.01)),
        "over 5 day(s): HAR as fitted": with_rule(rows, har=(har[0], har[0])),
        "are not allowed": with_rule(rows, har=(har[0], (0.0, *har[1][1:]))),
        "the level is": with_rule(rows, level=(rows.rule.level[0] * 1.001, rows.rule.level[1])),
        "over 1 day(s): the level is": with_rule(rows, level=late.level, har=late.har),
        "a start for (5, 1)": replace(rows, rule=replace(rows.rule, horizons=(5, 1))),
    }
    for said, fault in faults.items():
        result = start_recomputed(prices, fault)
        assert not result.passed, said
        assert said in result.message
        assert "SIM" in result.message


@pytest.mark.parametrize(("gate", "name"), [("oracle", "labels"), ("purged", "days"), ("purged", "start")])
def test_what_the_rows_hold_of_test_days_is_noticed(gate: str, name: str) -> None:
    rows, (_, sequences) = folds()[1][1], market()
    whole = {
        "labels": np.column_stack([forward_variance(closes(), h) for h in HORIZONS]),
        "days": sequences.normalize(sequences.features),
        "start": rows.rule.forecast(closes()),
    }
    result = on_rows(replace(rows, **{name: whole[name]}))[gate]
    assert not result.passed
    assert f"training is given {name} of {rows.dates[rows.validation[-1] + 1]}" in result.message
    one = getattr(rows, name).copy()
    one[sequences.positions("test")[5], 0] = 1.0
    assert f"training is given {name}" in on_rows(replace(rows, **{name: one}))[gate].message


def test_a_normalization_by_the_whole_history_is_noticed() -> None:
    rows, (_, sequences) = folds()[1][1], market()
    finite = np.isfinite(sequences.features).all(axis=1)
    center, scale = fit_scale(sequences.features, finite)
    days = normalize(sequences.features, center, scale)
    days[rows.validation[-1] + 1 :] = np.nan
    result = horizons_purged(sequences, replace(rows, days=days, center=center, scale=scale))
    assert not result.passed
    assert "center[0] of the rows" in result.message
    hidden = horizons_purged(sequences, replace(rows, days=days))  # the right numbers beside the wrong days
    assert not hidden.passed
    assert "by the certified sequences" in hidden.message


def test_weights_of_other_rows_or_damaged_ones_are_noticed() -> None:
    weights, rows = trained(2), folds()[1][1]
    assert "of the training" in variance_reload(weights.to_bytes(), folds()[1][0]).message
    assert "cannot be read" in variance_reload(b"nothing", rows).message
    swapped = replace(weights, arrays={**weights.arrays, "head/vars/1": np.float32([0.5, 0.5])})
    assert "weights or rows were changed" in variance_reload(swapped.to_bytes(), rows).message
    assert not weights_finite_and_complete(replace(weights, arrays=untrained_arrays(weights))).passed


def test_a_model_that_did_harm_is_noticed() -> None:
    weights, rows = trained(2), folds()[1][1]
    worse = replace(weights, arrays={**weights.arrays, "head/vars/1": np.float32([2.0, 2.0])})
    assert "the start has" in variance_learned(worse, rows).message
    boasting = replace(weights, validation={**weights.validation, "loss_5": 0.1})
    assert "the recorded loss" in variance_learned(boasting, rows).message
