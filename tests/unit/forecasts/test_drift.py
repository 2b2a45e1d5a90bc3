"""Drift: found where it is, rarely where it is not, and derived from its parts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom, fisher_exact

from ml_assets.forecasts.direction.drift import accuracy_drift
from ml_assets.forecasts.feature_drift import FeatureDrift, feature_drift
from ml_assets.gates.forecasts.feature_drift import features_recomputed
from ml_assets.windows.features import extract_features, feature_names

NAMES = feature_names()


def walk(days: int, seed: int, scale: float = 1.0) -> np.ndarray:
    steps = 0.01 * scale * np.random.default_rng(seed).standard_normal(days + 60)
    return extract_features(100 * np.exp(np.cumsum(steps)))[60:]


def hits(right: int, wrong: int) -> np.ndarray:
    return np.random.default_rng(0).permutation(np.repeat([True, False], [right, wrong]))


@pytest.mark.parametrize(
    ("right", "days", "reported"), [(20, 60, (560, 1000)), (70, 120, (300, 500)), (0, 60, (1, 2))]
)
def test_accuracy_is_fishers_exact_test(right: int, days: int, reported: tuple[int, int]) -> None:
    found = accuracy_drift(hits(right, days - right), reported, block=60, false_alarms=0.05)
    table = [[right, days - right], [reported[0], reported[1] - reported[0]]]
    assert found.p_value == pytest.approx(fisher_exact(table, alternative="less").pvalue, rel=1e-9)


def test_only_full_blocks_count_and_the_limits_add_up() -> None:
    days = hits(100, 99)
    looks = [accuracy_drift(days[:n], (560, 1000), block=40, false_alarms=0.05) for n in (40, 79, 80, 199)]
    assert [(f.look, f.days) for f in looks] == [(1, 40), (1, 40), (2, 80), (4, 160)]
    assert sum(0.05 / (k * (k + 1)) for k in range(1, 1000)) < 0.05
    assert [f.limit for f in looks] == [0.05 / 2, 0.05 / 2, 0.05 / 6, 0.05 / 20]


@pytest.mark.parametrize(("n", "reported"), [(39, (5, 10)), (0, (5, 10)), (40, (11, 10)), (40, (0, 0))])
def test_nothing_to_test_is_an_error(n: int, reported: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="live days"):
        accuracy_drift([True] * n, reported, block=40, false_alarms=0.05)


def test_no_false_alarm_over_all_looks_more_often_than_said() -> None:
    """A model as good as reported, looked at 20 times over 1,200 days; 1,000 such models."""
    rng, alarms, models = np.random.default_rng(1), 0, 1000
    for _ in range(models):
        reported, days = int(rng.binomial(1000, 0.56)), rng.random(1200) < 0.56
        alarms += any(
            accuracy_drift(days[: 60 * k], (reported, 1000), block=60, false_alarms=0.05).found
            for k in range(1, 21)
        )
    assert alarms <= binom.ppf(0.999, models, 0.05)


def test_lost_skill_is_found() -> None:
    rng, found = np.random.default_rng(2), 0
    for _ in range(200):
        days = rng.random(480) < 0.5
        found += any(
            accuracy_drift(days[: 60 * k], (600, 1000), block=60, false_alarms=0.05).found
            for k in range(1, 9)
        )
    assert found >= 120  # 60 % reported, none left, eight looks


def test_no_false_alarm_on_autocorrelated_features() -> None:
    """Where the usual test cries wolf nearly always: neighbors share most of their windows."""
    alarms = 0
    for seed in range(60):
        features = walk(2460, seed)
        found = feature_drift(features[:2400], features[2400:], NAMES, limit=0.05)
        assert found is not None
        alarms += found.found
    assert alarms <= binom.ppf(0.999, 60, 0.05)


def test_another_market_is_found_and_named() -> None:
    reference = walk(2400, 3)
    found = feature_drift(reference, walk(120, 4, scale=3.0)[-60:], NAMES, limit=0.05)
    assert found is not None
    assert found.found
    assert found.p_value == pytest.approx(1 / 41)  # the least that 2,400 days can prove about 60
    assert found.distance > found.typical
    calm = feature_drift(reference, walk(120, 4)[-60:], NAMES, limit=0.05)
    assert calm is not None
    assert not calm.found


@pytest.mark.parametrize(("m", "n"), [(600, 60), (100, 60), (2400, 1), (2400, 0)])
def test_too_little_to_compare_with_is_said(m: int, n: int) -> None:
    features = walk(2500, 5)
    assert feature_drift(features[:m], features[m : m + n], NAMES, limit=0.05) is None


@pytest.mark.parametrize("scale", [1.0, 3.0])
def test_the_gate_on_features_finds_what_was_found(scale: float) -> None:
    table = walk(2400, 6), walk(130, 8, scale), NAMES
    found = feature_drift(table[0], table[1][-60:], NAMES, limit=0.05)
    assert found is not None
    assert found.found == (scale > 1)

    def passes(said: FeatureDrift | None, block: int = 60) -> bool:
        return features_recomputed("A", said, table, block=block, limit=0.05).passed

    assert passes(found)
    assert not passes(found, block=50)
    assert not passes(None)
    for change in (
        {"p_value": 0.04 if scale == 1 else 0.2},
        {"feature": next(name for name in NAMES if name != found.feature)},
        {"reference_days": 2000},
        {"limit": 0.5},
    ):
        assert not passes(replace(found, **change)), change


def test_where_features_cannot_be_compared_the_gate_wants_no_comparison() -> None:
    long = walk(2400, 6), walk(60, 8), NAMES
    found = feature_drift(*long, limit=0.05)
    short = (long[0][:500], *long[1:])
    assert features_recomputed("A", None, short, block=60, limit=0.05).passed
    assert not features_recomputed("A", found, short, block=60, limit=0.05).passed
