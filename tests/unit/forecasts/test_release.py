"""The release: what is served is what was judged, byte for byte, or nothing is."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import pytest

from ml_assets.forecasts.release import (
    Release,
    ReleasedVersion,
    Verdicts,
    bring_back,
    champions_of,
    compose_release,
    pin_champions,
)
from ml_assets.forecasts.succession import Served
from ml_assets.forecasts.targets import DIRECTION, TARGETS
from ml_assets.forecasts.verdicts import Judged, Promotion
from ml_assets.storage import ArtifactStore, Certificate, GateVerdict, NotCertified, certify
from tests.unit.forecasts.direction_makers import judged, report, with_controls
from tests.unit.forecasts.fleets import decide, publish, release_gates

BAD = GateVerdict("gate", False, "refused", {"checked": 1})


@dataclass
class Fleet:
    """A store in which symbol A is promoted, B is not, and the option network is measured."""

    store: ArtifactStore
    verdicts: Promotion
    promotion: Certificate
    options: Certificate
    latency: Certificate
    weights: Certificate

    def compose(self) -> Release:
        return compose_release(self.store, by_target(self.verdicts), self.options)


def by_target(direction: Promotion) -> Verdicts:
    return {target.name: f"{target.name} is not judged" for target in TARGETS} | {"direction": direction}


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    store = ArtifactStore(tmp_path)
    weights = publish(store, "mamba_weights", b"weights 1", partition="A")
    scored = publish(
        store, "walk_forward_report", b"report 1", {"mamba_weights/A": weights.sha256}, partition="A"
    )
    fleet: dict[str, Judged | str] = {
        "A": Judged(report("A", accuracy=0.58, p=1e-6), scored.sha256, weights.sha256),
        "B": judged(report("B", p=0.6)),
        "C": "out of memory",
    }
    verdicts = decide(with_controls(fleet))
    made = publish(store, "promotion", verdicts.to_bytes(), {"walk_forward_report/A": scored.sha256})
    options = publish(store, "pinn_weights", b"network 1")
    latency = publish(store, "latency_benchmark", b"latency", {"pinn_weights": options.sha256})
    return Fleet(store, verdicts, made, options, latency, weights)


def gates(fleet: Fleet, release: Release) -> dict[str, bool]:
    results = release_gates(fleet.store, by_target(fleet.verdicts), fleet.latency, release)
    return {name: result.passed for name, result in results.items()}


def test_a_release_older_than_a_target_comes_back_without_it(fleet: Fleet) -> None:
    release = fleet.compose()
    withheld = {name: places for name, places in release.withheld.items() if name != "relative"}
    back = bring_back(dataclasses.replace(release, withheld=withheld), {}, {})
    assert "not judged" in back.withheld["relative"]["every symbol"]
    assert set(gates(fleet, back).values()) == {True}


def test_the_chain_is_followed_and_every_gate_passes(fleet: Fleet) -> None:
    release = fleet.compose()
    assert release.versions == [
        ReleasedVersion("pinn_weights", None, fleet.options.sha256),
        ReleasedVersion("mamba_weights", "A", fleet.weights.sha256, 1),
    ]
    assert release.withheld["direction"].keys() == {"B (1 d)", "C (1 d)"}
    assert "out of memory" in release.withheld["direction"]["C (1 d)"]
    assert set(gates(fleet, release).values()) == {True}
    assert Release.from_bytes(release.to_bytes()) == release


def test_newer_weights_that_nobody_judged_cannot_slip_in(fleet: Fleet) -> None:
    newer = publish(fleet.store, "mamba_weights", b"weights 2", partition="A")
    current = fleet.store.current("mamba_weights", "A")
    assert current is not None
    assert current.sha256 == newer.sha256
    released = {v.asset: v.sha256 for v in fleet.compose().versions}
    assert released["mamba_weights"] == fleet.weights.sha256


def test_newer_report_that_nobody_judged_cannot_slip_in(fleet: Fleet) -> None:
    newer = publish(fleet.store, "mamba_weights", b"weights 2", partition="A")
    publish(fleet.store, "walk_forward_report", b"report 2", {"mamba_weights/A": newer.sha256}, partition="A")
    released = {v.asset: v.sha256 for v in fleet.compose().versions}
    assert released["mamba_weights"] == fleet.weights.sha256


def test_no_skill_releases_the_options_alone(fleet: Fleet) -> None:
    none = decide(with_controls({"A": judged(report("A", p=0.9)), "B": "crashed"}))
    release = compose_release(fleet.store, by_target(none), fleet.options)
    assert [v.asset for v in release.versions] == ["pinn_weights"]
    assert release.withheld["direction"].keys() == {"A (1 d)", "B (1 d)"}
    assert release_gates(fleet.store, by_target(none), fleet.latency, release)["only_promoted"].passed


def test_promoted_symbol_without_a_report_behind_it_is_refused(fleet: Fleet) -> None:
    (one,) = fleet.verdicts.champions
    unknown = dataclasses.replace(one.champion, report_sha256="f" * 64)
    forged = dataclasses.replace(fleet.verdicts, champions=[Served("A", 1, unknown)])
    with pytest.raises(NotCertified):
        compose_release(fleet.store, by_target(forged), fleet.options)


@pytest.mark.parametrize("asset", ["mamba_weights", "walk_forward_report"])
def test_tampered_link_of_the_chain_is_refused(fleet: Fleet, tmp_path: Path, asset: str) -> None:
    for path in (tmp_path / asset).rglob("versions/*.bin"):
        path.write_bytes(b"other")
    with pytest.raises(NotCertified):
        fleet.compose()


def test_weights_refused_after_their_release_close_the_gate(fleet: Fleet) -> None:
    release = fleet.compose()
    refused = certify(
        b"weights 1", asset="mamba_weights", partition="A", kind="toy", extension=".bin", gates=[BAD],
        code_version="2",
    )  # fmt: skip
    fleet.store.quarantine(b"weights 1", refused)
    assert gates(fleet, release) == {
        "every_version_certified": False, "only_promoted": True,
        "judged_version": False, "measured_version": True,
    }  # fmt: skip


def spoiled(release: Release, case: str) -> Release:
    options, weights = release.versions
    versions, withheld = release.versions, release.withheld["direction"]
    match case:
        case "unknown version":
            versions = [options, dataclasses.replace(weights, sha256="f" * 64)]
        case "unknown option network":
            versions = [dataclasses.replace(options, sha256="f" * 64), weights]
        case "no option network":
            versions = [weights]
        case "option network twice":
            versions = [options, options, weights]
        case "symbol not promoted":
            versions = [options, weights, dataclasses.replace(weights, partition="B")]
        case "promoted symbol missing":
            versions = [options]
        case "promoted symbol withheld":
            withheld = {**withheld, "A (1 d)": "someone's wish"}
        case "withheld without a word":
            withheld = {"B (1 d)": withheld["B (1 d)"]}
    return Release(versions, {**release.withheld, "direction": withheld})


@pytest.mark.parametrize(
    ("case", "closed"),
    [
        ("unknown version", {"every_version_certified", "judged_version"}),
        ("unknown option network", {"every_version_certified", "measured_version"}),
        ("no option network", {"measured_version"}),
        ("option network twice", {"measured_version"}),
        ("symbol not promoted", {"every_version_certified", "only_promoted", "judged_version"}),
        ("promoted symbol missing", {"only_promoted"}),
        ("promoted symbol withheld", {"only_promoted"}),
        ("withheld without a word", {"only_promoted"}),
    ],
)
def test_each_gate_can_fail(fleet: Fleet, case: str, closed: set[str]) -> None:
    found = gates(fleet, spoiled(fleet.compose(), case))
    assert {gate for gate, passed in found.items() if not passed} == closed


def test_option_network_that_was_not_measured_is_refused(fleet: Fleet) -> None:
    newer = publish(fleet.store, "pinn_weights", b"network 2")
    release = compose_release(fleet.store, by_target(fleet.verdicts), newer)
    gates = release_gates(fleet.store, by_target(fleet.verdicts), fleet.latency, release)
    result = gates["measured_version"]
    assert not result.passed
    assert newer.sha256[:12] in result.message
    assert fleet.options.sha256[:12] in result.message


def test_certified_weights_that_nobody_judged_are_refused(fleet: Fleet) -> None:
    newer = publish(fleet.store, "mamba_weights", b"weights 2", partition="A")
    options, _ = fleet.compose().versions
    swapped = dataclasses.replace(
        fleet.compose(), versions=[options, ReleasedVersion("mamba_weights", "A", newer.sha256, 1)]
    )
    assert {gate for gate, passed in gates(fleet, swapped).items() if not passed} == {"judged_version"}


def test_champions_outlive_any_number_of_newer_versions(tmp_path: Path) -> None:
    """What is released must be readable and comparable, however often its symbol is retrained."""
    store = ArtifactStore(tmp_path, keep_versions=2)
    weights = publish(store, "mamba_weights", b"champion", partition="A")
    scored = publish(
        store, "walk_forward_report", b"its report", {"mamba_weights/A": weights.sha256}, partition="A"
    )
    fleet: dict[str, Judged | str] = {
        "A": Judged(report("A", accuracy=0.58, p=1e-6), scored.sha256, weights.sha256)
    }
    verdicts = decide(with_controls(fleet))
    pin_champions(store, DIRECTION, verdicts)
    publish(store, "promotion", verdicts.to_bytes())
    for n in range(6):
        publish(store, "mamba_weights", b"weights %d" % n, partition="A")
        publish(store, "walk_forward_report", b"report %d" % n, partition="A")
    assert champions_of(store, DIRECTION) == verdicts.champions
    options = publish(store, "pinn_weights", b"network")
    release = compose_release(store, by_target(verdicts), options)
    assert release.models(DIRECTION, "A") == {1: weights.sha256}
    assert len(store.versions("mamba_weights", "A")) == 3  # two by their age, one by its pin

    retired = dataclasses.replace(verdicts, champions=[])
    for _ in range(3):  # once no promotion that is kept names it, it may go
        publish(store, "promotion", retired.to_bytes())
        retired = dataclasses.replace(retired, void=f"{retired.void}x")
        pin_champions(store, DIRECTION, retired)
    publish(store, "mamba_weights", b"weights 7", partition="A")
    assert len(store.versions("mamba_weights", "A")) == 2


def test_no_promotion_means_no_champion(tmp_path: Path) -> None:
    assert champions_of(ArtifactStore(tmp_path), DIRECTION) == []
