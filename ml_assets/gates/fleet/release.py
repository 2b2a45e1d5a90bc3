"""Gates on the release: only certified versions, only of places that have a model in service."""

from __future__ import annotations

from dataclasses import dataclass

from ml_assets.forecasts.release import Release, Verdicts, judged_weights
from ml_assets.forecasts.targets import TARGETS
from ml_assets.forecasts.verdicts import Promotion, place_name
from ml_assets.gates._verdict import Tally, require, verdict
from ml_assets.gates.core import Gate, GateResult
from ml_assets.storage import ArtifactStore, Certificate, NotCertified

__all__ = ["RELEASE_GATES", "ReleaseEvidence"]


@dataclass(frozen=True)
class ReleaseEvidence:
    """What a release is judged by.

    Parameters
    ----------
    store : ArtifactStore
    verdicts : mapping of str to Promotion or str
        By the name of a target: the verdicts that were read, or why there are none.
    latency : Certificate
        Of the measurement of the option network.
    """

    store: ArtifactStore
    verdicts: Verdicts
    latency: Certificate


def every_version_certified(release: Release, evidence: ReleaseEvidence) -> GateResult:
    """Read every version that is released or passed over through its certificate, bytes and all."""

    def inspect(tally: Tally) -> str:
        named = [(v.asset, v.partition, v.sha256) for v in release.versions]
        named += [(asset, None, sha256) for asset, sha256 in release.passed_over.items()]
        for version in named:
            tally.checked += 1
            try:
                evidence.store.read(*version)
            except NotCertified as error:
                require(False, str(error))
        return f"{len(named)} versions verified"

    return verdict("every_version_certified", inspect)


def only_promoted(release: Release, evidence: ReleaseEvidence) -> GateResult:
    """Compare the released places with those in service; the rest must be withheld with a reason.

    Without verdicts on a target no model of it may be released.
    """

    def inspect(tally: Tally) -> str:
        require(
            set(release.withheld) == set(evidence.verdicts),
            f"withheld is said of {sorted(release.withheld)}, judged were {sorted(evidence.verdicts)}",
        )
        counts = []
        for target in TARGETS:
            judged = evidence.verdicts.get(target.name, "it was not judged")
            released = {
                (str(v.partition), v.horizon or 0) for v in release.versions if v.asset == target.weights
            }
            promoted = set(judged.promoted()) if isinstance(judged, Promotion) else set()
            tried = {v.place for v in judged.verdicts} if isinstance(judged, Promotion) else set()
            tally.checked += len(tried | promoted | released)
            for place in sorted(released ^ promoted):
                what = "released but not promoted" if place in released else "promoted but not released"
                require(False, f"{target.name}: {place_name(*place)} is {what}")
            if isinstance(judged, Promotion):
                silent = {place_name(*place) for place in tried - promoted}
                said = set(release.withheld[target.name])
                require(said == silent, f"{target.name}: withheld are {sorted(said ^ silent)[:3]}")
            counts.append(f"{target.name}: {len(released)} of {len(tried | promoted)} places released")
        return "; ".join(counts)

    return verdict("only_promoted", inspect)


def judged_version(release: Release, evidence: ReleaseEvidence) -> GateResult:
    """Require that released weights are the very version that the champion's report had scored.

    The chain is walked anew: the verdicts name the report, the report's certificate names the weights.
    """
    champions = {
        (target.weights, *served.place): (target, served)
        for target in TARGETS
        if isinstance(judged := evidence.verdicts.get(target.name), Promotion)
        for served in judged.champions
    }

    def inspect(tally: Tally) -> str:
        for version in release.versions:
            tally.checked += 1
            if version.asset == "pinn_weights":
                continue
            place = place_name(str(version.partition), version.horizon or 0)
            target_served = champions.get((version.asset, str(version.partition), version.horizon or 0))
            require(target_served is not None, f"{place}: released, but no model of it is in service")
            assert target_served is not None
            try:
                judged = judged_weights(evidence.store, *target_served).sha256
            except NotCertified as error:
                require(False, f"{place}: no certified report behind its verdict: {error}")
            champion = target_served[1].champion
            require(
                version.sha256 == judged == champion.weights_sha256,
                f"{place}: released {version.sha256[:12]}, champion {champion.weights_sha256[:12]}, but "
                f"{judged[:12]} was judged",
            )
        return f"{tally.checked} released versions traced to their verdicts"

    return verdict("judged_version", inspect)


def measured_version(release: Release, evidence: ReleaseEvidence) -> GateResult:
    """Require that the released option network is the very version whose latency passed its gate."""

    def inspect(tally: Tally) -> str:
        released = [v.sha256 for v in release.versions if v.asset == "pinn_weights"]
        measured, tally.checked = evidence.latency.inputs.get("pinn_weights"), len(released)
        message = f"released option network {[s[:12] for s in released]}, measured {str(measured)[:12]}"
        require(released == [measured], message)
        return message

    return verdict("measured_version", inspect)


RELEASE_GATES: tuple[Gate[Release, ReleaseEvidence], ...] = (
    Gate(
        "every_version_certified",
        "Each version released, or passed over, is read through its certificate.",
        every_version_certified,
    ),
    Gate("only_promoted", "Released places are exactly those with a model in service.", only_promoted),
    Gate("judged_version", "Released weights are the very version whose report was judged.", judged_version),
    Gate(
        "measured_version",
        "The option network released is the one whose latency was measured.",
        measured_version,
    ),
)
"""Gates of ``release``."""
