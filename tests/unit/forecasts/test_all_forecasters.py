"""One contract for whoever forecasts, whatever is forecast: who is in a target's list is tested by it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from ml_assets.forecasts.direction import BASELINES as DIRECTION_BASELINES
from ml_assets.forecasts.direction import DIRECTION_SCORING, MambaDirection
from ml_assets.forecasts.forecaster import FoldRows, Forecaster, Model
from ml_assets.forecasts.variance import BASELINES as VARIANCE_BASELINES
from ml_assets.forecasts.variance import VARIANCE_SCORING, MambaVariance
from ml_assets.forecasts.walk_forward import FoldModels, walk_forward
from ml_assets.mamba import MambaConfig, TrainingRecipe
from ml_assets.windows.sequences import SequenceConfig, build_sequences
from tests.unit.forecasts.variance_makers import HORIZONS, QUICK, TINY, market

TARGETS = {
    "direction": (
        DIRECTION_SCORING,
        (1,),
        (
            *DIRECTION_BASELINES,
            MambaDirection(
                MambaConfig(d_model=8, d_state=4, head_dim=8), TrainingRecipe(epochs=1, jit_compile=False)
            ),
        ),
    ),
    "variance": (VARIANCE_SCORING, HORIZONS, (*VARIANCE_BASELINES, MambaVariance(TINY, QUICK))),
}
CASES = [(target, one.name) for target, (_, _, forecasters) in TARGETS.items() for one in forecasters]
every_forecaster = pytest.mark.parametrize(("target", "name"), CASES)


def forecaster(target: str, name: str) -> Forecaster:
    return next(one for one in TARGETS[target][2] if one.name == name)


@cache
def rows(target: str, number: int = 2) -> FoldRows:
    """One fold of a market with open, high and low."""
    prices, sequences = market()
    fold = sequences.fold(number)
    return FoldRows(prices.frame.iloc[: len(fold.dates)], fold, TARGETS[target][1])


@cache
def fitted(target: str, name: str) -> Model:
    return forecaster(target, name).fit(rows(target))


def redrawn(known: FoldRows, cut: int) -> FoldRows:
    """The same fold with other prices after a day; its features are built anew."""
    prices, _ = market()
    frame = known.frame.copy()
    moves = np.random.default_rng(0).normal(0.0, 0.05, len(frame) - cut - 1)
    frame.iloc[cut + 1 :] *= np.exp(np.cumsum(moves))[:, None]
    test = len(known.sequences.positions("test"))
    whole = build_sequences(replace(prices, frame=frame), SequenceConfig(window=30, test_days=test))
    return replace(known, frame=frame, sequences=replace(whole, folds=known.sequences.folds))


@every_forecaster
def test_it_forecasts_every_day_and_horizon_in_the_unit_of_its_target(target: str, name: str) -> None:
    scoring, known = TARGETS[target][0], rows(target)
    forecast = fitted(target, name).forecast(known)
    scoring.require_possible(known, forecast)
    some = replace(known, at=known.days[3:7])
    np.testing.assert_allclose(fitted(target, name).forecast(some), forecast[3:7], rtol=1e-6)


@every_forecaster
def test_its_bytes_come_back_with_bit_equal_forecasts(target: str, name: str) -> None:
    model, known = fitted(target, name), rows(target)
    back = forecaster(target, name).from_bytes(model.to_bytes())
    np.testing.assert_array_equal(back.forecast(known), model.forecast(known))
    assert back.to_bytes() == model.to_bytes()
    for other in (b"", b"nothing", b'{"other": 1}', model.to_bytes()[:-3]):
        with pytest.raises(ValueError):
            forecaster(target, name).from_bytes(other)


@every_forecaster
def test_equal_rows_give_equal_bytes_whatever_the_threads_of_the_process(target: str, name: str) -> None:
    """Else what a worker, a command and the UI certify would differ."""
    with threadpool_limits(1):
        again = forecaster(target, name).fit(rows(target))
    assert again.to_bytes() == fitted(target, name).to_bytes()


@every_forecaster
def test_no_day_of_the_test_windows_enters_the_fit(target: str, name: str) -> None:
    known = rows(target)
    begins = int(known.sequences.positions("test")[0]) - known.sequences.window + 1
    again = forecaster(target, name).fit(redrawn(known, begins - 1))
    assert again.to_bytes() == fitted(target, name).to_bytes()


@every_forecaster
def test_no_later_day_enters_a_forecast(target: str, name: str) -> None:
    known = rows(target)
    cut = int(known.days[50])
    other = redrawn(known, cut)
    before, after = (fitted(target, name).forecast(r) for r in (known, other))
    np.testing.assert_array_equal(before[:51], after[:51])
    if (np.ptp(before, axis=0) > 1e-6 * np.abs(before).max()).any():  # else it looks at no day
        assert not np.array_equal(before[51:], after[51:])


@every_forecaster
def test_what_is_fitted_is_that_of_its_fold(target: str, name: str) -> None:
    """Of the first fold's days alone, though the model of the last fold is there already."""
    if name in ("persistence", "always_up", "ewma"):
        pytest.skip("has nothing to fit")
    models = FoldModels(forecaster(target, name), [rows(target, 1), rows(target)], fitted(target, name))
    assert models(2) is fitted(target, name)
    first = forecaster(target, name).fit(rows(target, 1))
    assert models(1).to_bytes() == first.to_bytes()
    if name != "majority":  # one bit, which may well agree
        assert first.to_bytes() != fitted(target, name).to_bytes()


