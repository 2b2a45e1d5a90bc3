"""Pooling crosses symbols, so its one promise is about days: none of the training part is known too late."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_assets.gates.models._pooled_rows import require_certified_rows
from ml_assets.mamba import pool_sequences
from ml_assets.mamba.pooled import validation_start
from ml_assets.prices.simulated import simulate
from ml_assets.windows.sequences import SequenceConfig, build_sequences

CONFIG = SequenceConfig(window=20, test_days=60)


@cache
def member(symbol: str, start: str = "2000-01-03", days: int = 700, *, ohlcv: bool = False, seed: int = 0):
    market = simulate("ar1", days, seed=seed, symbol=symbol, start=start, ohlcv=ohlcv)
    return build_sequences(market.prices, CONFIG)


@given(st.lists(st.tuples(st.integers(0, 60), st.sampled_from([500, 700, 1000])), min_size=1, max_size=6))
@settings(deadline=None, max_examples=40)
def test_no_label_reaches_any_members_validation_whatever_the_calendars(spans):
    starts = np.datetime64("2000-01-03") + np.array([30 * months for months, _ in spans])
    sets = [member(f"S{i}", str(starts[i]), days) for i, (_, days) in enumerate(spans)]
    pooled = pool_sequences(sets)
    by_symbol = {s.symbol: s for s in sets}
    assert set(pooled.members) | set(pooled.excluded) == set(by_symbol)
    assert pooled.members
    for name in pooled.members:
        assert pooled.boundary <= validation_start(by_symbol[name])
        assert pooled.known_until <= by_symbol[name].as_of("validation")[-1]
    assert (pooled.label_ends[pooled.train] < pooled.boundary).all()
    assert (pooled.label_ends[pooled.validation] <= pooled.known_until).all()
    # Every row is a row of its symbol, with the features and the direction of that day.
    for row in [*pooled.train[::50], *pooled.validation[::50]]:
        source = by_symbol[pooled.members[pooled.member[row]]]
        day = int(np.searchsorted(source.dates, pooled.dates[row]))
        assert source.dates[day] == pooled.dates[row]
        assert pooled.targets[row, 0] == (source.returns[day] > 0)
        window = pooled.dates[row - pooled.window + 1 : row + 1]
        np.testing.assert_array_equal(window, source.dates[day - pooled.window + 1 : day + 1])
        assert (pooled.member[row - pooled.window + 1 : row + 1] == pooled.member[row]).all()


def test_the_order_of_symbols_does_not_matter_and_equal_values_give_equal_hashes():
    sets = [member("A", seed=1), member("B", seed=2)]
    assert pool_sequences(sets).sha256() == pool_sequences(sets[::-1]).sha256()
    assert pool_sequences(sets[:1]).sha256() != pool_sequences(sets).sha256()


def test_normalization_knows_only_the_days_trained_on():
    early, late = member("EARLY"), member("LATE", "2001-06-04")
    pooled = pool_sequences([early, late])
    assert pooled.members == ("EARLY", "LATE")
    part = pooled.member == pooled.members.index("LATE")
    trained = part & (pooled.dates < pooled.boundary)
    values = pooled.days[trained]
    assert np.abs(np.mean(values, axis=0)).max() < 0.2
    # LATE's own center knows days after the boundary; it is not used.
    changed = replace(late, center=late.center + 1.0, scale=late.scale * 2.0)
    assert pool_sequences([early, changed]).sha256() == pooled.sha256()


def test_a_symbol_whose_validation_comes_too_early_is_left_out_with_the_reason():
    old = member("OLD", "1980-01-07", 500)
    pooled = pool_sequences([old, member("A", seed=1), member("B", seed=2)])
    assert pooled.members == ("A", "B")
    assert pooled.excluded["OLD"].startswith(f"its validation starts on {validation_start(old)}, before")


def test_a_symbol_whose_validation_ends_before_others_have_begun_theirs_is_left_out():
    sets = [
        member("A", days=1000, seed=1),
        member("B", days=1000, seed=2),
        member("EARLY", "1998-06-01", 1000),
    ]
    pooled = pool_sequences(sets)
    assert len(pooled.validation) >= 30
    assert set(pooled.members) | set(pooled.excluded) == {"A", "B", "EARLY"}
    assert set(pooled.members) in ({"A", "B"}, {"EARLY"})


@given(st.lists(st.tuples(st.integers(0, 90), st.sampled_from([400, 700, 1300])), min_size=1, max_size=5))
@settings(deadline=None, max_examples=40)
def test_there_are_always_validation_rows_to_stop_by(spans):
    starts = np.datetime64("1995-01-02") + np.array([30 * months for months, _ in spans])
    sets = [member(f"S{i}", str(starts[i]), days) for i, (_, days) in enumerate(spans)]
    pooled = pool_sequences(sets)
    assert len(pooled.validation) >= 30
    require_certified_rows(pooled, {s.symbol: s for s in sets})


def test_a_symbol_with_other_features_or_too_few_rows_is_left_out_with_the_reason():
    wide, young = member("WIDE", ohlcv=True), member("YOUNG", "2001-04-02", 700)
    pooled = pool_sequences([member("A"), member("B", seed=1), wide, young])
    assert pooled.excluded["WIDE"] == "other features or windows than most"
    with pytest.raises(ValueError, match="materialize split_sequences"):
        pool_sequences([])
