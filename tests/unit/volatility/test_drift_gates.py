"""A released variance model on new days, and what each gate refuses of a look at it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ml_assets.forecasts.drift import FeatureDrift
from ml_assets.forecasts.release import Release, ReleasedVersion
from ml_assets.forecasts.succession import Champion
from ml_assets.forecasts.variance import VolatilityPromotion, VolatilityRule
from ml_assets.forecasts.variance.champions import (
    LiveVariance,
    WatchedVariance,
    variance_champions,
    variance_forecast,
    variance_of,
)
from ml_assets.forecasts.variance.drift import VarianceLook, VolatilityDriftReport, place_of
from ml_assets.gates.core import GateResult
from ml_assets.gates.forecasts.variance_drift import (
    every_new_day,
    judged_scores,
    loss_drift_recomputed,
    released_models,
    variances_reproduced,
)
from ml_assets.prices import PriceHistory
from ml_assets.prices.simulated import price_history, simulate
from ml_assets.storage import ArtifactStore, Certificate
from ml_assets.windows.sequences import SequenceConfig, build_sequences
from ml_assets.windows.steps import Steps
from tests.unit.skill.test_release import publish
from tests.unit.volatility.makers import HORIZONS, market, scored, trained

BLOCK, NEW = 40, 150
OPTIONS = {"block": BLOCK, "false_alarms": 0.05}


@dataclass(frozen=True)
class Watched:
    """A store whose release names one model for both horizons, prices that went on, and the look at it."""

    store: ArtifactStore
    release: Certificate
    prices: PriceHistory
    live: dict[int, LiveVariance]
    report: VolatilityDriftReport

    def gate(self, name: str, report: VolatilityDriftReport) -> GateResult:
        judged = judged_scores(self.store, self.release, "SIM")
        match name:
            case "released":
                return released_models(report, judged)
            case "days":
                return every_new_day(report, self.prices, judged, block=BLOCK)
            case "figures":
                parts = {h: one.parts for h, one in self.live.items()}
                return loss_drift_recomputed(report, self.prices, parts, judged, **OPTIONS)
            case _:
                return variances_reproduced(report, self.forecast)

    def forecast(self, horizon: int) -> np.ndarray:
        live = self.live[horizon]
        return variance_forecast(live.weights, live.parts, self.prices, horizon)


def gone_on(days: int) -> PriceHistory:
    """The market of the report with further days of its kind."""
    before, more = market()[0].frame, simulate("leverage", days + 1, seed=8).prices.frame.iloc[1:].copy()
    prices = ["open", "high", "low", "close"]
    more[prices] *= before["close"].iloc[-1] / 100
    more.index = pd.bdate_range(before.index[-1], periods=days + 1)[1:].astype("datetime64[ns]")
    return price_history("SIM", pd.concat([before, more]))


def release_model(store: ArtifactStore) -> Certificate:
    """The chain from a release to the weights: what was judged until `scored`'s last days."""
    report = scored()
    weights = publish(store, "volatility_weights", trained(2).to_bytes(), partition="SIM")
    made = publish(
        store, "volatility_report", report.to_bytes(), {"volatility_weights/SIM": weights.sha256}, "SIM"
    )
    champions = {s.horizon: Champion(weights.sha256, made.sha256, s.dates[-1]) for s in report.scores}
    promotion = VolatilityPromotion(VolatilityRule(), list(HORIZONS), [], [], None, {"SIM": champions})
    judged = publish(store, "volatility_promotion", promotion.to_bytes())
    versions = [ReleasedVersion("volatility_weights", "SIM", weights.sha256, h) for h in HORIZONS]
    return publish(
        store, "release", Release(versions, {}).to_bytes(), {"volatility_promotion": judged.sha256}
    )


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Watched:
    store, prices = ArtifactStore(tmp_path_factory.mktemp("watched")), gone_on(NEW)
    release = release_model(store)
    live = {m.horizon: LiveVariance.of(store, m, prices, Steps()) for m in variance_champions(store)}
    looks = [one.look(prices, **OPTIONS) for one in live.values()]
    report = VolatilityDriftReport.from_bytes(VolatilityDriftReport("SIM", looks).to_bytes())
    return Watched(store, release, prices, live, report)


def test_the_released_models_are_found_with_their_new_days(watched: Watched) -> None:
    one, five = variance_champions(watched.store)
    assert (one.horizon, five.horizon) == HORIZONS
    for model, score in zip((one, five), scored().scores, strict=True):
        assert model.judged_until == score.dates[-1]
        since = int(np.sum(watched.prices.dates > model.judged_until))
        assert watched.live[model.horizon].days == model.outcomes(since)
    assert [len(look.dates) for look in watched.report.looks] == [120, 120]
    assert {len(part.positions("test")) for part in watched.live[1].parts} == {120, 30}  # as its folds
    first = {look.horizon: look.dates[0] for look in watched.report.looks}
    days = [str(day.date()) for day in watched.prices.dates]
    for h, score in zip(HORIZONS, scored().scores, strict=True):
        assert days.index(first[h]) == days.index(score.dates[-1]) + h  # no outcome shares a day


