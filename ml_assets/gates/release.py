"""Gates on the release: only certified versions, only of promoted symbols."""

from __future__ import annotations

from ml_assets.gates.result import GateResult
from ml_assets.release import Release, judged_weights
from ml_assets.skill import Promotion
from ml_assets.storage import ArtifactStore, Certificate, NotCertified

__all__ = ["every_version_certified", "judged_version", "measured_version", "only_promoted"]


def every_version_certified(store: ArtifactStore, release: Release) -> GateResult:
    """Read every released version through its certificate, bytes and all."""
    name = "every_version_certified"
    for version in release.versions:
        try:
            store.read(version.asset, version.partition, version.sha256)
        except NotCertified as error:
            return GateResult(name, False, str(error), len(release.versions))
    return GateResult(name, True, f"{len(release.versions)} versions verified", len(release.versions))


def only_promoted(promotion: Promotion, release: Release) -> GateResult:
    """Compare the released symbols with the promoted ones; the rest must be withheld with a reason."""
    released = {v.partition for v in release.versions if v.asset == "mamba_weights"}
    promoted = set(promotion.champions)
    judged = {v.symbol for v in promotion.verdicts} | promoted
    passed = released == promoted and set(release.withheld) == judged - promoted
    message = f"{len(released)} of {len(judged)} symbols released, {len(release.withheld)} withheld"
    if not passed:
        message += f"; released but not promoted {sorted(map(str, released - promoted))}, "
        message += f"promoted but not released {sorted(map(str, promoted - released))}"
    return GateResult("only_promoted", passed, message, len(judged))


def measured_version(latency: Certificate, release: Release) -> GateResult:
    """Require that the released option network is the very version whose latency passed its gate."""
    released = [v.sha256 for v in release.versions if v.asset == "pinn_weights"]
    measured = latency.inputs.get("pinn_weights")
    message = f"released option network {[s[:12] for s in released]}, measured {str(measured)[:12]}"
    return GateResult("measured_version", released == [measured], message, len(released))


def judged_version(store: ArtifactStore, promotion: Promotion, release: Release) -> GateResult:
    """Require that released weights are the very version that the champion's report had scored.

    The chain is walked anew: the promotion names the report, the report's certificate names the weights.
    """
    name = "judged_version"
    for version in release.versions:
        if version.asset != "mamba_weights":
            continue
        symbol = str(version.partition)
        champion = promotion.champions.get(symbol)
        if champion is None:
            return GateResult(name, False, f"{symbol}: released, but no model of it is in service", 1)
        try:
            judged = judged_weights(store, symbol, champion.report_sha256).sha256
        except NotCertified as error:
            return GateResult(name, False, f"{symbol}: no certified report behind its verdict: {error}", 1)
        if not version.sha256 == judged == champion.weights_sha256:
            message = (
                f"{symbol}: released {version.sha256[:12]}, champion {champion.weights_sha256[:12]}, but "
                f"{judged[:12]} was judged"
            )
            return GateResult(name, False, message, 1)
    count = len(release.versions)
    return GateResult(name, True, f"{count} released versions traced to their verdicts", count)
