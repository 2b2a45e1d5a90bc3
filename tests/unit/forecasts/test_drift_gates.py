"""A released model on new days, and what each gate refuses of a look at it; for every target."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

from ml_assets.forecasts.champions import released_models, watched_models
from ml_assets.forecasts.direction import DIRECTION_SCORING, MambaDirection, WalkForwardReport
from ml_assets.forecasts.direction.drift import DirectionDrift, LiveDirection
from ml_assets.forecasts.direction.mamba import DirectionModel
from ml_assets.forecasts.drift import DriftReport, Live, Look, WatchedModel
from ml_assets.forecasts.feature_drift import FeatureDrift
from ml_assets.forecasts.forecaster import fold_rows
from ml_assets.forecasts.relative import RelativeReport, fleet_median
from ml_assets.forecasts.release import Release, ReleasedVersion
from ml_assets.forecasts.succession import Champion, Served
from ml_assets.forecasts.target import Target
from ml_assets.forecasts.targets import DIRECTION, RELATIVE, TARGETS, VARIANCE
from ml_assets.forecasts.variance.live import LiveVariance
from ml_assets.forecasts.walk_forward import FoldModels, walk_forward
from ml_assets.gates.core import GateResult, by_name
from ml_assets.gates.forecasts.drift import DriftEvidence, drift_gates
from ml_assets.mamba import MambaConfig, MambaWeights, TrainingRecipe
from ml_assets.prices import PriceHistory
from ml_assets.prices.simulated import price_history, simulate
from ml_assets.storage import ArtifactStore, Certificate
from ml_assets.windows.sequences import SequenceConfig, build_sequences
from ml_assets.windows.steps import Steps
from tests.unit.forecasts import variance_makers as makers
from tests.unit.forecasts.fleets import publish

BLOCK, NEW = 40, 150
OPTIONS = {"block": BLOCK, "false_alarms": 0.05}


@dataclass(frozen=True)
class Watched:
    """A store whose release names models of a symbol, prices that went on, and the look at them."""

    target: Target
    store: ArtifactStore
    release: Certificate
    prices: PriceHistory
    live: dict[int, Live]
    report: DriftReport

    def gate(self, name: str, report: DriftReport, live: dict[int, Live] | None = None) -> GateResult:
        evidence = DriftEvidence(
            self.target, self.store, self.release, self.prices, live or self.live, None, **OPTIONS
        )
        gates = by_name(drift_gates(self.target))
        return gates.get(name, gates["drift_recomputed"]).run(report, evidence)


def gone_on(days: int) -> PriceHistory:
    """The market of the report with further days of its kind."""
    before, more = (
        makers.market()[0].frame,
        simulate("leverage", days + 1, seed=8).prices.frame.iloc[1:].copy(),
    )
    prices = ["open", "high", "low", "close"]
    more[prices] *= before["close"].iloc[-1] / 100
    more.index = pd.bdate_range(before.index[-1], periods=days + 1)[1:].astype("datetime64[ns]")
    return price_history("SIM", pd.concat([before, more]))


FORECASTER = MambaDirection(
    MambaConfig(d_model=8, d_state=4, head_dim=8), TrainingRecipe(epochs=1, jit_compile=False)
)


@cache
def trained(number: int) -> MambaWeights:
    prices, sequences = makers.market()
    return FORECASTER.fit(fold_rows(prices.frame, sequences, (1,))[number - 1]).weights


@cache
def scored() -> WalkForwardReport:
    prices, sequences = makers.market()
    folds = fold_rows(prices.frame, sequences, (1,))
    models = FoldModels(FORECASTER, folds, DirectionModel(trained(2), (1,)))
    return walk_forward(DIRECTION_SCORING, models, prices.frame, folds)


MODELS: dict[str, Callable[[], tuple[Any, Any, dict[int, str]]]] = {
    DIRECTION.name: lambda: (trained(2), scored(), {1: scored().dates[-1]}),
    RELATIVE.name: lambda: (trained(2), RelativeReport(**vars(scored())), {1: scored().dates[-1]}),
    VARIANCE.name: lambda: (
        makers.trained(2),
        makers.scored(),
        {s.horizon: s.dates[-1] for s in makers.scored().scores},
    ),
}


def release_model(store: ArtifactStore, target: Target) -> Certificate:
    """The chain from a release to the weights: what was judged until the report's last days."""
    model, report, until = MODELS[target.name]()
    if target is RELATIVE:
        closes = gone_on(NEW).frame["close"]
        backwards = closes.set_axis(closes.index[::-1]).sort_index()
        fleet = {"SIM": closes, "BACKWARDS": backwards, "FLAT": closes * 0 + 1}
        publish(store, "fleet_median", fleet_median(fleet).to_bytes())
    weights = publish(store, target.weights, model.to_bytes(), partition="SIM")
    made = publish(store, target.report, report.to_bytes(), {f"{target.weights}/SIM": weights.sha256}, "SIM")
    champions = [Served("SIM", h, Champion(weights.sha256, made.sha256, day)) for h, day in until.items()]
    verdicts = target.promotion(target.rule, list(until), [], [], None, champions)
    judged = publish(store, target.verdicts, verdicts.to_bytes())
    versions = [ReleasedVersion(target.weights, "SIM", weights.sha256, h) for h in until]
    return publish(store, "release", Release(versions, {}).to_bytes(), {target.verdicts: judged.sha256})


