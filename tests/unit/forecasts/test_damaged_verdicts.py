"""Damaged bytes of verdicts stop no later ones; they bring no champion back, and lose none in silence."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from ml_assets.forecasts.release import Release, champions_of, pin_champions
from ml_assets.forecasts.succession import Served
from ml_assets.forecasts.targets import DIRECTION, VARIANCE
from ml_assets.forecasts.verdicts import Promotion
from ml_assets.storage import Certificate, NotCertified
from tests.unit.forecasts.direction_makers import judged, report, with_controls
from tests.unit.forecasts.fleets import damage, decide, gate, publish
from tests.unit.forecasts.test_release import Fleet, fleet
from tests.unit.forecasts.test_variance_succession import Fleet as VarianceFleet
from tests.unit.forecasts.test_variance_succession import compose
from tests.unit.forecasts.test_variance_succession import fleet as variance_fleet

__all__ = ["fleet", "variance_fleet"]  # the fixtures


def judge(fleet: Fleet, **change: object) -> tuple[Promotion, Certificate]:
    """Other verdicts after the first."""
    verdicts = dataclasses.replace(fleet.verdicts, **change)  # type: ignore[arg-type]
    return verdicts, publish(fleet.store, "promotion", verdicts.to_bytes())


def released(fleet: Fleet, verdicts: Promotion, promotion: Certificate) -> Certificate:
    made = dataclasses.replace(fleet, verdicts=verdicts)
    return publish(fleet.store, "release", made.compose().to_bytes(), {"promotion": promotion.sha256})


@pytest.mark.parametrize("which", ["bytes", "certificate", "pointer"])
def test_damaged_verdicts_give_way_to_those_before(
    fleet: Fleet, caplog: pytest.LogCaptureFixture, which: str
) -> None:
    released(fleet, fleet.verdicts, fleet.promotion)
    _, second = judge(fleet, void="second")
    place = Path(fleet.store.location(second))
    certificate, pointer = (
        place.parent / f"{second.sha256}.certificate.json",
        place.parents[1] / "current.json",
    )
    {"bytes": place, "certificate": certificate, "pointer": pointer}[which].write_bytes(b"{}")
    assert champions_of(fleet.store, DIRECTION) == fleet.verdicts.champions
    assert "the last promotion is damaged" in caplog.text


def test_verdicts_can_be_given_and_kept_while_older_ones_are_damaged(fleet: Fleet) -> None:
    damage(fleet.store, fleet.promotion)
    verdicts, _ = judge(fleet, void="second")
    pin_champions(fleet.store, DIRECTION, verdicts)
    assert champions_of(fleet.store, DIRECTION) == verdicts.champions


def test_a_champion_retired_by_damaged_verdicts_does_not_come_back(
    fleet: Fleet, caplog: pytest.LogCaptureFixture
) -> None:
    released(fleet, fleet.verdicts, fleet.promotion)
    withheld = [dataclasses.replace(v, service="retired") for v in fleet.verdicts.verdicts]
    retired, second = judge(fleet, champions=[], verdicts=withheld)
    released(fleet, retired, second)
    damage(fleet.store, second)
    before = champions_of(fleet.store, DIRECTION)
    assert before == []
    assert "no longer in service by promotion that is damaged: [Served(symbol='A'" in caplog.text
    again = with_controls({"A": judged(report("A", p=0.9))})
    forged = dataclasses.replace(decide(again), champions=fleet.verdicts.champions)
    assert not gate("succession_sound", again, forged, before=before).passed


def test_a_champion_of_damaged_verdicts_alone_must_pass_anew(
    fleet: Fleet, caplog: pytest.LogCaptureFixture
) -> None:
    weights = publish(fleet.store, "mamba_weights", b"weights 2", partition="A")
    won = publish(
        fleet.store, "walk_forward_report", b"report 2", {"mamba_weights/A": weights.sha256}, partition="A"
    )
    other = dataclasses.replace(
        fleet.verdicts.champions[0].champion, weights_sha256=weights.sha256, report_sha256=won.sha256
    )
    replaced, second = judge(fleet, champions=[Served("A", 1, other)])
    released(fleet, replaced, second)
    damage(fleet.store, second)
    assert champions_of(fleet.store, DIRECTION) == []
    assert "released by promotion that is damaged, must pass anew" in caplog.text
    assert weights.sha256 in caplog.text


def test_nobody_serves_where_no_verdicts_can_be_read(fleet: Fleet, caplog: pytest.LogCaptureFixture) -> None:
    released(fleet, fleet.verdicts, fleet.promotion)
    damage(fleet.store, fleet.promotion)
    assert champions_of(fleet.store, DIRECTION) == []
    assert "must pass anew" in caplog.text
    assert fleet.weights.sha256 in caplog.text


def test_what_cannot_be_read_just_now_is_not_passed_over(fleet: Fleet) -> None:
    """Another try may read it: no champion is given up for a disk that was away."""
    verdicts, second = judge(fleet, void="second")
    place = Path(fleet.store.location(second))
    place.unlink()
    place.mkdir()
    with pytest.raises(NotCertified, match="unreadable"):
        champions_of(fleet.store, DIRECTION)
    with pytest.raises(NotCertified, match="unreadable"):
        pin_champions(fleet.store, DIRECTION, verdicts)


def test_what_a_release_serves_is_kept_although_its_verdicts_are_damaged(fleet: Fleet) -> None:
    fleet.store.keep_versions = 2
    released(fleet, fleet.verdicts, fleet.promotion)
    damage(fleet.store, fleet.promotion)
    pin_champions(fleet.store, DIRECTION, dataclasses.replace(fleet.verdicts, champions=[]))
    for n in range(4):
        publish(fleet.store, "mamba_weights", b"newer %d" % n, partition="A")
    assert fleet.store.read("mamba_weights", "A", fleet.weights.sha256)[0] == b"weights 1"


def test_so_it_is_with_verdicts_on_variance(variance_fleet: VarianceFleet) -> None:
    store, verdicts, weights, options = variance_fleet

    def serve(given: Promotion) -> Certificate:
        judged_now = publish(store, "volatility_promotion", given.to_bytes())
        manifest = compose((store, given, weights, options))
        publish(store, "release", manifest.to_bytes(), {"volatility_promotion": judged_now.sha256})
        return judged_now

    served: list[Served] = verdicts.champions
    serve(verdicts)
    second = serve(dataclasses.replace(verdicts, void="second"))
    Path(store.location(second)).write_bytes(b"{}")
    assert champions_of(store, VARIANCE) == served
    pin_champions(store, VARIANCE, dataclasses.replace(verdicts, void="third"))
    third = serve(dataclasses.replace(verdicts, champions=[]))
    Path(store.location(third)).write_bytes(b"{}")
    assert champions_of(store, VARIANCE) == []


def test_a_release_without_variance_says_nothing_about_its_champions(variance_fleet: VarianceFleet) -> None:
    store, verdicts, _, _ = variance_fleet
    none = Release(versions=[], withheld={})
    publish(store, "release", none.to_bytes(), {"promotion": "d" * 64})
    certificate = store.current("volatility_promotion")
    assert certificate is not None
    (Path(store.location(certificate)).parents[1] / "current.json").write_bytes(b"{}")
    assert champions_of(store, VARIANCE) == verdicts.champions
