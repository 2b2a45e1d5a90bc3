"""Who serves a symbol's variance at a horizon, and what of it is released."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ml_assets.forecasts.release import (
    Release,
    ReleasedVersion,
    Verdicts,
    champions_of,
    compose_release,
    pin_champions,
)
from ml_assets.forecasts.report import Record, Score
from ml_assets.forecasts.succession import Champion, Served
from ml_assets.forecasts.targets import VARIANCE
from ml_assets.forecasts.variance import VolatilityReport
from ml_assets.forecasts.verdicts import Judged, Promotion
from ml_assets.gates.core import GateResult
from ml_assets.storage import ArtifactStore, Certificate
from tests.unit.forecasts import fleets
from tests.unit.forecasts.direction_makers import with_controls
from tests.unit.forecasts.fleets import gate, publish, release_gates
from tests.unit.forecasts.test_variance_verdicts import CONTROLS, judged

DAYS = 600
OLD = Champion("0" * 64, "1" * 64, "2014-12-31")
SERVED = [Served("A", 1, OLD)]


def candidate(
    *,
    passes: bool = True,
    ours: float = 1.0,
    theirs: float = 1.0,
    common: int = 250,
    p: float = 1e-6,
    askable: bool = True,
) -> Judged[VolatilityReport]:
    """A report whose forecasts, and those of the champion on the last days, are so many times the variance.

    The baseline forecasts the variance itself.
    """
    rng = np.random.default_rng(0)
    dates = [str(np.datetime64("2015-01-01") + i) for i in range(DAYS)]
    variance = 1e-4 * np.exp(0.3 * rng.standard_normal(DAYS))
    gain = 0.02 if passes else -0.02
    score = Score(
        horizon=1, dates=dates, forecast=(ours * variance).tolist(),
        realized=(variance * rng.chisquare(1, DAYS)).tolist(), baseline_forecast=variance.tolist(),
        best_baseline="har", levels={"model": -7.0 - gain, "har": -7.0}, gain=gain,
        p_value=p if passes else 0.9,
        champion=Record(
            OLD.weights_sha256, dates[DAYS - common :], (theirs * variance)[DAYS - common :].tolist(), askable
        ),
    )  # fmt: skip
    other = replace(score, horizon=5, p_value=0.9, champion=None)
    report = VolatilityReport("A", [score, other], [])
    return Judged(report, hashlib.sha256(report.to_bytes()).hexdigest(), "a" * 64)


def decided(found: Judged[VolatilityReport] | str, champion: Champion | None = OLD) -> Promotion:
    """Let the fleet of one be judged, gates included."""
    before = [] if champion is None else [Served("A", 1, champion)]
    fleet = {"A": found, **judged(CONTROLS)}
    promotion = decide(fleet, before)
    result = sound(fleet, promotion, before)
    assert result.passed, result.message
    return promotion


def decide(fleet: dict[str, Judged[VolatilityReport] | str], champions: list[Served] = SERVED) -> Promotion:
    return fleets.decide(fleet, champions=champions, target=VARIANCE)


def sound(
    fleet: dict[str, Judged[VolatilityReport] | str], promotion: Promotion, before: list[Served] = SERVED
) -> GateResult:
    return gate("succession_sound", fleet, promotion, before=before, target=VARIANCE)


def judge(found: Judged[VolatilityReport] | str, champion: Champion | None = OLD) -> tuple[str | None, str]:
    """Version of the weights in service at the first horizon, and why."""
    promotion = decided(found, champion)
    serving = promotion.champion("A", 1)
    return None if serving is None else serving.weights_sha256, promotion.verdicts[0].service


def test_the_first_that_passes_serves_at_its_horizon_alone() -> None:
    promotion = decided(candidate(), None)
    assert promotion.promoted() == [("A", 1)]
    assert [v.service for v in promotion.verdicts] == ["new", "none"]
    assert judge(candidate(passes=False), None) == (None, "none")


def test_a_tie_keeps_the_champion() -> None:
    serving, why = judge(candidate(ours=1.0, theirs=1.0))
    assert serving == OLD.weights_sha256
    assert "a tie keeps it" in why


def test_a_clearly_better_challenger_takes_its_place() -> None:
    serving, why = judge(candidate(ours=1.0, theirs=4.0))
    assert serving == "a" * 64
    assert why.startswith("replaced: paired p 0.0")


def test_a_champion_that_the_best_rule_beats_is_retired_when_the_new_model_does_not_pass() -> None:
    serving, why = judge(candidate(passes=False, theirs=4.0))
    assert serving is None
    assert why.startswith("retired: QLIKE ")
    assert judge(candidate(passes=False, theirs=1.0))[0] == OLD.weights_sha256


def test_few_common_days_or_a_failed_run_decide_nothing() -> None:
    assert judge(candidate(theirs=4.0, common=59))[0] == OLD.weights_sha256
    assert judge("out of memory") == (OLD.weights_sha256, "kept: no new certified report")


def test_a_champion_that_cannot_be_asked_any_more_gives_way() -> None:
    serving, why = judge(candidate(common=0, askable=False))
    assert serving == "a" * 64
    assert why.startswith("replaced: it cannot be asked any more")
    serving, why = judge(candidate(passes=False, common=0, askable=False))
    assert serving is None
    assert why.startswith("retired: it cannot be asked any more")
    assert judge(candidate(common=0))[1].startswith("kept: 0 days in common")


def test_the_gate_derives_that_one_that_cannot_be_asked_is_gone() -> None:
    fleet = {"A": candidate(common=0, askable=False), **judged(CONTROLS)}
    promotion = decide(fleet)
    kept = replace(promotion, champions=SERVED)
    assert sound(fleet, promotion).passed
    assert "cannot be asked any more" in sound(fleet, kept).message
    fleet["A"] = candidate(common=0)  # it may be asked, but has no day in common
    assert "replaced its champion" in sound(fleet, promotion_of(fleet)).message


def promotion_of(fleet: dict[str, Judged[VolatilityReport] | str]) -> Promotion:
    """Verdicts that put the candidate in the place of the champion, whatever the rule says."""
    found = fleet["A"]
    assert isinstance(found, Judged)
    usurper = Champion(found.weights_sha256, found.report_sha256, "2016-01-01")
    return replace(decide(fleet), champions=[Served("A", 1, usurper)])


def test_a_void_run_changes_nothing() -> None:
    promotion = decide({"A": candidate(theirs=4.0)})
    assert promotion.void is not None
    assert promotion.champions == SERVED
    assert promotion.verdicts[0].service == "kept: the run is void"


def test_a_symbol_that_was_not_attempted_keeps_its_champion() -> None:
    other = [Served("B", 5, OLD)]
    assert decide({"A": candidate(), **judged(CONTROLS)}, other).promoted() == [
        ("A", 1), ("B", 5),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("found", "forge", "message"),
    [
        (candidate(passes=False), Champion("9" * 64, "9" * 64, "2016-01-01"), "but the verdict was REJECT"),
        (candidate(theirs=1.0, ours=2.0), None, "replaced its champion, QLIKE"),
    ],
    ids=["stranger", "no better"],
)
def test_an_unsound_succession_is_noticed(
    found: Judged[VolatilityReport], forge: Champion | None, message: str
) -> None:
    fleet = {"A": found, **judged(CONTROLS)}
    usurper = forge or Champion(found.weights_sha256, found.report_sha256, "2016-01-01")
    promotion = replace(decide(fleet), champions=[Served("A", 1, usurper)])
    result = sound(fleet, promotion)
    assert not result.passed
    assert message in result.message


Fleet = tuple[ArtifactStore, Promotion, Certificate, Certificate]


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    """A store in which the model of A has passed at one day, and nothing else."""
    store = ArtifactStore(tmp_path, keep_versions=2)
    weights = publish(store, "volatility_weights", b"weights 1", partition="A")
    scored = publish(
        store, "volatility_report", b"report 1", {"volatility_weights/A": weights.sha256}, partition="A"
    )
    found = Judged(candidate().report, scored.sha256, weights.sha256)
    verdicts = decide({"A": found, "B": "out of memory", **judged(CONTROLS)}, [])
    publish(store, "volatility_promotion", verdicts.to_bytes())
    return store, verdicts, weights, publish(store, "pinn_weights", b"network")


NOBODY = fleets.decide(with_controls({"A": "no direction"}))


def verdicts_of(variance: Promotion | str) -> Verdicts:
    return {"direction": NOBODY, "variance": variance}


def compose(fleet: Fleet) -> Release:
    store, verdicts, _, options = fleet
    return Release.from_bytes(compose_release(store, verdicts_of(verdicts), options).to_bytes())


def gates(fleet: Fleet, release: Release, verdicts: Promotion | str) -> list[bool]:
    results = release_gates(fleet[0], verdicts_of(verdicts), fleet[3], release)
    return [results[name].passed for name in ("only_promoted", "judged_version")]


def test_what_has_passed_is_released_and_the_rest_is_no_model_with_skill(fleet: Fleet) -> None:
    release = compose(fleet)
    assert release.models(VARIANCE, "A") == {1: fleet[2].sha256}
    withheld = release.withheld["variance"]
    assert set(withheld) == {"A (5 d)", "B (1 d)", "B (5 d)"}
    assert all(why.startswith("no model with skill: ") for why in withheld.values())
    assert gates(fleet, release, fleet[1]) == [True, True]


def test_without_verdicts_no_variance_is_released(fleet: Fleet) -> None:
    why = "variance is not judged"
    release = compose_release(fleet[0], verdicts_of(why), fleet[3])
    assert [v.asset for v in release.versions] == ["pinn_weights"]
    assert release.withheld["variance"] == {"every symbol": "no model with skill: variance is not judged"}
    assert gates(fleet, release, why) == [True, True]
    assert gates(fleet, compose(fleet), why) == [False, False]


@pytest.mark.parametrize("case", ["newer", "other horizon", "missing", "withheld", "unsaid"])
def test_the_gates_on_the_release_notice(fleet: Fleet, case: str) -> None:
    release = compose(fleet)
    newer = publish(fleet[0], "volatility_weights", b"weights 2", partition="A")
    options, model = release.versions
    spoiled, expected = {
        "newer": (replace(release, versions=[options, replace(model, sha256=newer.sha256)]), [True, False]),
        "other horizon": (replace(release, versions=[options, replace(model, horizon=5)]), [False, False]),
        "missing": (replace(release, versions=[options]), [False, True]),
        "withheld": (replace(release, withheld=release.withheld | {"variance": {}}), [False, True]),
        "unsaid": (
            replace(release, withheld={"direction": release.withheld["direction"]}),
            [False, True],
        ),
    }[case]
    assert gates(fleet, spoiled, fleet[1]) == expected


def test_champions_outlive_newer_versions(fleet: Fleet) -> None:
    store, verdicts, weights, _ = fleet
    pin_champions(store, VARIANCE, verdicts)
    for n in range(4):
        publish(store, "volatility_weights", b"newer %d" % n, partition="A")
        publish(store, "volatility_report", b"newer %d" % n, partition="A")
    assert champions_of(store, VARIANCE) == verdicts.champions
    released = compose(fleet).versions[1]
    assert released == ReleasedVersion("volatility_weights", "A", weights.sha256, 1)
