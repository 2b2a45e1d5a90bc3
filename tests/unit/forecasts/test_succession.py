"""Champions: who stays, who is replaced, who goes."""

from __future__ import annotations

import dataclasses
import hashlib
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_assets.forecasts.direction import WalkForwardReport
from ml_assets.forecasts.report import Record
from ml_assets.forecasts.succession import Champion, Served
from ml_assets.forecasts.verdicts import Judged
from tests.unit.forecasts.direction_makers import judged, report, with_controls
from tests.unit.forecasts.fleets import decide, gate, serving

DAYS = 600
OLD = Champion("0" * 64, "1" * 64, "2014-12-31", 0.57)
SERVED = [Served("A", 1, OLD)]


def candidate(
    *,
    passes: bool = True,
    new_right: float = 0.58,
    old_right: float = 0.57,
    common: int = 250,
    seed: int = 0,
    askable: bool = True,
) -> Judged:
    """A report whose forecasts, and those of the champion on the last days, are right so often."""
    rng = np.random.default_rng(seed)
    realized = np.where(rng.random(DAYS) < 0.5, 0.01, -0.01)
    base = report("A", accuracy=0.58 if passes else 0.5, p=1e-6 if passes else 0.5, days=DAYS)
    old = _forecast(rng, realized[-common:], old_right) if common else np.zeros(0)
    score = dataclasses.replace(
        base.scores[0],
        realized=realized.tolist(),
        forecast=_forecast(rng, realized, new_right).tolist(),
        champion=Record(OLD.weights_sha256, base.dates[DAYS - common :], old.tolist(), askable),
    )
    return judged(dataclasses.replace(base, scores=[score]))


def _forecast(rng: np.random.Generator, realized: np.ndarray, right: float) -> np.ndarray:
    hit = np.zeros(realized.size, bool)
    hit[rng.permutation(realized.size)[: round(right * realized.size)]] = True
    return np.where((realized > 0) == hit, 0.7, 0.3)


def judge(found: Judged | str, champion: Champion | None = OLD) -> tuple[Champion | None, str]:
    """Let the fleet of one be judged, gates included."""
    fleet = with_controls({"A": found})
    before = [] if champion is None else [Served("A", 1, champion)]
    promotion = decide(fleet, champions=before)
    result = gate("succession_sound", fleet, promotion, before=before)
    assert result.passed, result.message
    return serving(promotion), promotion.verdicts[0].service


def named(found: Judged) -> tuple[str, str]:
    return found.weights_sha256, found.report_sha256


def test_the_first_that_passes_serves() -> None:
    found = candidate()
    champion, why = judge(found, None)
    assert champion is not None
    assert ((champion.weights_sha256, champion.report_sha256), why) == (named(found), "new")
    assert judge(candidate(passes=False), None) == (None, "none")


def test_a_tie_keeps_the_champion() -> None:
    champion, why = judge(candidate(new_right=0.58, old_right=0.58))
    assert champion == OLD
    assert "a tie keeps it" in why


def test_a_clearly_better_challenger_takes_its_place() -> None:
    found = candidate(new_right=0.75, old_right=0.45)
    champion, why = judge(found)
    assert champion is not None
    assert champion.weights_sha256 == found.weights_sha256
    assert why.startswith("replaced: paired p 0.00")


def test_too_few_common_days_decide_nothing() -> None:
    champion, why = judge(candidate(new_right=0.9, old_right=0.1, common=59))
    assert (champion, why) == (OLD, "kept: 59 days in common with the new model, 60 needed")
    assert judge(candidate(passes=False, old_right=0.1, common=0))[0] == OLD


def test_a_champion_that_declines_is_retired_when_the_new_model_does_not_pass() -> None:
    champion, why = judge(candidate(passes=False, new_right=0.5, old_right=0.48))
    assert champion is None
    assert "retired: 48.0% on 250 days where 57.0% was promised" in why


def test_a_champion_that_still_delivers_outlives_a_failed_retraining() -> None:
    champion, why = judge(candidate(passes=False, new_right=0.5, old_right=0.56))
    assert champion == OLD
    assert "no decline shown" in why


def test_a_failed_run_leaves_the_champion() -> None:
    assert judge("out of memory") == (OLD, "kept: no new certified report")


def test_the_champion_scored_again_stays_or_goes_by_its_own_score() -> None:
    weights = hashlib.sha256(b"weights of A").hexdigest()
    same = dataclasses.replace(OLD, weights_sha256=weights)
    champion, why = judge(candidate(), same)
    assert champion is not None
    assert (champion.weights_sha256, why) == (weights, "kept: scored again")
    assert judge(candidate(passes=False), same)[0] is None


def test_a_score_that_looks_like_a_leak_ends_the_service() -> None:
    leaky = judged(report("A", accuracy=0.7, p=1e-9))
    champion, why = judge(leaky)
    assert champion is None
    assert "looks like a leak" in why


def test_a_void_run_changes_nothing() -> None:
    fleet = with_controls({"A": candidate(passes=False, old_right=0.1), "B": candidate()})
    fleet["CONTROL-EDGE"] = "crashed"
    promotion = decide(fleet, champions=SERVED)
    assert promotion.champions == SERVED
    assert promotion.verdicts[0].service == "kept: the run is void"
    assert gate("succession_sound", fleet, promotion, before=SERVED).passed


