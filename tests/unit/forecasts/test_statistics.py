"""Pesaran-Timmermann and Benjamini-Hochberg against independent references, and their size."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import hypergeom, norm

from ml_assets.forecasts.statistics import (
    adjusted_p_values,
    block_interval,
    decline_p,
    paired_p,
    pesaran_timmermann,
)

DIRECTIONS = st.integers(2, 60).flatmap(
    lambda n: st.tuples(*(st.lists(st.booleans(), min_size=n, max_size=n) for _ in range(2)))
)


def reference(forecast: list[bool], actual: list[bool]) -> float:
    """Equation 6 of Pesaran and Timmermann (1992), term by term, in plain Python."""
    n = len(forecast)
    p_y, p_x = sum(actual) / n, sum(forecast) / n
    p = sum(f == a for f, a in zip(forecast, actual, strict=True)) / n
    p_star = p_y * p_x + (1 - p_y) * (1 - p_x)
    v = p_star * (1 - p_star) / n
    w = (2 * p_y - 1) ** 2 * p_x * (1 - p_x) / n + (2 * p_x - 1) ** 2 * p_y * (1 - p_y) / n
    w += 4 * p_y * p_x * (1 - p_y) * (1 - p_x) / n**2
    return 0.5 * math.erfc((p - p_star) / math.sqrt(v - w) / math.sqrt(2))


@given(DIRECTIONS)
def test_equals_the_paper_and_the_correlation(sample: tuple[list[bool], list[bool]]) -> None:
    forecast, actual = sample
    assume(len(set(forecast)) == 2)
    assume(len(set(actual)) == 2)
    found, n = pesaran_timmermann(forecast, actual), len(forecast)
    assert found == pytest.approx(reference(forecast, actual), abs=1e-10)
    correlation = float(np.corrcoef(np.array(forecast, float), np.array(actual, float))[0, 1])
    assert found == pytest.approx(float(norm.sf(correlation * n / math.sqrt(n - 1))), abs=1e-9)


def test_known_value() -> None:
    # 100 days, both sides up on 50, 60 hits: P* = 0.5, V = 0.0025, W = 4/16/1e4: z = 0.1 / sqrt(0.002475).
    forecast = [True] * 50 + [False] * 50
    actual = [True] * 30 + [False] * 20 + [True] * 20 + [False] * 30
    z = 0.1 / math.sqrt(0.0025 - 0.000025)
    assert pesaran_timmermann(forecast, actual) == pytest.approx(0.5 * math.erfc(z / math.sqrt(2)), rel=1e-12)


@given(DIRECTIONS)
def test_symmetries(sample: tuple[list[bool], list[bool]]) -> None:
    forecast, actual = np.array(sample[0]), np.array(sample[1])
    p = pesaran_timmermann(forecast, actual)
    assert 0 <= p <= 1
    assert pesaran_timmermann(actual, forecast) == pytest.approx(p, abs=1e-12)
    assert pesaran_timmermann(~forecast, ~actual) == pytest.approx(p, abs=1e-12)
    if forecast.any() and not forecast.all() and actual.any() and not actual.all():
        assert pesaran_timmermann(~forecast, actual) == pytest.approx(1 - p, abs=1e-9)


@given(st.lists(st.booleans(), min_size=0, max_size=50), st.booleans())
def test_constant_forecast_shows_nothing(actual: list[bool], side: bool) -> None:
    assert pesaran_timmermann([side] * len(actual), actual) == 1.0
    assert pesaran_timmermann(actual, [side] * len(actual)) == 1.0


def test_always_up_is_not_skill_however_often_prices_rise() -> None:
    actual = np.random.default_rng(0).random(1000) < 0.7
    assert pesaran_timmermann(np.ones(1000, bool), actual) == 1.0
    mostly_up = np.random.default_rng(1).random(1000) < 0.9
    assert np.mean(mostly_up == actual) > 0.6  # a binomial test would promote it
    assert pesaran_timmermann(mostly_up, actual) > 0.05


@pytest.mark.parametrize(("up", "forecast_up"), [(0.5, 0.5), (0.55, 0.8), (0.52, 0.3)])
def test_size_under_independence(up: float, forecast_up: float) -> None:
    rng = np.random.default_rng(7)
    p = [pesaran_timmermann(rng.random(500) < forecast_up, rng.random(500) < up) for _ in range(4000)]
    for level in (0.01, 0.05, 0.20):
        spread = math.sqrt(level * (1 - level) / 4000)
        assert abs(np.mean(np.array(p) <= level) - level) < 4 * spread + 0.1 * level


def test_power_for_a_real_edge() -> None:
    """gates.md asks for 80 % for a 60 % edge on 500 days."""
    rng = np.random.default_rng(8)
    found = 0
    for _ in range(500):
        actual = rng.random(500) < 0.52
        forecast = np.where(rng.random(500) < 0.60, actual, ~actual)
        found += pesaran_timmermann(forecast, actual) <= 0.05 / 50  # the hardest case: alone among fifty
    assert found / 500 >= 0.80


@pytest.mark.parametrize("hits_up", [100, 105, 112, 118])
def test_agrees_with_the_exact_permutation_test(hits_up: int) -> None:
    """All orders of the forecast equally likely: the days it is up and right are hypergeometric."""
    forecast = np.arange(400) < 180
    actual = np.concatenate([np.arange(180) < hits_up, np.arange(220) < 220 - hits_up])
    exact = hypergeom(400, int(actual.sum()), 180)
    mid_p = exact.sf(hits_up) + exact.pmf(hits_up) / 2  # the normal has no steps
    assert pesaran_timmermann(forecast, actual) == pytest.approx(mid_p, rel=0.06, abs=1e-4)


@pytest.mark.parametrize(
    ("forecast", "actual"), [([True], [True, False]), ([[True, False]], [[True, False]])]
)
def test_unequal_or_stacked_vectors_are_refused(forecast: object, actual: object) -> None:
    with pytest.raises(ValueError, match="must be equal vectors"):
        pesaran_timmermann(forecast, actual)  # type: ignore[arg-type]


# ------------------------------------------------------------------ Benjamini-Hochberg


def rejected(p: list[float], q: float) -> list[bool]:
    """The definition: the k smallest, k the largest rank with p(k) <= q k / m."""
    order = sorted(range(len(p)), key=p.__getitem__)
    k = max((rank for rank, i in enumerate(order, 1) if p[i] * len(p) / rank <= q), default=0)
    return [p[i] <= p[order[k - 1]] if k else False for i in range(len(p))]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40), st.floats(0.001, 0.999))
def test_rejects_what_the_definition_rejects(p: list[float], q: float) -> None:
    adjusted = adjusted_p_values(p)
    assume(np.abs(adjusted - q).min() > 1e-12)  # on the very edge rounding decides
    assert (adjusted <= q).tolist() == rejected(p, q)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_adjustment_only_weakens_and_keeps_the_order(p: list[float]) -> None:
    adjusted = adjusted_p_values(p)
    assert (adjusted >= np.array(p) - 1e-15).all()
    assert (adjusted <= 1).all()
    assert (np.diff(adjusted[np.argsort(p, kind="stable")]) >= -1e-15).all()
    assert np.allclose(adjusted_p_values([*p, 1.0])[:-1], np.minimum(adjusted * (len(p) + 1) / len(p), 1.0))


def test_no_attempt_gives_nothing() -> None:
    assert adjusted_p_values([]).size == 0


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_false_promotions_over_fifty_symbols_without_skill(seed: int) -> None:
    rng = np.random.default_rng(seed)
    fleets = sum((adjusted_p_values(rng.random(50)) <= 0.05).any() for _ in range(400))
    assert fleets / 400 <= 0.05 + 4.5 * math.sqrt(0.05 * 0.95 / 400)


# ------------------------------------------------------------------ intervals and pairs


@pytest.mark.parametrize("seed", range(3))
def test_block_interval_widens_with_dependence_and_covers(seed: int) -> None:
    rng = np.random.default_rng(seed)
    free = rng.random(1000) < 0.55
    low, high = block_interval(free)
    assert low < free.mean() < high
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt(0.25 / 1000), rel=0.2)
    lumpy = np.repeat(rng.random(50) < 0.55, 20)
    assert np.diff(block_interval(lumpy))[0] > 2.5 * (high - low)
    assert block_interval(free) == (low, high)


def test_block_interval_of_what_never_varies_is_a_point() -> None:
    assert block_interval(np.ones(50, bool)) == (1.0, 1.0)
    assert block_interval(np.zeros(1, bool)) == (0.0, 0.0)
    with pytest.raises(ValueError, match="no day was scored"):
        block_interval([])


def test_block_interval_covers_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    covered = 0
    for n in range(200):
        low, high = block_interval(rng.random(500) < 0.53, draws=400, seed=n)
        covered += low <= 0.53 <= high
    assert 180 <= covered <= 199  # 95 % of 200, three standard errors either way


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=60))
def test_paired_p_is_the_exact_sign_test(pairs: list[tuple[bool, bool]]) -> None:
    new, old = [a for a, _ in pairs], [b for _, b in pairs]
    gained = sum(a and not b for a, b in pairs)
    lost = sum(b and not a for a, b in pairs)
    n = gained + lost
    expected = sum(math.comb(n, k) for k in range(gained, n + 1)) / 2**n if n else 1.0
    assert paired_p(new, old) == pytest.approx(expected)


def test_pairs_of_different_days_are_refused() -> None:
    with pytest.raises(ValueError, match="same days"):
        paired_p([True], [True, False])


def test_decline_is_the_lower_tail() -> None:
    assert decline_p(np.ones(0, bool), 0.6) == 1.0
    assert decline_p([False] * 10, 0.5) == pytest.approx(2**-10)
    assert decline_p([True] * 10, 0.5) == pytest.approx(1.0)
