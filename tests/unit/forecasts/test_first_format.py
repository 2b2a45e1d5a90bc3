"""What stores hold from before targets shared one format still opens, with the figures that it had."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ml_assets.forecasts.release import Release
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