def test_a_later_look_says_the_same_of_the_days_before(watched: Watched) -> None:
    """Baselines are fitted anew for each look, and yet nothing that is known later reaches back."""
    (model, _) = variance_champions(watched.store)
    prices = price_history("SIM", watched.prices.frame.iloc[:-60])
    earlier = LiveVariance.of(watched.store, model, prices, Steps()).look(prices, **OPTIONS)
    later = watched.report.looks[0]
    assert len(earlier.dates) == 80 < len(later.dates)
    for name in ("dates", "realized", "baseline_forecast"):
        assert getattr(earlier, name) == getattr(later, name)[:80]
    assert earlier.forecast == pytest.approx(later.forecast[:80], rel=1e-6)


def test_all_pass_on_the_honest_look(watched: Watched) -> None:
    for name in ("released", "days", "figures", "reproduced"):
        result = watched.gate(name, watched.report)
        assert result.passed, (name, result.message)
        assert result.checked >= 2


def test_what_is_seen_is_told_by_model(watched: Watched) -> None:
    one, five = watched.report.looks
    wrong = replace(five, drift=replace(five.drift, p_value=0.001))
    rough = FeatureDrift(40, 1000, "ret_1", 0.9, 0.1, 0.01, 0.05)
    seen = VolatilityDriftReport(
        "SIM", [replace(one, drift=replace(one.drift, p_value=0.5)), wrong], rough
    ).seen()
    assert set(seen) == {place_of(look.champion, look.horizon) for look in (one, five)}
    assert [set(s.reasons) for s in seen.values()] == [{"features"}, {"variance_5"}]
    assert [s.days for s in seen.values()] == [120, 120]
    assert (
        "against ewma_fitted on 120 days since 2004-03-12"
        in seen[place_of(five.champion, 5)].reasons["variance_5"]
    )


def with_item(values: list[Any], index: int, value: Any) -> list[Any]:
    return [*values[:index], value, *values[index + 1 :]]


def drift(**change: Any) -> Callable[[VarianceLook], dict[str, Any]]:
    return lambda look: {"drift": replace(look.drift, **change)}


FAULTS: list[tuple[str, Callable[[VarianceLook], dict[str, Any]]]] = [
    ("released", lambda _: {"champion": "f" * 64}),
    ("released", lambda look: {"judged_until": look.dates[0]}),
    ("released", lambda _: {"baseline": "mean"}),
    ("released", drift(reported_excess=0.3)),
    ("released", drift(reported_days=300)),
    ("released", lambda _: {"horizon": 2}),
    ("days", lambda look: {"dates": look.dates[:BLOCK]}),  # the days that look bad are left out
    ("days", lambda look: {"dates": with_item(look.dates, 3, look.dates[4])}),
    ("days", lambda look: {"dates": ["2004-03-12", *look.dates[:-1]]}),
    ("days", lambda _: {"horizon": 2}),
    ("figures", lambda look: {"realized": with_item(look.realized, 7, look.realized[7] * (1 + 1e-6))}),
    ("figures", lambda look: {"baseline_forecast": [1.3 * v for v in look.baseline_forecast]}),
    ("figures", lambda _: {"baseline": "mean"}),
    ("figures", lambda look: {"forecast": look.realized}),  # the best forecast that there is
    ("figures", lambda look: {"dates": with_item(look.dates, 3, look.dates[4])}),
    ("figures", lambda look: {"dates": look.dates[:BLOCK]}),
    ("figures", drift(excess=-1.0)),
    ("figures", drift(p_value=0.5001)),
    ("figures", drift(limit=0.0)),
    ("figures", drift(look=1)),
    ("figures", drift(days=BLOCK)),
    ("reproduced", lambda look: {"forecast": look.forecast[::-1]}),
    ("reproduced", lambda look: {"forecast": with_item(look.forecast, 2, np.nextafter(look.forecast[2], 1))}),
]  # fmt: skip


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize(("gate", "fault"), FAULTS)
def test_a_tampered_look_is_refused(watched: Watched, gate: str, fault: Any, place: int) -> None:
    look, other = watched.report.looks[place], watched.report.looks[1 - place]
    looks = [replace(look, **fault(look)), *([other] if gate == "days" else [])]  # which asks for all
    result = watched.gate(gate, replace(watched.report, looks=looks))
    assert not result.passed
    assert "SIM" in result.message


