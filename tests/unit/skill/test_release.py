"""The release: what is served is what was judged, byte for byte, or nothing is."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import pytest

from ml_assets.forecasts.direction import Judged, Promotion, decide
from ml_assets.forecasts.release import Release, ReleasedVersion, champions_of, compose_release, pin_champions
from ml_assets.gates.fleet.release import (
    every_version_certified,
    judged_version,
    measured_version,
    only_promoted,
)
from ml_assets.storage import ArtifactStore, Certificate, GateVerdict, NotCertified, certify
from tests.unit.skill.makers import judged, report, with_controls

NOT_JUDGED = "variance is not judged"
GOOD = GateVerdict("gate", True, "looked at it", {"checked": 1})
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
        return compose_release(self.store, self.verdicts, self.options, NOT_JUDGED)


def publish(
    store: ArtifactStore,
    asset: str,
    data: bytes,
    inputs: dict[str, str] | None = None,
    partition: str | None = None,
) -> Certificate:
    certificate = certify(
        data, asset=asset, partition=partition, kind="toy", extension=".bin", gates=[GOOD], code_version="1",
        inputs=inputs,
    )  # fmt: skip
    return store.publish(data, certificate)


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
    results = [
        every_version_certified(fleet.store, release),
        only_promoted(fleet.verdicts, release),
        judged_version(fleet.store, fleet.verdicts, release),
        measured_version(fleet.latency, release),
    ]
    return {result.gate: result.passed for result in results}


def test_the_chain_is_followed_and_every_gate_passes(fleet: Fleet) -> None:
    release = fleet.compose()
    assert release.versions == [
        ReleasedVersion("pinn_weights", None, fleet.options.sha256),
        ReleasedVersion("mamba_weights", "A", fleet.weights.sha256),
    ]
    assert release.withheld.keys() == {"B", "C"}
    assert "out of memory" in release.withheld["C"]
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
    release = compose_release(fleet.store, none, fleet.options, NOT_JUDGED)
    assert [v.asset for v in release.versions] == ["pinn_weights"]
    assert release.withheld.keys() == {"A", "B"}
    assert only_promoted(none, release).passed


def test_promoted_symbol_without_a_report_behind_it_is_refused(fleet: Fleet) -> None:
    unknown = dataclasses.replace(fleet.verdicts.champions["A"], report_sha256="f" * 64)
    forged = dataclasses.replace(fleet.verdicts, champions={"A": unknown})
    with pytest.raises(NotCertified):
        compose_release(fleet.store, forged, fleet.options, NOT_JUDGED)


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
    versions, withheld = release.versions, release.withheld
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
            withheld = {**withheld, "A": "someone's wish"}
        case "withheld without a word":
            withheld = {"B": withheld["B"]}
    return Release(versions, withheld)


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
    release = compose_release(fleet.store, fleet.verdicts, newer, NOT_JUDGED)
    result = measured_version(fleet.latency, release)
    assert not result.passed
    assert newer.sha256[:12] in result.message
    assert fleet.options.sha256[:12] in result.message


def test_certified_weights_that_nobody_judged_are_refused(fleet: Fleet) -> None:
    newer = publish(fleet.store, "mamba_weights", b"weights 2", partition="A")
    options, _ = fleet.compose().versions
    swapped = dataclasses.replace(
        fleet.compose(), versions=[options, ReleasedVersion("mamba_weights", "A", newer.sha256)]
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
    pin_champions(store, verdicts)
    publish(store, "promotion", verdicts.to_bytes())
    for n in range(6):
        publish(store, "mamba_weights", b"weights %d" % n, partition="A")
        publish(store, "walk_forward_report", b"report %d" % n, partition="A")
    assert champions_of(store, Promotion) == verdicts.served()
    options = publish(store, "pinn_weights", b"network")
    assert (
        compose_release(store, verdicts, options, NOT_JUDGED).version("mamba_weights", "A") == weights.sha256
    )
    assert len(store.versions("mamba_weights", "A")) == 3  # two by their age, one by its pin

    retired = dataclasses.replace(verdicts, champions={})
    for _ in range(3):  # once no promotion that is kept names it, it may go
        publish(store, "promotion", retired.to_bytes())
        retired = dataclasses.replace(retired, void=f"{retired.void}x")
        pin_champions(store, retired)
    publish(store, "mamba_weights", b"weights 7", partition="A")
    assert len(store.versions("mamba_weights", "A")) == 2


def test_no_promotion_means_no_champion(tmp_path: Path) -> None:
    assert champions_of(ArtifactStore(tmp_path), Promotion) == []
