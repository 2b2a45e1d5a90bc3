"""What stores hold from before targets shared one format still opens, with the figures that it had."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ml_assets.forecasts.release import Release
from ml_assets.forecasts.report import Record
from ml_assets.forecasts.succession import Champion
from ml_assets.forecasts.target import Target
from ml_assets.forecasts.targets import DIRECTION, VARIANCE

RULE = {
    "false_discovery_rate": 0.05,
    "minimum_days": 500,
    "retrain_p": 0.2,
    "succession": {"replace_p": 0.05, "retire_p": 0.05, "minimum_days": 60},
}
CHAMPION = {"weights_sha256": "0" * 64, "report_sha256": "1" * 64, "scored_until": "2020-01-01"}
COMMON = {
    "symbol": "A", "verdict": "PROMOTE", "reason": "adjusted p 0.001", "days": 600, "p_value": 0.001,
    "adjusted_p": 0.002, "attempt": 1, "service": "new",
}  # fmt: skip
OLD_DIRECTION: dict[str, Any] = {
    "rule": {**RULE, "margin": 0.01, "quarantine_accuracy": 0.6},
    "verdicts": [{**COMMON, "accuracy": 0.58, "baseline": "ar1", "baseline_accuracy": 0.52}],
    "controls": [
        {**COMMON, "symbol": "CONTROL-WALK", "accuracy": None, "baseline": None, "baseline_accuracy": None}
    ],
    "void": None,
    "champions": {"A": {**CHAMPION, "accuracy": 0.58}},
}
OLD_VARIANCE: dict[str, Any] = {
    "rule": {**RULE, "quarantine_gain": 0.2},
    "horizons": [1, 5],
    "verdicts": [{**COMMON, "horizon": 5, "gain": 0.02, "best_baseline": "har"}],
    "controls": [],
    "void": None,
    "champions": {"A": {"5": {**CHAMPION, "accuracy": None}}},
}


def encoded(value: object) -> bytes:
    return json.dumps(value).encode()


def test_verdicts_on_direction() -> None:
    read = DIRECTION.promotion.from_bytes(encoded(OLD_DIRECTION))
    assert read.rule == DIRECTION.rule
    (verdict,) = read.verdicts
    assert (verdict.place, verdict.level, verdict.best_baseline) == (("A", 1), 0.58, "ar1")
    assert verdict.gain == pytest.approx(0.06)
    champion = read.champion("A", 1)
    assert champion is not None
    assert champion.promised == 0.58
    assert DIRECTION.promotion.from_bytes(read.to_bytes()) == read


def test_verdicts_on_variance() -> None:
    read = VARIANCE.promotion.from_bytes(encoded(OLD_VARIANCE))
    assert read.rule == VARIANCE.rule
    assert read.promoted() == [("A", 5)]
    assert (read.verdicts[0].gain, read.verdicts[0].level) == (0.02, None)


def test_releases() -> None:
    versions = [
        {"asset": "pinn_weights", "partition": None, "sha256": "2" * 64, "horizon": None},
        {"asset": "mamba_weights", "partition": "A", "sha256": "0" * 64, "horizon": None},
        {"asset": "volatility_weights", "partition": "A", "sha256": "3" * 64, "horizon": 5},
    ]
    old = {"versions": versions, "withheld": {"B": "REJECT"}, "withheld_variance": {"B (1 d)": "REJECT"}}
    for fields in (old, {**old, "passed_over": {"promotion": "4" * 64}}):
        read = Release.from_bytes(encoded(fields))
        assert read.models(DIRECTION, "A") == {1: "0" * 64}
        assert read.models(VARIANCE, "A") == {5: "3" * 64}
        assert read.withheld == {"direction": {"B (1 d)": "REJECT"}, "variance": {"B (1 d)": "REJECT"}}
    assert read.passed_over == {"promotion": "4" * 64}


@pytest.mark.parametrize("spoiled", [{}, [], {"champions": {}}, {"withheld": None}, {"looks": [{}]}, None])
@pytest.mark.parametrize("kind", [DIRECTION.promotion, VARIANCE.promotion, Release, DIRECTION.drift])
def test_what_is_of_neither_format_is_refused(kind: Any, spoiled: object) -> None:
    with pytest.raises(ValueError, match="validation error"):
        kind.from_bytes(encoded(spoiled))


DAYS = {"dates": ["2020-01-01", "2020-01-02"], "realized": [0.01, -0.01]}
FOLD = {
    "number": 1, "training_rows": 900, "trained_until": "2019-01-01", "first_day": "2020-01-01",
    "last_day": "2020-01-02",
}  # fmt: skip
MARK = {"weights_sha256": "0" * 64, "dates": ["2020-01-02"]}
OLD_WALK_FORWARD: dict[str, Any] = {
    **DAYS, "symbol": "A", "horizon": 1, "probability": [0.6, 0.7], "accuracy": 0.5, "interval": [0.4, 0.6],
    "log_loss": 0.7, "baselines": {"majority": 0.5, "ar1": 0.52, "boosting": 0.9}, "p_value": 0.3,
    "folds": [{**FOLD, "validated_until": "2019-12-01", "days": 2, "origin": "base", "accuracy": 0.5}],
    "attempt": 2, "champion": {**MARK, "probability": [0.4]},
}  # fmt: skip
OLD_VOLATILITY: dict[str, Any] = {
    "symbol": "A",
    "scores": [
        {
            **DAYS, "horizon": 5, "forecast": [1e-4, 2e-4], "baseline_forecast": [1e-4, 1e-4],
            "best_baseline": "har", "qlike": {"model": -7.1, "har": -7.0}, "mse": {"model": 1.0, "har": 2.0},
            "p_values": {"har": 0.2}, "calibration": 1.1, "champion": {**MARK, "forecast": [3e-4]},
        }
    ],
    "folds": [{**FOLD, "known_until": "2019-12-01", "qlike": [-7.1], "baseline_qlike": [-7.0]}],
    "attempt": 2,
}  # fmt: skip


def test_reports_on_direction() -> None:
    read = DIRECTION.scoring.report.from_bytes(encoded(OLD_WALK_FORWARD))
    (score,), (fold,) = read.scores, read.folds
    assert (score.level, score.best_baseline, score.baseline_level) == (0.5, "ar1", 0.52)
    assert score.gain == pytest.approx(-0.02)
    assert (score.forecast, score.baseline_forecast) == ([0.6, 0.7], [])
    assert score.figures["interval_high"] == {"model": 0.6}
    assert (fold.known_until, fold.origin, fold.levels) == ("2019-12-01", "base", [0.5])
    assert score.champion == Record("0" * 64, ["2020-01-02"], [0.4])
    assert read.corrected(score) == 0.6
    comparison = DIRECTION.compare(read, 1, Champion("0" * 64, "1" * 64, "2019-12-31", 0.5))
    assert comparison is not None
    assert comparison.days == 1
    assert type(read).from_bytes(read.to_bytes()) == read


def test_reports_on_variance() -> None:
    read = VARIANCE.scoring.report.from_bytes(encoded(OLD_VOLATILITY))
    (score,), (fold,) = read.scores, read.folds
    assert (score.level, score.baseline_level, score.p_value) == (-7.1, -7.0, 0.2)
    assert score.gain == pytest.approx(0.1)
    assert score.figures["calibration"] == {"model": 1.1}
    assert (fold.days, fold.levels, fold.baseline_levels) == (2, [-7.1], [-7.0])
    assert score.champion == Record("0" * 64, ["2020-01-02"], [3e-4])
    assert type(read).from_bytes(read.to_bytes()) == read


@pytest.mark.parametrize(("target", "held"), [(DIRECTION, OLD_WALK_FORWARD), (VARIANCE, OLD_VOLATILITY)])
def test_an_old_report_without_a_field_is_refused(target: Target, held: dict[str, Any]) -> None:
    for name in held:
        if name not in ("attempt", "champion"):
            with pytest.raises(ValueError, match="validation error"):
                target.scoring.report.from_bytes(encoded({k: v for k, v in held.items() if k != name}))