@pytest.fixture(scope="module", params=TARGETS, ids=lambda target: target.name)
def watched(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Watched:
    target, prices = request.param, gone_on(NEW)
    store = ArtifactStore(tmp_path_factory.mktemp("watched"))
    release = release_model(store, target)
    live = {m.horizon: target.live(store, m, prices, Steps()) for m in released_models(store, target)}
    report = target.drift("SIM", [one.look(**OPTIONS) for one in live.values()])
    return Watched(target, store, release, prices, live, target.drift.from_bytes(report.to_bytes()))


def test_the_released_models_are_found_with_their_new_days(watched: Watched) -> None:
    days = [str(day.date()) for day in watched.prices.dates]
    for model in released_models(watched.store, watched.target):
        since = int(np.sum(watched.prices.dates > model.judged_until))
        live = watched.live[model.horizon]
        assert live.days == model.outcomes(since, overlapping=watched.target.overlapping)
    for look in watched.report.looks:
        assert len(look.dates) == 120
        assert days.index(look.dates[0]) == days.index(look.judged_until) + look.horizon  # no shared day


def test_a_later_look_says_the_same_of_the_days_before(watched: Watched) -> None:
    """Baselines are fitted anew for each look, and yet nothing that is known later reaches back."""
    model = released_models(watched.store, watched.target)[0]
    prices = price_history("SIM", watched.prices.frame.iloc[:-60])
    earlier = watched.target.live(watched.store, model, prices, Steps()).look(**OPTIONS)
    later = watched.report.looks[0]
    assert len(earlier.dates) == 80 < len(later.dates)
    for name in ("dates", "realized", "baseline_forecast"):
        assert getattr(earlier, name) == getattr(later, name)[:80]
    assert earlier.forecast == pytest.approx(later.forecast[:80], rel=1e-6)


def test_all_pass_on_the_honest_look(watched: Watched) -> None:
    for gate in drift_gates(watched.target):
        result = watched.gate(gate.name, watched.report)
        assert result.passed, (gate.name, result.message)


def test_what_is_seen_is_told_by_model(watched: Watched) -> None:
    first, *_ = watched.report.looks
    wrong = [replace(look, drift=replace(look.drift, p_value=0.001)) for look in watched.report.looks]
    rough = FeatureDrift(40, 1000, "ret_1", 0.9, 0.1, 0.01, 0.05)
    seen = replace(watched.report, looks=wrong, features=rough).seen()
    assert [s.days for s in seen.values()] == [120] * len(wrong)
    name, text = watched.report.reason(first)
    assert seen[first.place].reasons == {name: text.replace(_p(first), "(p 0.001"), "features": rough.message}
    calm = [replace(look, drift=replace(look.drift, p_value=0.5)) for look in wrong]
    assert not any(s.reasons for s in replace(watched.report, looks=calm).seen().values())


def _p(look: Look) -> str:
    return f"(p {look.drift.p_value:.2g}"


def with_item(values: list[Any], index: int, value: Any) -> list[Any]:
    return [*values[:index], value, *values[index + 1 :]]


def drift(**change: Any) -> Callable[[Look], dict[str, Any]]:
    return lambda look: {"drift": replace(look.drift, **change)}


FAULTS: list[tuple[str, Callable[[Look], dict[str, Any]]]] = [
    ("released_version", lambda _: {"champion": "f" * 64}),
    ("released_version", lambda look: {"judged_until": look.dates[0]}),
    ("released_version", lambda _: {"baseline": "mean"}),
    ("released_version", drift(reported_level=0.3)),
    ("released_version", drift(reported_days=300)),
    ("released_version", lambda _: {"horizon": 2}),
    ("new_days_only", lambda look: {"dates": look.dates[:BLOCK]}),  # the days that look bad are left out
    ("new_days_only", lambda look: {"dates": with_item(look.dates, 3, look.dates[4])}),
    ("new_days_only", lambda look: {"dates": ["2004-03-12", *look.dates[:-1]]}),
    ("new_days_only", lambda _: {"horizon": 2}),
    ("drift_recomputed", lambda x: {"realized": with_item(x.realized, 7, x.realized[7] * (1 + 1e-6))}),
    ("drift_recomputed", lambda look: {"forecast": look.realized}),  # the best forecast that there is
    ("drift_recomputed", lambda look: {"dates": with_item(look.dates, 3, look.dates[4])}),
    ("drift_recomputed", lambda look: {"dates": look.dates[:BLOCK]}),
    ("drift_recomputed", drift(level=-1.0)),
    ("drift_recomputed", drift(p_value=0.5001)),
    ("drift_recomputed", drift(limit=0.0)),
    ("drift_recomputed", drift(look=1)),
    ("drift_recomputed", drift(days=BLOCK)),
    ("forecasts_reproduced", lambda look: {"forecast": look.forecast[::-1]}),
    ("forecasts_reproduced", lambda x: {"forecast": with_item(x.forecast, 2, x.forecast[2] * (1 + 1e-15))}),
]  # fmt: skip
OF_BASELINES: list[Callable[[Look], dict[str, Any]]] = [
    lambda look: {"baseline_forecast": [1.3 * v for v in look.baseline_forecast]},
    lambda _: {"baseline": "mean"},
]


@pytest.mark.parametrize(("gate", "fault"), FAULTS)
def test_a_tampered_look_is_refused(watched: Watched, gate: str, fault: Any) -> None:
    for place, look in enumerate(watched.report.looks):
        others = [other for i, other in enumerate(watched.report.looks) if i != place]
        # The gate on the days asks for all looks; the others judge each by itself.
        looks = [replace(look, **fault(look)), *(others if gate == "new_days_only" else [])]
        result = watched.gate(gate, replace(watched.report, looks=looks))
        assert not result.passed
        assert "SIM" in result.message


def test_a_horizon_left_out_or_looked_at_twice_is_noticed(watched: Watched) -> None:
    *rest, last = watched.report.looks
    left_out = watched.gate("new_days_only", replace(watched.report, looks=rest))
    assert "0 days looked at, 120 expected" in left_out.message
    twice = watched.gate("new_days_only", replace(watched.report, looks=[*rest, last, last]))
    assert "looked at twice" in twice.message


def test_weights_that_nobody_judged_are_refused(watched: Watched, tmp_path: Any) -> None:
    """A release that names other weights than those which the report behind it had scored."""
    store, target = ArtifactStore(tmp_path), watched.target
    release_model(store, target)
    other = (makers.trained if target is VARIANCE else trained)(1)
    published = publish(store, target.weights, other.to_bytes(), partition="SIM")
    forged = Release([ReleasedVersion(target.weights, "SIM", published.sha256, 1)], {})
    judged = store.current(target.verdicts)
    assert judged is not None
    release = publish(store, "release", forged.to_bytes(), {target.verdicts: judged.sha256})
    (found,) = watched_models(store, target, forged, release, "SIM")
    live = target.live(store, found, watched.prices, Steps())
    forger = replace(watched, store=store, release=release, live={1: live})
    result = forger.gate("released_version", target.drift("SIM", [live.look(**OPTIONS)]))
    assert not result.passed
    assert "another version was scored" in result.message


def test_nothing_released_is_nothing_to_watch(watched: Watched, tmp_path: Any) -> None:
    store, target = ArtifactStore(tmp_path), watched.target
    assert released_models(store, target) == []
    release = publish(store, "release", Release([], {}).to_bytes())
    assert released_models(store, target) == []
    with pytest.raises(LookupError, match="no released model"):
        watched_models(store, target, Release([], {}), release, "SIM")


def test_no_look_before_a_full_block_or_at_other_columns(watched: Watched) -> None:
    model = released_models(watched.store, watched.target)[-1]
    for days in (4, 30):
        live = watched.target.live(watched.store, model, gone_on(days), Steps())
        assert live.days < BLOCK
        with pytest.raises(ValueError, match=f"{live.days} live days, 40 are a block"):
            live.look(**OPTIONS)
    closes = price_history("SIM", watched.prices.frame[["close"]])
    with pytest.raises(ValueError, match="columns came or went"):
        watched.target.live(watched.store, model, closes, Steps())


def test_how_many_days_count() -> None:
    model = WatchedModel("A", 5, "f" * 64, "e" * 64, "2020-01-01")
    assert [model.outcomes(n, overlapping=True) for n in (0, 9, 10, 60)] == [0, 0, 1, 51]
    assert [model.outcomes(n, overlapping=False) for n in (0, 9, 14, 60)] == [0, 0, 1, 10]


# ------------------------------------------------------------------ baselines of variance


@pytest.fixture(scope="module")
def variance(tmp_path_factory: pytest.TempPathFactory) -> Watched:
    prices, store = gone_on(NEW), ArtifactStore(tmp_path_factory.mktemp("variance"))
    release = release_model(store, VARIANCE)
    live = {m.horizon: VARIANCE.live(store, m, prices, Steps()) for m in released_models(store, VARIANCE)}
    report = VARIANCE.drift("SIM", [one.look(**OPTIONS) for one in live.values()])
    return Watched(VARIANCE, store, release, prices, live, report)


@pytest.mark.parametrize("fault", OF_BASELINES)
def test_another_baseline_than_that_of_the_report_is_refused(variance: Watched, fault: Any) -> None:
    look = variance.report.looks[0]
    forged = replace(variance.report, looks=[replace(look, **fault(look))])
    assert not variance.gate("drift_recomputed", forged).passed


def relabelled(live: Live, before: str, after: str, keep: int) -> LiveVariance:
    """With all rows of a part, but the first ones, counted to another part."""
    assert isinstance(live, LiveVariance)
    parts = []
    for part in live.parts:
        ledger = part.ledger.copy()
        ledger.loc[ledger.index[ledger["split"] == before][keep:], "split"] = after
        parts.append(replace(part, ledger=ledger))
    return replace(live, parts=parts)


def figures_of(variance: Watched, live: Live) -> GateResult:
    """The gate's verdict on an honest look at one model whose baseline was fitted on these parts."""
    report = VARIANCE.drift("SIM", [live.look(**OPTIONS)])
    return variance.gate("drift_recomputed", report, {live.model.horizon: live})


def test_a_baseline_that_knows_the_new_days_is_noticed(variance: Watched) -> None:
    """Fitted after a longer validation part: what it knows reaches into the windows that are scored."""
    result = figures_of(variance, relabelled(variance.live[1], "purged", "validation", 0))
    assert not result.passed
    assert "the baseline knows" in result.message


@pytest.mark.parametrize("horizon", makers.HORIZONS)
def test_a_baseline_that_does_not_know_all_that_was_known_is_noticed(variance: Watched, horizon: int) -> None:
    """A rival with less data than there is would be no honest one."""
    assert figures_of(variance, variance.live[horizon]).passed
    result = figures_of(variance, relabelled(variance.live[horizon], "validation", "purged", 5))
    assert not result.passed
    assert "the baseline knows nothing after" in result.message


def test_a_baseline_that_is_never_fitted_anew_is_noticed(variance: Watched) -> None:
    live = variance.live[1]
    assert isinstance(live, LiveVariance)
    assert {len(part.positions("test")) for part in live.parts} == {120, 30}  # as the report's folds
    config = SequenceConfig(window=live.weights.window, test_days=live.days)
    whole = build_sequences(variance.prices, config, steps=Steps())
    assert [day for part in live.parts for day in part.as_of("test")] == list(whole.as_of("test"))
    result = figures_of(variance, replace(live, parts=[whole]))
    assert not result.passed
    assert "in the report for 120 each" in result.message


# ------------------------------------------------------------------ stores of before


def test_looks_of_the_first_format_still_open(watched: Watched) -> None:
    new = json.loads(watched.report.to_bytes())
    if watched.target is VARIANCE:
        old = new
        for look in old["looks"]:
            look["drift"]["excess"] = look["drift"].pop("level")
            look["drift"]["reported_excess"] = look["drift"].pop("reported_level")
        assert watched.target.drift.from_bytes(json.dumps(old).encode()) == watched.report
        return
    (look,) = new["looks"]
    test = look["drift"]
    test["hits"] = round(test.pop("level") * test["days"])
    test["reported_hits"] = round(test.pop("reported_level") * test["reported_days"])
    hits = [True] * test["hits"] + [False] * (test["days"] - test["hits"])
    kept = {name: look[name] for name in ("champion", "judged_until", "dates")}
    old = {"symbol": "SIM", "hits": hits, "accuracy": test, "features": None, **kept}
    read = DirectionDrift.from_bytes(json.dumps(old).encode())
    assert read.seen() == watched.report.seen()
    assert isinstance(watched.live[1], LiveDirection)