def test_a_horizon_left_out_or_looked_at_twice_is_noticed(watched: Watched) -> None:
    one, five = watched.report.looks
    alone = watched.gate("days", replace(watched.report, looks=[one]))
    assert "0 days looked at, 120 are due" in alone.message
    twice = watched.gate("days", replace(watched.report, looks=[one, five, five]))
    assert "looked at twice" in twice.message


def relabelled(live: LiveVariance, before: str, after: str, keep: int) -> LiveVariance:
    """With all rows of a part, but the first ones, counted to another part."""
    parts = []
    for part in live.parts:
        ledger = part.ledger.copy()
        ledger.loc[ledger.index[ledger["split"] == before][keep:], "split"] = after
        parts.append(replace(part, ledger=ledger))
    return replace(live, parts=parts)


def figures_of(watched: Watched, live: LiveVariance) -> GateResult:
    """The gate's verdict on an honest look at one model whose baseline was fitted on these parts."""
    report = VolatilityDriftReport("SIM", [live.look(watched.prices, **OPTIONS)])
    judged, h = judged_scores(watched.store, watched.release, "SIM"), live.found.horizon
    return loss_drift_recomputed(report, watched.prices, {h: live.parts}, judged, **OPTIONS)


def test_a_baseline_that_knows_the_new_days_is_noticed(watched: Watched) -> None:
    """Fitted after a longer validation part: what it knows reaches into the windows that are scored."""
    result = figures_of(watched, relabelled(watched.live[1], "purged", "validation", 0))
    assert not result.passed
    assert "the baseline knows" in result.message


@pytest.mark.parametrize("horizon", HORIZONS)
def test_a_baseline_that_does_not_know_all_that_was_known_is_noticed(watched: Watched, horizon: int) -> None:
    """A rival with less data than there is would be no honest one."""
    assert figures_of(watched, watched.live[horizon]).passed
    result = figures_of(watched, relabelled(watched.live[horizon], "validation", "purged", 5))
    assert not result.passed
    assert "the baseline knows nothing after" in result.message


def test_a_baseline_that_is_never_fitted_anew_is_noticed(watched: Watched) -> None:
    live = watched.live[1]
    config = SequenceConfig(window=live.weights.window, test_days=live.days)
    whole = build_sequences(watched.prices, config, steps=Steps())
    assert [day for part in live.parts for day in part.as_of("test")] == list(whole.as_of("test"))
    result = figures_of(watched, replace(live, parts=[whole]))
    assert not result.passed
    assert "in the report for 120 each" in result.message


def test_weights_that_nobody_judged_are_refused(watched: Watched, tmp_path: Any) -> None:
    """A release that names other weights than those which the report behind it had scored."""
    store = ArtifactStore(tmp_path)
    release_model(store)
    other = publish(store, "volatility_weights", trained(1).to_bytes(), partition="SIM")
    forged = Release([ReleasedVersion("volatility_weights", "SIM", other.sha256, 1)], {})
    judged = store.current("volatility_promotion")
    assert judged is not None
    release = publish(store, "release", forged.to_bytes(), {"volatility_promotion": judged.sha256})
    (found,) = variance_of(store, forged, release, "SIM")
    look = LiveVariance.of(store, found, watched.prices, Steps()).look(watched.prices, **OPTIONS)
    result = released_models(VolatilityDriftReport("SIM", [look]), judged_scores(store, release, "SIM"))
    assert not result.passed
    assert "nothing is released" in result.message


def test_nothing_released_is_nothing_to_watch(tmp_path: Any) -> None:
    store = ArtifactStore(tmp_path)
    assert variance_champions(store) == []
    release = publish(store, "release", Release([], {}).to_bytes())
    assert variance_champions(store) == []
    with pytest.raises(LookupError, match="no released variance model"):
        variance_of(store, Release([], {}), release, "SIM")


def test_no_look_before_a_full_block_or_at_other_columns(watched: Watched) -> None:
    model = variance_champions(watched.store)[1]
    for days, said in ((4, "0 live days"), (30, "26 live days")):
        prices = gone_on(days)
        with pytest.raises(ValueError, match=said):
            LiveVariance.of(watched.store, model, prices, Steps()).look(prices, **OPTIONS)
    closes = price_history("SIM", watched.prices.frame[["close"]])
    with pytest.raises(ValueError, match="columns came or went"):
        LiveVariance.of(watched.store, model, closes, Steps())


def test_how_many_days_count() -> None:
    model = WatchedVariance("A", 5, "f" * 64, "e" * 64, "2020-01-01")
    assert [model.outcomes(n) for n in (0, 9, 10, 60)] == [0, 0, 1, 51]