def test_a_symbol_that_was_not_attempted_keeps_its_champion() -> None:
    promotion = decide(with_controls({"B": candidate()}), champions=SERVED)
    assert serving(promotion) == OLD


def test_a_champion_that_cannot_be_asked_any_more_gives_way() -> None:
    """Its features are gone: it would never have a day in common with any challenger."""
    found = candidate(common=0, askable=False)
    champion, why = judge(found)
    assert champion is not None
    assert (champion.weights_sha256, why.split(":")[0]) == (found.weights_sha256, "replaced")
    assert "cannot be asked any more" in why
    champion, why = judge(candidate(passes=False, common=0, askable=False))
    assert champion is None
    assert why.startswith("retired: it cannot be asked any more")
    stranger = dataclasses.replace(OLD, weights_sha256="7" * 64)  # not the one that the report has met
    assert judge(found, stranger)[0] == stranger


def test_a_void_run_leaves_a_champion_that_cannot_be_asked() -> None:
    fleet = with_controls({"A": candidate(common=0, askable=False)})
    fleet["CONTROL-EDGE"] = "crashed"
    promotion = decide(fleet, champions=SERVED)
    assert promotion.champions == SERVED
    assert gate("succession_sound", fleet, promotion, before=SERVED).passed


@pytest.mark.parametrize(
    ("passes", "askable", "serves", "noticed"),
    [
        (True, False, "new", None),
        (True, False, "old", "cannot be asked any more"),
        (True, False, None, "cannot be asked any more"),
        (False, False, None, None),
        (False, False, "old", "cannot be asked any more"),
        (False, False, "new", "cannot be asked any more"),
        (True, True, "new", "replaced its champion"),
        (True, True, "old", None),
    ],
)
def test_the_gate_derives_who_follows_one_that_cannot_be_asked(
    passes: bool, askable: bool, serves: str | None, noticed: str | None
) -> None:
    found = candidate(passes=passes, common=0, askable=askable)
    new = Champion(found.weights_sha256, found.report_sha256, "2016-01-01", 0.58)
    champions = [Served("A", 1, new if serves == "new" else OLD)] if serves else []
    fleet = with_controls({"A": found})
    promotion = dataclasses.replace(decide(fleet, champions=SERVED), champions=champions)
    result = gate("succession_sound", fleet, promotion, before=SERVED)
    assert result.passed == (noticed is None)
    assert (noticed or "") in result.message


def test_a_report_from_before_the_mark_is_read() -> None:
    made = candidate().report
    plain = json.loads(made.to_bytes())
    del plain["scores"][0]["champion"]["askable"]
    assert WalkForwardReport.from_bytes(json.dumps(plain).encode()) == made


@given(
    st.booleans(),
    st.floats(0.3, 0.8),
    st.floats(0.3, 0.8),
    st.integers(0, 400),
    st.integers(0, 99),
    st.booleans(),
)
def test_whatever_happens_the_independent_gate_agrees(
    passes: bool, new_right: float, old_right: float, common: int, seed: int, askable: bool
) -> None:
    found = candidate(
        passes=passes, new_right=new_right, old_right=old_right, common=common if askable else 0, seed=seed,
        askable=askable,
    )  # fmt: skip
    champion, _ = judge(found)
    if champion not in (None, OLD):
        assert passes
        assert champion is not None
        assert champion.weights_sha256 == found.weights_sha256


@pytest.mark.parametrize(
    ("forge", "message"),
    [
        (Champion("9" * 64, "9" * 64, "2016-01-01", 0.9), "serves, but the verdict was"),
        (Champion("0" * 64, "9" * 64, "2016-01-01", 0.9), "serves, but the verdict was"),
    ],
)
def test_a_stranger_in_service_is_noticed(forge: Champion, message: str) -> None:
    fleet = with_controls({"A": candidate(passes=False, old_right=0.56)})
    promotion = dataclasses.replace(decide(fleet, champions=SERVED), champions=[Served("A", 1, forge)])
    result = gate("succession_sound", fleet, promotion, before=SERVED)
    assert not result.passed
    assert message in result.message


def test_a_replacement_that_was_no_better_is_noticed() -> None:
    found = candidate(new_right=0.55, old_right=0.6)
    fleet = with_controls({"A": found})
    usurper = Champion(found.weights_sha256, found.report_sha256, "2016-01-01", 0.58)
    promotion = dataclasses.replace(decide(fleet, champions=SERVED), champions=[Served("A", 1, usurper)])
    result = gate("succession_sound", fleet, promotion, before=SERVED)
    assert not result.passed
    assert "replaced its champion" in result.message


def test_a_quarantined_symbol_in_service_is_noticed() -> None:
    fleet = with_controls({"A": judged(report("A", accuracy=0.7, p=1e-9))})
    promotion = dataclasses.replace(decide(fleet, champions=SERVED), champions=SERVED)
    assert "in quarantine" in gate("succession_sound", fleet, promotion, before=SERVED).message
