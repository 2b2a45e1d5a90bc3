"""What the promotion rule does to luck and to skill; `make calibrate` measures the same with more fleets."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binom

from benchmarks.calibration.drawn import drawn_fleet, drawn_score
from benchmarks.calibration.fleets import NAIVE, RULES, Fleet, Found, Score, judge
from benchmarks.calibration.intervals import clopper_pearson, mean_interval

IN_FORCE, WITHOUT_QUARANTINE, WITHOUT_MARGIN = RULES
WALK_FLEETS, EDGE_FLEETS = 300, 40
MOST = int(binom.ppf(0.999, WALK_FLEETS, 0.05))  # a rule that errs in 5 % of fleets exceeds it once in 1,000


@functools.cache
def walks() -> list[Fleet]:
    rng = np.random.default_rng(1)
    return [drawn_fleet(rng, 500) for _ in range(WALK_FLEETS)]


@functools.cache
def edges(accuracy: float, days: int) -> list[Fleet]:
    rng = np.random.default_rng(2)
    return [drawn_fleet(rng, days, edges=10, accuracy=accuracy) for _ in range(EDGE_FLEETS)]


def judged(fleets: Sequence[Fleet], rule: str) -> list[Found]:
    return [judge(fleet, RULES[rule]) for fleet in fleets]


def power(fleets: Sequence[Fleet], rule: str) -> float:
    found = judged(fleets, rule)
    return sum(f.edges_promoted for f in found) / sum(f.edges for f in found)


@pytest.mark.parametrize("rule", [IN_FORCE, WITHOUT_QUARANTINE, WITHOUT_MARGIN])
def test_fifty_random_walks_rarely_promote_any(rule: str) -> None:
    """gates.md: P(any promotion | 50 random walks) <= 5 %."""
    assert sum(found.walks_promoted > 0 for found in judged(walks(), rule)) <= MOST


@pytest.mark.parametrize("passes", NAIVE.values(), ids=NAIVE.keys())
def test_same_bound_refuses_what_others_promote_by(passes: Callable[[Score], bool]) -> None:
    fleets = sum(any(map(passes, fleet.walks)) for fleet in walks())
    assert fleets > 0.5 * WALK_FLEETS > MOST


def test_walks_are_drawn_so_that_the_test_says_what_it_promises() -> None:
    p = np.array([score.p_value for fleet in walks() for score in fleet.walks])
    for level in (0.05, 0.01):
        low, high = clopper_pearson(int(np.sum(p <= level)), p.size, 0.999)
        assert low < level < high


def test_power_for_an_edge_of_60_percent_on_500_days() -> None:
    """gates.md: at least 80 %, quarantine apart, which exists to stop such figures on real prices."""
    assert power(edges(0.60, 500), WITHOUT_QUARANTINE) >= 0.80
    assert power(edges(0.60, 500), WITHOUT_MARGIN) >= power(edges(0.60, 500), WITHOUT_QUARANTINE)


def test_quarantine_takes_what_it_does_not_promote() -> None:
    found = judged(edges(0.60, 500), IN_FORCE)
    total = sum(f.edges for f in found)
    assert 0.3 < sum(f.edges_quarantined for f in found) / total < 0.7
    assert sum(f.edges_promoted + f.edges_quarantined for f in found) / total >= 0.80


def test_more_days_and_larger_edges_are_found_more_often() -> None:
    small, long, large = (
        power(edges(*case), WITHOUT_QUARANTINE) for case in ((0.55, 500), (0.55, 1000), (0.60, 500))
    )
    assert small < long < large


@pytest.mark.parametrize(("accuracy", "days"), [(0.60, 500), (0.55, 500), (0.55, 1000)])
def test_false_discoveries_stay_below_the_promised_rate(accuracy: float, days: int) -> None:
    shares = np.array([f.false_share for f in judged(edges(accuracy, days), WITHOUT_QUARANTINE)])
    assert shares.mean() <= 0.05 + 3 * shares.std() / np.sqrt(len(shares))


def test_edge_of_52_percent_needs_years() -> None:
    """gates.md: about 3,945 days, for one symbol alone; on 500 days it is not seen."""
    rng = np.random.default_rng(3)

    def alone(days: int) -> float:
        return float(np.mean([drawn_score(rng, days, 0.52).p_value <= 0.05 for _ in range(400)]))

    assert 0.72 <= alone(3945) <= 0.88
    assert alone(500) <= 0.35


def test_fleet_that_its_controls_void_is_not_counted() -> None:
    broken = Fleet([], controls={})
    with pytest.raises(RuntimeError, match="controls void this fleet"):
        judge(broken, RULES[IN_FORCE])


def test_bootstrap_interval_holds_the_mean() -> None:
    low, high = mean_interval([0.0, 0.0, 0.5, 1.0])
    assert low < 0.375 < high


@pytest.mark.slow
def test_trained_walks_are_refused_and_a_trained_edge_is_promoted(tmp_path: Path) -> None:
    """The real path: simulated prices, sequences, folds, base model, Mamba, score, decide."""
    from benchmarks.calibration.trained import PARTS, WALK, Cell, Results, train_cell

    results, edge = Results(tmp_path / "kept.jsonl"), Cell("product", 0.8)
    for cell, number in ((WALK, 5), (edge, 1)):
        results.add(cell, 0, list(train_cell(cell, 0, symbols=number)), 1.0)
    again = Results(results.path)  # what a stopped run goes on from
    assert again.fleets == results.fleets
    for part in PARTS:
        (without,), (planted,) = again.of(WALK), again.of(edge)
        found = judge(
            Fleet([s[part] for s in without], [s[part] for s in planted]), RULES[WITHOUT_QUARANTINE]
        )
        assert found == Found(edges=1, edges_promoted=1, edges_quarantined=0, walks_promoted=0)


def test_kept_results_of_other_settings_are_passed_over(tmp_path: Path) -> None:
    from benchmarks.calibration.trained import WALK, Results

    kept = Results(tmp_path / "kept.jsonl")
    kept.add(WALK, 0, [{"both": drawn_score(np.random.default_rng(0), 500, None)}], 1.0)
    assert Results(kept.path).of(WALK) == kept.of(WALK) != []
    kept.path.write_text(kept.path.read_text().replace('"fingerprint": ', '"fingerprint": 1'))
    assert Results(kept.path).of(WALK) == []
    kept.path.write_text('{"cell": "rand')
    with pytest.raises(SystemExit, match="line 1 is damaged"):
        Results(kept.path)
