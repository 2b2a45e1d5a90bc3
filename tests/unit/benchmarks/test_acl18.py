"""The ACL18 protocol on our pipeline: its rows and no others, and no test label before the end."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import matthews_corrcoef

from benchmarks.acl18_data import Stock, _stock, load_stocks, pool_stocks
from benchmarks.acl18_page import accuracy, counts_by_day, day_intervals, matthews
from ml_assets.prices import PriceHistory
from ml_assets.prices.simulated import simulate

DAYS = 420
SPLITS = {"train": slice(150, 300), "dev": slice(300, 340), "test": slice(340, 400)}


def prices(seed: int) -> PriceHistory:
    return simulate("ar1", DAYS, seed=seed).prices


def labels(history: PriceHistory) -> pd.DataFrame:
    """Labels as in the published files: named by the day whose return they classify."""
    moves = history.frame["close"].pct_change().to_numpy()
    kind = np.where(moves >= 0.0055, 1, np.where(moves <= -0.005, -1, 0))
    split = np.full(DAYS, "", dtype="<U5")
    for name, days in SPLITS.items():
        split[days] = name
    table = pd.DataFrame({"date": history.frame.index.strftime("%Y-%m-%d"), "label": kind, "split": split})
    return table[(table["split"] != "") & (table["label"] != 0)]


def stock(seed: int = 0) -> Stock:
    return _stock(prices(seed), labels(prices(seed)))


def test_rows_are_the_protocols_and_read_only_days_before_their_own() -> None:
    given, found = labels(prices(0)), stock()
    for name, part in (("train", "train"), ("dev", "validation")):
        wanted = given[given["split"] == name]
        days = found.sequences.as_of(part)[np.isfinite(found.sequences.y(part))]
        following = found.sequences.dates[np.searchsorted(found.sequences.dates, days) + 1]
        assert [str(day) for day in following] == wanted["date"].tolist()
        known = found.sequences.y(part)[np.isfinite(found.sequences.y(part))]
        assert ((known > 0) == (wanted["label"] == 1)).all()
    up, _ = found.truth()
    assert (up == (given[given["split"] == "test"]["label"] == 1)).all()
    assert found.counts == given["split"].value_counts().to_dict()


def test_no_test_label_and_no_label_between_is_in_the_sequences() -> None:
    found = stock()
    assert np.isnan(found.sequences.y("test")).all()
    kept = found.sequences.returns[np.isfinite(found.sequences.returns)]
    assert ((kept >= 0.0055) | (kept <= -0.005)).all()


def test_pool_holds_the_training_rows_and_the_labelled_validation_rows_of_all() -> None:
    stocks = [stock(0), stock(1)]
    pooled = pool_stocks(stocks)
    assert len(pooled.train) == sum(len(s.sequences.positions("train")) for s in stocks)
    for rows in (pooled.train, pooled.validation):
        assert np.isfinite(pooled.targets[rows]).all()
    X, _ = pooled.windows(pooled.train)
    wanted = np.concatenate([s.sequences.normalized("train") for s in stocks])
    np.testing.assert_array_equal(X, wanted)
    # A window never reaches from one stock into another.
    assert (pooled.member[pooled.train - pooled.window + 1] == pooled.member[pooled.train]).all()
    assert pooled.label_ends[pooled.train].max() <= pooled.dates[pooled.validation].min() + 1


def test_shifted_labels_are_refused_with_the_day() -> None:
    shifted = labels(prices(0)).assign(date=lambda t: t["date"].shift(1)).dropna()
    with pytest.raises(SystemExit, match=r"SIM-AR1-0 \d{4}-\d\d-\d\d: label"):
        _stock(prices(0), shifted)


def test_missing_file_and_other_labels_are_refused(tmp_path) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(SystemExit, match=r"prices\.parquet does not exist"):
        load_stocks(tmp_path)
    prices(0).frame.to_parquet(tmp_path / "prices.parquet")
    few = labels(prices(0)).assign(symbol="A", usable_seq5=True)
    few.to_parquet(tmp_path / "acl18_labels.parquet")
    with pytest.raises(SystemExit, match="the labels hold"):
        load_stocks(tmp_path)


@given(st.integers(0, 2**32 - 1), st.integers(2, 40))
def test_figures_equal_their_definitions(seed: int, rows: int) -> None:
    rng = np.random.default_rng(seed)
    forecast, up = rng.random((2, rows)) < rng.uniform(0.1, 0.9)
    day = np.sort(rng.integers(0, 5, rows))
    counts = counts_by_day(forecast, up, day).sum(axis=0)
    varied = 0 < up.sum() < rows and 0 < forecast.sum() < rows
    assert accuracy(counts) == pytest.approx(np.mean(forecast == up))
    assert matthews(counts) == pytest.approx(matthews_corrcoef(up, forecast) if varied else 0.0)


def test_stocks_that_move_together_widen_the_interval() -> None:
    rng = np.random.default_rng(0)
    day = np.repeat(np.arange(60), 50)
    forecast = rng.random(day.size) < 0.5
    alone = counts_by_day(forecast, rng.random(day.size) < 0.5, day)
    forecast = np.repeat(rng.random(60) < 0.5, 50)
    together = counts_by_day(forecast, np.repeat(rng.random(60) < 0.5, 50), day)
    widths = [np.ptp(day_intervals(counts)[0]) for counts in (alone, together)]
    assert widths[1] > 3 * widths[0]
