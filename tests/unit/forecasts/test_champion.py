"""The model in service is asked about days that came after all it was trained on, and about no other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from ml_assets.forecasts.report import Record
from ml_assets.forecasts.walk_forward import champion_record
from ml_assets.gates.forecasts.champion import champion_asked
from tests.unit.forecasts import direction_makers as direction
from tests.unit.forecasts import variance_makers as variance
from tests.unit.forecasts.reports import case, every_score, with_item


@dataclass(frozen=True)
class Served:
    """A model in service whose forecasts are the days' positions."""

    first: int
    feature_names: tuple[str, ...]
    window: int
    horizons: tuple[int, ...]
    origin: str = "scratch"

    def first_unseen(self, _: Any) -> int:
        return self.first

    def forecast(self, rows: Any) -> np.ndarray:
        return np.column_stack([rows.days.astype(float)] * len(self.horizons))

    def to_bytes(self) -> bytes:
        return b"served"


def served(target: str, first: int = 0, **change: Any) -> Served:
    held = case(target).evidence
    return replace(
        Served(first, held.sequences.feature_names, held.sequences.window, held.horizons), **change
    )


def newest(target: str) -> Any:
    return variance.rows()[-1] if target == "variance" else direction.rows(int(target[-1]))[-1]


@every_score
@pytest.mark.parametrize("known", [0, 5, 30, 98])
def test_the_champion_is_asked_about_the_scored_days_that_it_has_not_seen(
    target: str, place: int, known: int
) -> None:
    score, rows = case(target).report.scores[place], newest(target)
    record = champion_record(rows, score, "a" * 64, served(target, int(rows.days[known])))
    dates = [str(day) for day in rows.sequences.dates[rows.days[known:]]]
    assert record.dates == [day for day in dates if day in score.dates]
    assert record.forecast == [float(rows.days[known + dates.index(day)]) for day in record.dates]
    assert record.askable


GONE = [{"window": 21}, {"feature_names": ("other",)}, {"first": 10**6}, {"horizons": (9,)}]


@every_score
@pytest.mark.parametrize("change", GONE)
def test_a_champion_that_cannot_be_asked_has_no_days(target: str, place: int, change: dict[str, Any]) -> None:
    this, model = case(target), served(target, **change)
    record = champion_record(newest(target), this.report.scores[place], "a" * 64, model)
    assert (record.dates, record.forecast) == ([], [])
    assert record.askable == ("first" in change or "horizons" in change)  # there will be other days
    wrong = replace(record, askable=not record.askable)
    for held, passed in ((record, True), (wrong, False)):
        result = champion_asked(this.evidence.sequences, held, ("a" * 64, model))
        assert result.passed is passed
        assert passed or "its record says askable" in result.message


@every_score
def test_an_edited_record_of_the_model_in_service_is_noticed(target: str, place: int) -> None:
    this, model = case(target), served(target)
    horizon = this.report.scores[place].horizon
    record = champion_record(newest(target), this.report.scores[place], "c" * 64, model)
    assert len(record.dates) > 30
    in_service = {horizon: ("c" * 64, model)}
    honest = this.gate("predictions_reproduced", this.with_score(place, champion=record), served=in_service)
    assert honest.passed, honest.message
    edits: tuple[Record | None, ...] = (
        None,
        replace(record, forecast=with_item(record.forecast, 2, float(np.nextafter(record.forecast[2], 1)))),
        replace(record, dates=record.dates[1:], forecast=record.forecast[1:]),
        replace(record, weights_sha256="d" * 64),
    )
    for edited in edits:
        spoiled = this.with_score(place, champion=edited)
        assert not this.gate("predictions_reproduced", spoiled, served=in_service).passed
    unasked = this.gate("predictions_reproduced", this.with_score(place, champion=record))
    assert "in service is None" in unasked.message
