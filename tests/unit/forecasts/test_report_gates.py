"""Each gate on a report passes on the honest one and fails when any one thing in it is changed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_assets.forecasts.report import Score
from ml_assets.gates.forecasts.direction_figures import direction_figures
from ml_assets.gates.forecasts.report import retrained_fold
from ml_assets.prices.simulated import price_history
from tests.unit.forecasts import variance_makers as variance
from tests.unit.forecasts.reports import PLACES, case, every_score, every_target, with_item


@pytest.mark.parametrize("target", ["direction 1", "direction 3", "variance"])
def test_all_pass_on_the_honest_report(target: str) -> None:
    for gate in case(target).gates:
        result = case(target).gate(gate.name)
        assert result.passed, (gate.name, result.message)
        assert result.checked > 0


# ------------------------------------------------------------------ every_test_day_scored


@every_score
@pytest.mark.parametrize(
    "spoil",
    [
        lambda dates: dates[:-1],
        lambda dates: dates[1:],
        lambda _: [],
        lambda dates: [*dates, "2031-01-01"],
        lambda dates: with_item(dates, 5, dates[4]),
        lambda dates: with_item(dates, 5, "1999-12-31"),
        lambda dates: dates[::-1],
    ],
    ids=["last dropped", "first dropped", "none", "one added", "one twice", "another day", "order"],
)
def test_dropped_added_or_moved_days_are_noticed(target: str, place: int, spoil: Any) -> None:
    this = case(target)
    spoiled = this.with_score(place, dates=spoil(this.report.scores[place].dates))
    assert not this.gate("every_test_day_scored", spoiled).passed


@every_score
def test_dropped_hard_days_are_named(target: str, place: int) -> None:
    this, score = case(target), case(target).report.scores[place]
    size = np.abs(score.realized)
    keep = np.flatnonzero(size < np.quantile(size, 0.9)).tolist()
    lists = ("dates", "forecast", "realized", "baseline_forecast")
    easy = {name: [getattr(score, name)[i] for i in keep] for name in lists}
    result = this.gate("every_test_day_scored", this.with_score(place, **easy))
    assert not result.passed
    assert min(set(score.dates) - set(easy["dates"])) in result.message


@every_score
@pytest.mark.parametrize("name", ["forecast", "realized", "baseline_forecast"])
def test_values_without_a_day_are_noticed(target: str, place: int, name: str) -> None:
    this = case(target)
    short = this.with_score(place, **{name: getattr(this.report.scores[place], name)[:-1]})
    assert not this.gate("every_test_day_scored", short).passed


def test_overlapping_days_of_a_long_horizon_are_noticed_and_so_is_a_horizon_left_out() -> None:
    this = case("direction 3")
    every_day = [str(day) for day in this.evidence.sequences.as_of("test")]
    assert not this.gate("every_test_day_scored", this.with_score(0, dates=every_day)).passed
    alone = replace(case("variance").report, scores=case("variance").report.scores[:1])
    result = case("variance").gate("every_test_day_scored", alone)
    assert "horizons (1,) were scored, (1, 5) are due" in result.message


# ------------------------------------------------------------------ figures_recomputed

Change = Callable[[Score], dict[str, Any]]


def figure(name: str, of: str, factor: float = 1.0, more: float = 0.0) -> Change:
    return lambda s: {
        "figures": {**s.figures, name: {**s.figures[name], of: s.figures[name][of] * factor + more}}
    }


def level(name: str, more: float) -> Change:
    return lambda s: {"levels": {**s.levels, name: s.levels[name] + more}}


ANY_TARGET: list[Change] = [
    lambda s: {"realized": with_item(s.realized, 7, s.realized[7] * (1 + 1e-6))},
    lambda s: {"p_value": s.p_value / 2 + 1e-5},
    lambda s: {"p_value": 0.0},
    lambda s: {"gain": s.gain + 0.01},
    lambda s: {"forecast": s.forecast[::-1]},
    lambda s: {"forecast": s.forecast[:-1]},
    lambda s: {"baseline_forecast": [1.2 * v + 0.1 for v in s.baseline_forecast]},
    lambda s: {"dates": with_item(s.dates, 3, s.dates[4])},
    lambda s: {"dates": with_item(s.dates, 3, "1990-01-01")},
    lambda _: {"dates": [], "forecast": [], "realized": [], "baseline_forecast": []},
    lambda s: {"levels": {**s.levels, "easy": 0.1}},
    lambda s: {"levels": {n: v for n, v in s.levels.items() if n not in ("ar1", "ewma")}},
    level("model", 0.01),
    level("model", -1e-4),
]
BY_TARGET: dict[str, list[Change]] = {
    "direction": [
        lambda s: {"realized": with_item(s.realized, 7, -s.realized[7])},
        lambda s: {"forecast": [1 - p for p in s.forecast]},
        lambda s: {"levels": {**s.levels, "model": float("nan")}},
        lambda _: {"horizon": 2},
        lambda _: {"best_baseline": "boosting"},
        figure("log_loss", "model", more=-0.01),
        figure("interval_low", "model", more=0.01),
        figure("interval_high", "model", more=-0.01),
        *(level(n, -0.02) for n in ("majority", "persistence", "ar1", "always_up", "logistic", "boosting")),
    ],
    "variance": [
        lambda s: {"best_baseline": "mean" if s.best_baseline != "mean" else "ewma"},
        lambda s: {"forecast": s.realized},  # the best forecast that there is: a leak
        lambda s: figure("p_value", s.best_baseline, 0.5, 1e-5)(s),
        figure("mse", "model", 1.001),
        figure("mse", "garch", 0.8, -0.1),
        figure("calibration", "model", 1.01),
        level("garch", -0.1),
    ],
}
FAULTS = [
    (target, place, change)
    for target, place in PLACES
    if target != "direction 3"
    for change in (*ANY_TARGET, *BY_TARGET[target.split()[0]])
]


@pytest.mark.parametrize(("target", "place", "change"), FAULTS)
def test_any_changed_figure_is_noticed(target: str, place: int, change: Change) -> None:
    this = case(target)
    result = this.gate("figures_recomputed", this.with_score(place, **change(this.report.scores[place])))
    assert not result.passed
    assert "SIM" in result.message or "the gate itself broke" in result.message


@every_target
def test_wrong_outcome_names_symbol_date_and_both_values(target: str) -> None:
    this, score = case(target), case(target).report.scores[0]
    result = this.gate("figures_recomputed", this.with_score(0, realized=with_item(score.realized, 7, 0.5)))
    for part in ("SIM", score.dates[7], "0.5", repr(score.realized[7])[:8]):
        assert part in result.message


@every_target
def test_report_of_other_prices_is_noticed(target: str) -> None:
    this = case(target)
    restated = this.evidence.prices.frame.copy()
    restated.iloc[-30] *= 1.01
    assert not this.gate("figures_recomputed", prices=price_history("SIM", restated)).passed


def test_label_beyond_the_last_price_is_noticed() -> None:
    this = case("direction 1")
    shorter = price_history("SIM", this.evidence.prices.frame.iloc[:-5])
    result = direction_figures(shorter, this.evidence.folds, this.report)  # type: ignore[arg-type]
    assert not result.passed
    assert "no price 1 days before or after" in result.message


# ------------------------------------------------------------------ predictions_reproduced


@every_target
@pytest.mark.parametrize(("retrained", "fold"), [(1, 1), (2, 2)])
def test_other_weights_are_noticed_bit_for_bit(target: str, retrained: int, fold: int) -> None:
    this = case(target)
    for spoil in (lambda f: np.nextafter(f, 1.0), lambda f: f * np.nan):
        result = this.gate(
            "predictions_reproduced",
            forecast=lambda n, spoil=spoil: spoil(this.evidence.forecast(n)),
            retrained=retrained,
        )
        assert not result.passed
        assert this.report.folds[fold - 1].first_day in result.message


@every_score
@pytest.mark.parametrize("day", [2, -9])
def test_one_edited_forecast_is_noticed_with_its_day(target: str, place: int, day: int) -> None:
    this, score = case(target), case(target).report.scores[place]
    day %= score.days
    edited = this.with_score(place, forecast=with_item(score.forecast, day, 0.123))
    result = this.gate("predictions_reproduced", edited)
    assert not result.passed
    for part in ("SIM", score.dates[day], "0.123", "1 of "):
        assert part in result.message


@every_score
def test_fewer_days_than_forecasts_are_noticed(target: str, place: int) -> None:
    this = case(target)
    short = this.with_score(place, dates=this.report.scores[place].dates[:-4])
    assert not this.gate("predictions_reproduced", short).passed


@given(st.text("0123456789abcdef", min_size=64, max_size=64), st.integers(1, 6))
def test_the_fold_to_train_again_is_an_earlier_one_if_there_is_any(sha256: str, count: int) -> None:
    assert 1 <= retrained_fold(sha256, count) <= max(1, count - 1)


# ------------------------------------------------------------------ folds_sealed and attempts_counted


@every_target
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"number": 7}, "folds [7, 2] reported"),
        ({"training_rows": 1}, "recorded (1,"),
        ({"trained_until": "2030-01-01"}, "2030-01-01"),
        ({"known_until": "2001-01-01"}, "2001-01-01"),
        ({"first_day": "1999-01-01"}, "1999-01-01"),
        ({"days": 3}, "recorded ("),
    ],
)
def test_a_fold_that_is_not_what_it_says_is_noticed(
    target: str, change: dict[str, Any], message: str
) -> None:
    this = case(target)
    first, last = this.report.folds
    result = this.gate("folds_sealed", replace(this.report, folds=[replace(first, **change), last]))
    assert not result.passed
    assert message in result.message


def test_a_fold_with_another_scale_is_noticed() -> None:
    """As if it had been fitted on later days: the sequences are not those of the prices up to the fold."""
    this = case("direction 1")
    source = this.evidence.sequences
    result = this.gate("folds_sealed", sequences=replace(source, features=source.features * np.float32(1.01)))
    assert not result.passed
    assert "SIM fold 1: its sequences are not those of the prices up to" in result.message


@dataclass
class Base:
    boundary: str
    known_until: str


def test_a_base_model_that_knows_a_folds_validation_is_noticed() -> None:
    this = case("direction 1")
    first, last = this.report.folds
    started = replace(this.report, folds=[replace(first, origin="base"), last])
    assert "but none was read" in this.gate("folds_sealed", started).message
    fold = this.evidence.folds[0]
    start = str(fold.dates[fold.positions("validation")[0] - fold.window + 1])
    end = str(fold.as_of("validation")[-1])
    honest = this.gate("folds_sealed", started, base=Base(start, end))
    assert honest.passed, honest.message
    for leaky in (Base("2099-01-01", end), Base(start, "2099-01-01")):
        result = this.gate("folds_sealed", started, base=leaky)
        assert not result.passed
        assert "SIM fold 1: the base model" in result.message


def test_rows_that_know_the_test_days_are_noticed() -> None:
    this, (_, rows) = case("variance"), variance.folds()
    late = replace(rows[0], validation=rows[0].validation + 40)
    first, last = this.report.folds
    told = replace(first, known_until=late.known_until, trained_until=late.trained_until)
    result = this.gate("folds_sealed", replace(this.report, folds=[told, last]), rows=[late, rows[1]])
    assert not result.passed
    assert "test windows begin" in result.message


@every_target
def test_attempts_are_counted(target: str) -> None:
    this = case(target)
    other = this.with_score(0, forecast=[0.5 * v for v in this.report.scores[0].forecast])
    assert not this.gate("attempts_counted", earlier=[other]).passed
    assert this.gate("attempts_counted", earlier=[this.report]).passed  # the same forecasts, the same attempt
    assert this.gate("attempts_counted", replace(this.report, attempt=2), earlier=[other]).passed
