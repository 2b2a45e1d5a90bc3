"""The model in service is asked about days that came after all it was trained on, and about no other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from ml_assets.forecasts.direction.champion import champion_record
from ml_assets.gates.forecasts.champion import champion_asked
from tests.unit.skill.makers import market


@dataclass
class Weights:
    """What of the weights the record looks at."""

    known_until: str
    feature_names: tuple[str, ...]
    window: int = 20


def asked(horizon: int, until: str, **change: Any) -> Any:
    _, sequences = market(horizon)
    weights = Weights(until, sequences.feature_names)
    for name, value in change.items():
        setattr(weights, name, value)
    return champion_record(
        sequences,
        weights,
        "a" * 64,
        lambda _, X: X[:, -1, 0].astype(np.float64),  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("horizon", [1, 3])
def test_a_champion_older_than_the_fold_is_asked_about_all_of_it(horizon: int) -> None:
    _, sequences = market(horizon)
    test = sequences.as_of("test")[::horizon]
    record = asked(horizon, "1999-01-01")
    assert record.dates == [str(day) for day in test]
    assert record.probability == sequences.X("test")[::horizon, -1, 0].tolist()


@pytest.mark.parametrize("horizon", [1, 3])
@pytest.mark.parametrize("known", [0, 5, 30, 98])
def test_no_day_whose_label_it_knows_is_asked(horizon: int, known: int) -> None:
    _, sequences = market(horizon)
    position = sequences.positions("test")
    until = sequences.dates[position[known]]
    record = asked(horizon, str(until))
    first = sequences.dates[position[known] + horizon]  # the last day that its labels reach
    assert all(np.datetime64(day) >= first for day in record.dates)
    expected = [str(sequences.dates[p]) for p in position[::horizon] if p >= position[known] + horizon]
    assert record.dates == expected


@pytest.mark.parametrize(
    "change", [{"window": 21}, {"feature_names": ("other",)}, {"known_until": "2099-01-01"}]
)
def test_a_champion_that_cannot_be_asked_has_no_days(change: dict[str, Any]) -> None:
    record = asked(1, "1999-01-01", **change)
    assert (record.dates, record.probability) == ([], [])
    # Of one that knows all these days there will be others.
    assert record.askable == ("known_until" in change)


@pytest.mark.parametrize(
    "change", [{}, {"window": 21}, {"feature_names": ("other",)}, {"known_until": "2099-01-01"}]
)
def test_the_gate_takes_no_champion_for_beyond_asking_that_is_not(change: dict[str, Any]) -> None:
    _, sequences = market(1)
    weights = Weights(**{"known_until": "1999-01-01", "feature_names": sequences.feature_names, **change})
    record = asked(1, "1999-01-01", **change)
    assert champion_asked(sequences, record, ("a" * 64, weights)).passed
    wrong = replace(record, askable=not record.askable)
    assert "its record says askable" in champion_asked(sequences, wrong, ("a" * 64, weights)).message
    assert not champion_asked(sequences, wrong, ("a" * 64, weights)).passed


def test_the_gate_wants_the_record_of_the_model_in_service() -> None:
    _, sequences = market(1)
    weights, record = Weights("1999-01-01", sequences.feature_names), asked(1, "1999-01-01")
    assert champion_asked(sequences, None, None).passed
    assert not champion_asked(sequences, None, ("a" * 64, weights)).passed
    assert not champion_asked(sequences, record, None).passed
    assert not champion_asked(sequences, record, ("b" * 64, weights)).passed
    beyond = replace(record, askable=False)
    assert not champion_asked(sequences, beyond, ("a" * 64, replace(weights, window=21))).passed, "with days"
