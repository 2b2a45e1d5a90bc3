"""Attempts on the same sealed days, counted from the reports that the store keeps."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from ml_assets.forecasts.attempts import attempt_number, earlier_versions
from ml_assets.forecasts.direction import WalkForwardReport
from ml_assets.gates.forecasts.report import attempts_counted
from ml_assets.storage import ArtifactStore, GateVerdict, certify
from tests.unit.forecasts.direction_makers import report


def predicted(share: float, *, shift: int = 0, days: int = 600) -> WalkForwardReport:
    """A report of its own predictions, on a window moved by so many days."""
    made = report("A", days=days + shift)
    values = {"dates": made.dates[shift:], "forecast": [share] * days, "realized": [0.01] * days}
    return dataclasses.replace(made, scores=[dataclasses.replace(made.scores[0], **values)])


def earlier(store: ArtifactStore) -> list[WalkForwardReport]:
    return earlier_versions(store, WalkForwardReport.kind, "A", WalkForwardReport)


def publish(store: ArtifactStore, found: WalkForwardReport) -> WalkForwardReport:
    """Count the report's attempt as the asset does, and publish it."""
    found = dataclasses.replace(found, attempt=attempt_number(found, earlier(store)))
    certificate = certify(
        found.to_bytes(), asset=WalkForwardReport.kind, partition="A", kind=found.kind, extension=".json",
        gates=[GateVerdict("gate", True, "fine", {})], code_version="1",
    )  # fmt: skip
    store.publish(found.to_bytes(), certificate)
    return found


def test_each_new_set_of_predictions_on_the_same_days_is_one_more(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path, keep_versions=2)
    counted = [publish(store, predicted(share)).attempt for share in (0.51, 0.52, 0.53, 0.54)]
    assert counted == [1, 2, 3, 4]  # though the store has forgotten the first ones


def test_the_same_predictions_again_are_no_new_attempt(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    assert [publish(store, predicted(s)).attempt for s in (0.51, 0.52, 0.51, 0.52)] == [1, 2, 1, 2]


@pytest.mark.parametrize(("shift", "attempt"), [(1, 2), (250, 2), (300, 2), (301, 1), (600, 1)])
def test_a_window_is_new_when_most_of_its_days_are(tmp_path: Path, shift: int, attempt: int) -> None:
    store = ArtifactStore(tmp_path)
    publish(store, predicted(0.51))
    assert publish(store, predicted(0.52, shift=shift)).attempt == attempt


def test_a_wrong_count_closes_the_gate(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path)
    publish(store, predicted(0.51))
    again = dataclasses.replace(predicted(0.52), attempt=1)
    result = attempts_counted(again, earlier(store))
    assert not result.passed
    assert "attempt 1 reported, 2 by the 1 reports kept" in result.message
    assert attempts_counted(dataclasses.replace(again, attempt=2), earlier(store)).passed


def test_a_damaged_earlier_report_is_said_and_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = ArtifactStore(tmp_path)
    publish(store, predicted(0.51))
    for path in tmp_path.rglob("versions/*.json"):
        if not path.name.endswith("certificate.json"):
            path.write_bytes(b"{}")
    assert earlier(store) == []
    assert "is not counted as an attempt" in caplog.text
