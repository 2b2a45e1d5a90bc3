"""How a released model is found: through the certificates of its release, and nowhere else."""

from __future__ import annotations

from ml_assets.forecasts.drift import WatchedModel
from ml_assets.forecasts.release import Release
from ml_assets.forecasts.target import Target
from ml_assets.forecasts.verdicts import place_name
from ml_assets.storage import ArtifactStore, Certificate, NotCertified, read_input

__all__ = ["released_models", "watched_models"]


def released_models(store: ArtifactStore, target: Target) -> list[WatchedModel]:
    """Models of the current release; none if nothing is released or a link of the chain is broken."""
    try:
        data, certificate = store.read("release")
        release = Release.from_bytes(data)
        symbols = sorted({str(v.partition) for v in release.versions if v.asset == target.weights})
        return [
            model
            for symbol in symbols
            for model in watched_models(store, target, release, certificate, symbol)
        ]
    except NotCertified:
        return []


def watched_models(
    store: ArtifactStore, target: Target, release: Release, certificate: Certificate, symbol: str
) -> list[WatchedModel]:
    """Find the released models of a symbol through the certificates of its release, by horizon.

    Raises
    ------
    NotCertified
        If the verdicts behind the release cannot be verified any more.
    LookupError
        If the symbol has no model in the release.
    """
    released = release.models(target, symbol)
    if not released:
        withheld = release.withheld.get(target.name, {})
        why = [f"{place}: {reason}" for place, reason in withheld.items() if place.startswith(f"{symbol} (")]
        raise LookupError(
            f"{symbol} has no released model of {target.name}, so there is nothing to watch: "
            f"{'; '.join(why) or 'it was never judged'}"
        )
    judged = target.promotion.from_bytes(read_input(store, certificate, target.verdicts, None)[0])
    models = []
    for horizon, sha256 in sorted(released.items()):
        champion = judged.champion(symbol, horizon)
        if champion is None:
            raise LookupError(f"{place_name(symbol, horizon)} is released, but its verdicts name no champion")
        models.append(WatchedModel(symbol, horizon, sha256, champion.report_sha256, champion.scored_until))
    return models
