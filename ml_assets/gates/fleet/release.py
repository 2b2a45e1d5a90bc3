"""Gates on the release: only certified versions, only of promoted symbols."""

from __future__ import annotations

from ml_assets.forecasts.direction import Promotion
from ml_assets.forecasts.release import Release, judged_weights, target_of
from ml_assets.forecasts.variance import VolatilityPromotion
from ml_assets.gates.core import GateResult
from ml_assets.storage import ArtifactStore, Certificate, NotCertified

__all__ = ["every_version_certified", "judged_version", "measured_version", "only_promoted"]


def every_version_certified(store: ArtifactStore, release: Release) -> GateResult:
    """Read every version that is released or passed over through its certificate, bytes and all."""
    name = "every_version_certified"
    named = [(v.asset, v.partition, v.sha256) for v in release.versions]
    named += [(asset, None, sha256) for asset, sha256 in release.passed_over.items()]
    for version in named:
        try:
            store.read(*version)
        except NotCertified as error:
            return GateResult(name, False, str(error), len(named))
    return GateResult(name, True, f"{len(named)} versions verified", len(named))


def only_promoted(
    promotion: Promotion, release: Release, variance: VolatilityPromotion | None = None
) -> GateResult:
    """Compare the released symbols with the promoted ones; the rest must be withheld with a reason.

    Without verdicts on variance no model of it may be released.
    """
    released = {v.partition for v in release.versions if v.asset == "mamba_weights"}
    promoted = set(promotion.champions)
    judged = {v.symbol for v in promotion.verdicts} | promoted
    passed = released == promoted and set(release.withheld) == judged - promoted
    message = f"{len(released)} of {len(judged)} symbols released, {len(release.withheld)} withheld"
    if not passed:
        message += f"; released but not promoted {sorted(map(str, released - promoted))}, "
        message += f"promoted but not released {sorted(map(str, promoted - released))}"
    if passed:
        passed, said = _only_promoted_variance(variance, release)
        message += f"; variance: {said}"
    return GateResult("only_promoted", passed, message, len(judged))


def _only_promoted_variance(variance: VolatilityPromotion | None, release: Release) -> tuple[bool, str]:
    released = {f"{v.partition} ({v.horizon} d)" for v in release.versions if v.asset == "volatility_weights"}
    if variance is None:
        return not released, f"not judged, {len(released)} models released"
    promoted = {f"{one.symbol} ({one.horizon} d)" for one in variance.served()}
    judged = {f"{v.symbol} ({v.horizon} d)" for v in variance.verdicts} | promoted
    passed = released == promoted and set(release.withheld_variance) == judged - promoted
    return passed, f"released {sorted(released)}, promoted {sorted(promoted)} of {len(judged)}"


def measured_version(latency: Certificate, release: Release) -> GateResult:
    """Require that the released option network is the very version whose latency passed its gate."""
    released = [v.sha256 for v in release.versions if v.asset == "pinn_weights"]
    measured = latency.inputs.get("pinn_weights")
    message = f"released option network {[s[:12] for s in released]}, measured {str(measured)[:12]}"
    return GateResult("measured_version", released == [measured], message, len(released))


def judged_version(
    store: ArtifactStore,
    promotion: Promotion,
    release: Release,
    variance: VolatilityPromotion | None = None,
) -> GateResult:
    """Require that released weights are the very version that the champion's report had scored.

    The chain is walked anew: the verdicts name the report, the report's certificate names the weights.
    """
    name = "judged_version"
    champions = {
        (target_of(of).weights, one.symbol, one.horizon): (target_of(of), one)
        for of in (promotion, variance)
        if of is not None
        for one in of.served()
    }
    for version in release.versions:
        if version.asset == "pinn_weights":
            continue
        place = f"{version.partition}" + ("" if version.horizon is None else f" ({version.horizon} d)")
        found = champions.get((version.asset, str(version.partition), version.horizon))
        if found is None:
            return GateResult(name, False, f"{place}: released, but no model of it is in service", 1)
        try:
            judged = judged_weights(store, *found).sha256
        except NotCertified as error:
            return GateResult(name, False, f"{place}: no certified report behind its verdict: {error}", 1)
        champion = found[1].champion
        if not version.sha256 == judged == champion.weights_sha256:
            message = (
                f"{place}: released {version.sha256[:12]}, champion {champion.weights_sha256[:12]}, but "
                f"{judged[:12]} was judged"
            )
            return GateResult(name, False, message, 1)
    count = len(release.versions)
    return GateResult(name, True, f"{count} released versions traced to their verdicts", count)