@pytest.mark.parametrize("target", TARGETS)
def test_a_report_holds_each_of_them(target: str) -> None:
    """A forecaster that is no baseline is scored beside those that are."""
    scoring, _, forecasters = TARGETS[target]
    prices, _ = market()
    report = walk_forward(scoring, forecasters[2], prices.frame, [rows(target, 1), rows(target)])
    for score in report.scores:
        assert set(score.baselines) == {one.name for one in scoring.baselines}
        assert score.level == score.levels[forecasters[2].name]
    closes = prices.frame[["close"]]
    alone = [replace(r, frame=r.frame[["close"]]) for r in (rows(target, 1), rows(target))]
    named = set(walk_forward(scoring, forecasters[2], closes, alone).scores[0].baselines)
    assert named == {one.name for one in scoring.baselines} - {"har_range"}


def without(column: str) -> Callable[[FoldRows], dict[str, Any]]:
    def change(known: FoldRows) -> dict[str, Any]:
        frame = known.frame.copy()
        frame.iloc[400, frame.columns.get_loc(column)] = np.nan
        return {"frame": frame}

    return change


def zero(known: FoldRows) -> dict[str, Any]:
    return {"frame": known.frame.assign(close=np.where(np.arange(len(known.frame)) == 7, 0.0, 50.0))}


def blind(known: FoldRows) -> dict[str, Any]:
    features = known.sequences.features.copy()
    features[known.sequences.positions("train")[9], 0] = np.inf
    return {"sequences": replace(known.sequences, features=features)}


BAD_ROWS: list[tuple[Callable[[FoldRows], dict[str, Any]], str]] = [
    (without("close"), r"SIM \d{4}-\d\d-\d\d: the close is no positive number"),
    (zero, r"SIM \d{4}-\d\d-\d\d: the close is no positive number"),
    (blind, r"SIM \d{4}-\d\d-\d\d: a feature is not finite"),
    (lambda known: {"frame": known.frame.iloc[:-1]}, r"SIM: prices of \d+ days, \d+ days of sequences"),
    (lambda _: {"at": np.array([3])}, "SIM: forecasts are asked for days 3 to 3, windows end on days"),
    (lambda known: {"at": np.array([len(known.frame)])}, "SIM: forecasts are asked for days"),
]


@pytest.mark.parametrize(("change", "message"), BAD_ROWS)
def test_rows_that_nobody_could_use_are_refused_before_anybody_sees_them(change: Any, message: str) -> None:
    known = rows("variance")
    with pytest.raises(ValueError, match=message):
        replace(known, **change(known))


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: f[:-1], "forecasts of shape"),
        (lambda f: np.vstack([f, f[:1]]), "forecasts of shape"),
        (lambda f: f[:, 0], "forecasts of shape"),
        (lambda f: np.where(np.arange(len(f))[:, None] == 3, np.nan, f), "is nan, not a"),
        (lambda f: -f - 1.0, "not a p"),
    ],
)
def test_a_forecast_that_is_none_is_refused_with_symbol_and_day(
    target: str, spoil: Any, message: str
) -> None:
    scoring, known = TARGETS[target][0], rows(target)
    with pytest.raises(ValueError, match=f"SIM.*{message}"):
        scoring.require_possible(known, spoil(np.full((known.days.size, len(known.horizons)), 0.5)))


def test_an_ohlc_forecaster_falls_back_where_one_day_lacks_a_column() -> None:
    known = replace(rows("variance"), **without("high")(rows("variance")))
    model = forecaster("variance", "har_range").fit(known)
    assert np.isfinite(model.forecast(known)).all()
