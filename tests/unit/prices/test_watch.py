"""Bookkeeping over the looks at a price source: what is ready, what waits, what was given up."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_assets.prices import PriceHistory
from ml_assets.prices.changes import Look, Memory, classify, fingerprint, look
from ml_assets.prices.simulated import price_history, simulate

HISTORY = simulate("random_walk", 300, seed=1, symbol="AAA").prices


def changed(row: int, factor: float) -> PriceHistory:
    frame = HISTORY.frame.copy()
    frame.iloc[row] *= factor
    return price_history("AAA", frame)


def test_fingerprint_is_of_the_prices_and_not_of_their_file() -> None:
    again = PriceHistory.from_bytes(HISTORY.to_bytes())
    elsewhere = replace(again, report=replace(again.report, source="renamed.csv", notes=("newest first",)))
    assert fingerprint(HISTORY) == fingerprint(elsewhere)
    reordered = HISTORY.frame[sorted(HISTORY.frame.columns, reverse=True)]
    assert fingerprint(price_history("AAA", reordered)) == fingerprint(HISTORY)


@pytest.mark.parametrize(
    "other",
    [
        changed(7, 1.0001),
        price_history("AAA", HISTORY.frame.iloc[:-1]),
        price_history("AAA", HISTORY.frame[["close"]]),
        price_history("BBB", HISTORY.frame),
        price_history("AAA", HISTORY.frame.set_axis(HISTORY.frame.index + pd.Timedelta(days=7))),
    ],
    ids=["one row", "a row less", "fewer columns", "another symbol", "other days"],
)
def test_fingerprint_notices(other: PriceHistory) -> None:
    assert fingerprint(other) != fingerprint(HISTORY)


def test_fingerprint_of_missing_values_is_stable() -> None:
    frame = HISTORY.frame.copy()
    frame.iloc[3, frame.columns.get_loc("volume")] = np.nan
    gap = price_history("AAA", frame)
    assert fingerprint(gap) == fingerprint(PriceHistory.from_bytes(gap.to_bytes())) != fingerprint(HISTORY)


@pytest.mark.parametrize(
    ("known", "offered", "kind", "days"),
    [
        (None, HISTORY, "first", 300),
        (price_history("AAA", HISTORY.frame.iloc[:-5]), HISTORY, "appended", 5),
        (changed(7, 1.01), HISTORY, "restated", 0),
        (price_history("AAA", HISTORY.frame / 2), HISTORY, "restated", 0),
        (price_history("AAA", changed(7, 1.01).frame.iloc[:-5]), HISTORY, "restated", 5),
        (HISTORY, price_history("AAA", HISTORY.frame.iloc[20:]), "revised", 0),
    ],
)
def test_kinds_of_change(known: PriceHistory | None, offered: PriceHistory, kind: str, days: int) -> None:
    found = classify(known, offered)
    assert (found.kind, found.new_days) == (kind, days)
    assert "AAA" in found.text


def at(memory: Memory, now: float, content: str | None, done: str | None = None, attempts: int = 2) -> Look:
    offered = {} if content is None else {"A": content}
    return look(memory, offered, {"A": done}, now=now, quiet=30, attempts=attempts)


def test_prices_are_ready_only_after_they_stood_still() -> None:
    growing = Memory()
    for now, content in [(0, "x"), (20, "xy"), (40, "xyz")]:
        found = at(growing, now, content)
        assert (found.ready, found.unsettled) == ((), ("A",))
        growing = found.memory
    assert at(growing, 60, "xyz").unsettled == ("A",)
    assert at(growing, 70, "xyz").ready == ("A",)


def test_a_file_that_cannot_be_read_meanwhile_starts_anew() -> None:
    seen = at(Memory(), 0, "x").memory
    broken = at(seen, 100, None)
    assert (broken.ready, broken.unsettled) == ((), ())
    assert at(broken.memory, 200, "x").unsettled == ("A",)


def test_the_same_prices_are_run_so_often_and_no_more() -> None:
    memory = at(Memory(), 1, "x").memory
    for attempt in range(2):
        found = at(memory, 100 + attempt, "x")
        assert found.ready == ("A",)
        memory = found.requested(["A"])
    stuck = at(memory, 1e6, "x")
    assert (stuck.ready, stuck.given_up) == ((), ("A",))
    other = at(at(stuck.memory, 2e6, "y").memory, 3e6, "y")
    assert other.ready == ("A",)


def test_what_was_worked_through_is_left_alone_and_its_attempts_forgotten() -> None:
    memory = at(at(Memory(), 1, "x").memory, 100, "x").requested(["A"])
    done = at(memory, 200, "x", done="x")
    assert done.ready == done.unsettled == done.given_up == ()
    assert done.memory.seen["A"].attempts == 0


def test_requests_are_numbered_on_even_if_the_memory_was_lost() -> None:
    first = at(at(Memory(), 1_700_000_000, "x").memory, 1_700_000_100, "x").requested(["A"])
    later = at(at(Memory.from_json("lost"), 1_800_000_000, "x").memory, 1_800_000_100, "x").requested(["A"])
    assert first.asked < later.asked


@pytest.mark.parametrize(
    "text", [None, "", "{}", "nonsense", "[]", "3", '{"seen": {"A": [1]}}', '{"seen": 3}']
)
def test_unreadable_memory_is_an_empty_one(text: str | None) -> None:
    assert Memory.from_json(text) == Memory()


@given(
    steps=st.lists(st.tuples(st.sampled_from("xyz"), st.floats(0, 100), st.booleans()), max_size=30),
    limit=st.integers(1, 3),
)
def test_no_content_is_run_more_often_than_allowed_in_a_row(
    steps: list[tuple[str, float, bool]], limit: int
) -> None:
    memory, now, runs, last = Memory(), 0.0, 0, None
    for content, wait, busy in steps:
        now += wait
        found = at(Memory.from_json(memory.to_json()), now, content, attempts=limit)
        runs = runs if content == last else 0
        last, memory = content, found.memory
        assert set(found.ready).isdisjoint({*found.unsettled, *found.given_up})
        if found.ready and not busy:
            runs, memory = runs + 1, found.requested(found.ready)
            assert now - memory.seen["A"].since >= 30
        assert runs <= limit
    assert json.loads(memory.to_json())["seen"].keys() <= {"A"}
