"""Reports as JSON: exact round trips, and nothing is read that was not written so."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_assets.forecasts.direction import WalkForwardReport
from ml_assets.forecasts.release import Release
from ml_assets.forecasts.targets import DIRECTION
from ml_assets.storage.artifact import Artifact, JsonArtifact
from tests.unit.forecasts.direction_makers import judged, report, scored, with_controls
from tests.unit.forecasts.fleets import decide

FLEET = with_controls({"A": judged(report("A", accuracy=0.58, p=1e-6)), "B": "crashed"})
SAMPLES: list[Any] = [scored(), decide(FLEET), Release([], {"direction": {"A (1 d)": "REJECT: no skill"}})]


@pytest.mark.parametrize("value", SAMPLES, ids=lambda v: v.kind)
def test_round_trip_is_exact_and_deterministic(value: Any) -> None:
    data = value.to_bytes()
    again = type(value).from_bytes(data)
    assert again == value
    assert again.to_bytes() == data
    assert isinstance(value, Artifact)
    assert json.loads(data)


@given(st.floats(0, 1), st.floats(0, 1), st.text(min_size=1))
def test_every_float_and_name_survives(accuracy: float, p: float, symbol: str) -> None:
    value = report(symbol, accuracy=accuracy, p=p, days=2)
    assert WalkForwardReport.from_bytes(value.to_bytes()) == value


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_numbers_that_json_has_not_are_refused(number: float) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        report(accuracy=number).to_bytes()


def edited(value: JsonArtifact, **change: Any) -> bytes:
    """Other fields, of the report and of its score."""
    fields = json.loads(value.to_bytes())
    for name, new in change.items():
        of = fields if name in fields else fields["scores"][0]
        if new is None:
            del of[name]
        else:
            of[name] = new
    return json.dumps(fields).encode()


@pytest.mark.parametrize(
    "change",
    [
        {"p_value": None},
        {"p_value": "0.5"},
        {"p_value": float("nan")},
        {"horizon": 1.5},
        {"horizon": "1"},
        {"dates": [1, 2]},
        {"forecast": ["0.5"]},
        {"symbol": 7},
        {"folds": None},
        {"levels": {"majority": "high"}},
        {"unknown": 1},
    ],
    ids=str,
)
def test_missing_unknown_or_ill_typed_fields_are_refused(change: dict[str, Any]) -> None:
    value = report(days=2)
    assert WalkForwardReport.from_bytes(edited(value)) == value
    with pytest.raises(ValueError, match="validation error"):
        WalkForwardReport.from_bytes(edited(value, **change))


def test_fields_within_fields_are_as_strict() -> None:
    for spoil in ({"extra": 1}, {"days": "600"}):
        fields = json.loads(decide(FLEET).to_bytes())
        fields["verdicts"][0].update(spoil)
        with pytest.raises(ValueError, match="validation error"):
            DIRECTION.promotion.from_bytes(json.dumps(fields).encode())


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"null", b"\xff\xfe", b"{", Release([], {}).to_bytes()])
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="validation error"):
        WalkForwardReport.from_bytes(data)
