"""Each gate on a report passes on the honest one and fails when any one thing in it is changed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_assets.forecasts.direction import WalkForwardReport
from ml_assets.gates.forecasts.folds import folds_sealed, retrained_fold
from ml_assets.gates.forecasts.skill import every_test_day_scored, figures_recomputed, predictions_reproduced
from ml_assets.prices.simulated import price_history
from ml_assets.windows.sequences import SequenceConfig, build_sequences
from tests.unit.skill.makers import folds, market, predict, scored


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
        figures_recomputed(prices, folds(horizon), report),
        predictions_reproduced(folds(horizon), report, again(horizon), 1),
    ):
        assert result.passed, result.message
        assert result.checked == report.days
    assert figures_recomputed(prices, folds(horizon), report).figures == {"accuracy": report.accuracy}
    assert folds_sealed(prices, sequences, report, None, rebuild(horizon)).passed


def again(horizon: int = 1, spoil: Callable[[np.ndarray], np.ndarray] = lambda p: p) -> Any:
    """Predict a fold once more, with a fault if wanted."""
    return lambda number: spoil(predict(folds(horizon)[number - 1].X("test")))


def rebuild(horizon: int = 1) -> Any:
    return lambda prices, days: build_sequences(
        prices, SequenceConfig(window=20, horizon=horizon, test_days=days)
    )


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
        lambda r: {"log_loss": r.log_loss - 0.01},
        lambda r: {"interval": [r.interval[0] + 0.01, r.interval[1]]},
        lambda r: {"interval": [r.interval[0], r.interval[1] - 0.01]},
        lambda r: {"baselines": {k: v for k, v in r.baselines.items() if k != "ar1"}},
        lambda r: {"baselines": {**r.baselines, "easy": 0.1}},
        *[
            lambda r, name=name: {"baselines": {**r.baselines, name: r.baselines[name] - 0.02}}
            for name in ("majority", "persistence", "ar1", "always_up", "logistic", "boosting")
        ],
    ],
)
def test_any_changed_figure_is_noticed(change: Any) -> None:
    prices, _ = market()
    report = scored()
    try:
        result = figures_recomputed(prices, folds(), changed(report, **change(report)))
    except ValueError:
        return  # a gate that breaks is closed
    assert not result.passed


def test_wrong_outcome_names_symbol_date_and_both_values() -> None:
    prices, _ = market()
    report = scored()
    result = figures_recomputed(prices, folds(), changed(report, realized=with_item(report.realized, 7, 0.5)))
    assert not result.passed
    for part in ("SIM", report.dates[7], "0.5", repr(report.realized[7])[:8]):
        assert part in result.message


def test_report_of_other_prices_is_noticed() -> None:
    prices, _ = market()
    restated = prices.frame.copy()
    restated.iloc[-30, 0] *= 1.01
    assert not figures_recomputed(price_history("SIM", restated), folds(), scored()).passed


def test_label_beyond_the_last_price_is_noticed() -> None:
    prices, _ = market()
    shorter: pd.DataFrame = prices.frame.iloc[:-5]
    result = figures_recomputed(price_history("SIM", shorter), folds(), scored())
    assert not result.passed
    assert "no price 1 days before or after" in result.message


# ------------------------------------------------------------------ predictions_reproduced


@pytest.mark.parametrize(("retrained", "fold"), [(1, 1), (2, 2)])
def test_other_weights_are_noticed_bit_for_bit(retrained: int, fold: int) -> None:
    report = scored()
    result = predictions_reproduced(folds(), report, again(spoil=lambda p: np.nextafter(p, 1.0)), retrained)
    assert not result.passed
    assert report.folds[fold - 1].first_day in result.message


@pytest.mark.parametrize("day", [9, 150])
def test_one_edited_probability_is_noticed_with_its_day(day: int) -> None:
    report = scored()
    edited = changed(report, probability=with_item(report.probability, day, 0.123))
    result = predictions_reproduced(folds(), edited, again(), 1)
    assert not result.passed
    for part in ("SIM", report.dates[day], "0.123", "1 of 100 differ"):
        assert part in result.message


@pytest.mark.parametrize("horizon", [1, 3])
def test_fewer_predictions_than_days_are_noticed(horizon: int) -> None:
    short = changed(scored(horizon), dates=scored(horizon).dates[:-4])
    assert not predictions_reproduced(folds(horizon), short, again(horizon), 1).passed


def test_nan_predictions_are_not_equal_to_anything() -> None:
    assert not predictions_reproduced(folds(), scored(), again(spoil=lambda p: p * np.nan), 1).passed


@given(st.text("0123456789abcdef", min_size=64, max_size=64), st.integers(1, 6))
def test_the_fold_to_train_again_is_an_earlier_one_if_there_is_any(sha256: str, count: int) -> None:
    number = retrained_fold(sha256, folds()[:1] * count)
    assert 1 <= number <= max(1, count - 1)


# ------------------------------------------------------------------ folds_sealed


def test_a_fold_with_another_scale_is_noticed() -> None:
    """As if it had been fitted on later days: the sequences are not those of the prices up to the fold."""
    prices, sequences = market()
    moved = dataclasses.replace(sequences, features=sequences.features * np.float32(1.01))
    result = folds_sealed(prices, moved, scored(), None, rebuild())
    assert not result.passed
    assert "SIM fold 1: its sequences are not those of the prices up to" in result.message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"number": 7}, "folds [7, 2] reported"),
        ({"training_rows": 1}, "recorded (1,"),
        ({"trained_until": "2030-01-01"}, "2030-01-01"),
        ({"first_day": "1999-01-01"}, "1999-01-01"),
        ({"origin": "fine_tuned"}, "but none was read"),
    ],
)
def test_a_fold_that_is_not_what_it_says_is_noticed(change: dict[str, Any], message: str) -> None:
    prices, sequences = market()
    first, last = scored().folds
    report = changed(scored(), folds=[dataclasses.replace(first, **change), last])
    result = folds_sealed(prices, sequences, report, None, rebuild())
    assert not result.passed
    assert message in result.message


@dataclasses.dataclass
class Base:
    boundary: str
    known_until: str


def test_a_base_model_that_knows_a_folds_validation_is_noticed() -> None:
    prices, sequences = market()
    first, last = scored().folds
    started = changed(scored(), folds=[dataclasses.replace(first, origin="base"), last])
    fold = sequences.fold(1)
    start = str(fold.dates[fold.positions("validation")[0] - fold.window + 1])
    end = str(fold.as_of("validation")[-1])
    honest = folds_sealed(prices, sequences, started, Base(start, end), rebuild())  # type: ignore[arg-type]
    assert honest.passed, honest.message
    for leaky in (Base("2099-01-01", end), Base(start, "2099-01-01")):
        result = folds_sealed(prices, sequences, started, leaky, rebuild())  # type: ignore[arg-type]
        assert not result.passed
        assert "SIM fold 1: the base model" in result.message
