"""The short form of ``python -m tests.mutants``: every planted leak on one small market."""

from __future__ import annotations

import pytest

from tests.mutants.catalogue import CLEAN_MARKETS, mutant_market, mutants, real_stocks
from tests.mutants.pipeline import GATES, Mutant, run_clean, run_mutant

CATALOGUE = mutants()
MARKET = mutant_market()


@pytest.mark.parametrize("mutant", CATALOGUE, ids=[m.name for m in CATALOGUE])
def test_the_gate_kills_the_mutant(mutant: Mutant):
    result, _ = run_mutant(mutant, MARKET)
    assert not result.passed, f"{mutant.name} survived {mutant.gate}: {result.message}"
    assert result.message


@pytest.mark.parametrize(
    "name", ["the mutants' market", "random walk, 600 days, closes", "coarse prices", "missing values"]
)
def test_no_false_alarm_on_a_clean_pipeline(name: str):
    results, _ = run_clean(CLEAN_MARKETS[name]())
    assert [r.message for r in results if not r.passed] == []
    assert [r.gate for r in results] == [gate.rpartition("/")[2] for gate in GATES]
    assert all(r.checked > 0 for r in results)


def test_no_false_alarm_on_a_real_stock():
    _, prices = next(real_stocks())
    results, cpu_seconds = run_clean(prices)
    assert [r.message for r in results if not r.passed] == []
    assert len(prices.frame) > 5000
    assert cpu_seconds < 30, "a gate on one symbol takes seconds"


def test_every_gate_kills_something_and_no_name_occurs_twice():
    assert {m.gate for m in CATALOGUE} == set(GATES)
    assert len({m.name for m in CATALOGUE}) == len(CATALOGUE) >= 35
