"""Each gate on a report passes on the honest one and fails when any one thing in it is changed."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ml_assets.gates.skill import every_test_day_scored, figures_recomputed, predictions_reproduced
from ml_assets.simulation import price_history
from ml_assets.skill import WalkForwardReport
from tests.unit.skill.makers import market, predict, scored


def changed(report: WalkForwardReport, **change: Any) -> WalkForwardReport:
    return dataclasses.replace(report, **change)


def with_item(values: list[Any], index: int, value: Any) -> list[Any]:
    return [*values[:index], value, *values[index + 1 :]]


@pytest.mark.parametrize("horizon", [1, 3])
def test_all_pass_on_the_honest_report(horizon: int) -> None:
    prices, sequences = market(horizon)
    report = WalkForwardReport.from_bytes(scored(horizon).to_bytes())
    for result in (
        every_test_day_scored(sequences, report),
        figures_recomputed(prices, sequences, report),
        predictions_reproduced(sequences, report, predict),
    ):
        assert result.passed, result.message
        assert result.checked == report.days
    assert figures_recomputed(prices, sequences, report).figures == {"accuracy": report.accuracy}


# ------------------------------------------------------------------ every_test_day_scored


@pytest.mark.parametrize(
    "spoil",
    [
        lambda dates: dates[:-1],
        lambda dates: dates[1:],
        lambda dates: [],
        lambda dates: [*dates, "2031-01-01"],
        lambda dates: with_item(dates, 5, dates[4]),
        lambda dates: with_item(dates, 5, "1999-12-31"),
        lambda dates: dates[::-1],
    ],
    ids=["last dropped", "first dropped", "none", "one added", "one twice", "another day", "order"],
)
def test_dropped_added_or_moved_days_are_noticed(spoil: Any) -> None:
    _, sequences = market()
    report = scored()
    assert not every_test_day_scored(sequences, changed(report, dates=spoil(report.dates))).passed


def test_dropped_hard_days_are_named() -> None:
    _, sequences = market()
    report = scored()
    easy = [d for d, r in zip(report.dates, report.realized, strict=True) if abs(r) < 0.03]
    result = every_test_day_scored(sequences, changed(report, dates=easy))
    assert not result.passed
    assert min(set(report.dates) - set(easy)) in result.message


def test_overlapping_days_of_a_long_horizon_are_noticed() -> None:
    _, sequences = market(3)
    every_day = [str(day) for day in sequences.as_of("test")]
    assert not every_test_day_scored(sequences, changed(scored(3), dates=every_day)).passed


# ------------------------------------------------------------------ figures_recomputed


@pytest.mark.parametrize(
    "change",
    [
        lambda r: {"accuracy": r.accuracy + 0.01},
        lambda r: {"accuracy": float("nan")},
        lambda r: {"p_value": r.p_value / 2},
        lambda r: {"p_value": 0.0},
        lambda r: {"realized": with_item(r.realized, 7, -r.realized[7])},
        lambda r: {"realized": with_item(r.realized, 7, r.realized[7] * (1 + 1e-6))},
        lambda r: {"probability": [1 - p for p in r.probability]},
        lambda r: {"probability": r.probability[::-1]},
        lambda r: {"probability": r.probability[:-1]},
        lambda r: {"dates": with_item(r.dates, 3, r.dates[4])},
        lambda r: {"dates": with_item(r.dates, 3, "1990-01-01")},
        lambda r: {"dates": [], "probability": [], "realized": []},
        lambda r: {"horizon": 2},
        lambda r: {"baselines": {k: v for k, v in r.baselines.items() if k != "ar1"}},
        lambda r: {"baselines": {**r.baselines, "easy": 0.1}},
        *[
            lambda r, name=name: {"baselines": {**r.baselines, name: r.baselines[name] - 0.02}}
            for name in ("majority", "persistence", "ar1", "always_up")
        ],
    ],
)
def test_any_changed_figure_is_noticed(change: Any) -> None:
    prices, sequences = market()
    report = scored()
    try:
        result = figures_recomputed(prices, sequences, changed(report, **change(report)))
    except ValueError:
        return  # a gate that breaks is closed
    assert not result.passed


def test_wrong_outcome_names_symbol_date_and_both_values() -> None:
    prices, sequences = market()
    report = scored()
    result = figures_recomputed(
        prices, sequences, changed(report, realized=with_item(report.realized, 7, 0.5))
    )
    assert not result.passed
    for part in ("SIM", report.dates[7], "0.5", repr(report.realized[7])[:8]):
        assert part in result.message


def test_report_of_other_prices_is_noticed() -> None:
    prices, sequences = market()
    restated = prices.frame.copy()
    restated.iloc[-30, 0] *= 1.01
    assert not figures_recomputed(price_history("SIM", restated), sequences, scored()).passed


def test_label_beyond_the_last_price_is_noticed() -> None:
    prices, sequences = market()
    shorter: pd.DataFrame = prices.frame.iloc[:-5]
    result = figures_recomputed(price_history("SIM", shorter), sequences, scored())
    assert not result.passed
    assert "no price 1 days before or after" in result.message


# ------------------------------------------------------------------ predictions_reproduced


def test_other_weights_are_noticed_bit_for_bit() -> None:
    _, sequences = market()
    report = scored()
    result = predictions_reproduced(sequences, report, lambda X: np.nextafter(predict(X), 1.0))
    assert not result.passed
    assert report.dates[0] in result.message


def test_one_edited_probability_is_noticed_with_its_day() -> None:
    _, sequences = market()
    report = scored()
    edited = changed(report, probability=with_item(report.probability, 9, 0.123))
    result = predictions_reproduced(sequences, edited, predict)
    assert not result.passed
    for part in ("SIM", report.dates[9], "0.123", f"1 of {report.days} differ"):
        assert part in result.message


@pytest.mark.parametrize("horizon", [1, 3])
def test_fewer_predictions_than_days_are_noticed(horizon: int) -> None:
    _, sequences = market(horizon)
    assert not predictions_reproduced(sequences, scored(horizon), lambda X: predict(X)[:-4]).passed


def test_nan_predictions_are_not_equal_to_anything() -> None:
    _, sequences = market()
    assert not predictions_reproduced(sequences, scored(), lambda X: predict(X) * np.nan).passed
