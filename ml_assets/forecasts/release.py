"""What may be served: a manifest of certified versions, nothing else."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

from ml_assets.forecasts.direction import Promotion, Served
from ml_assets.forecasts.variance import VolatilityPromotion
from ml_assets.storage import ArtifactStore, Certificate, NotCertified, follow_input
from ml_assets.storage.artifact import JsonArtifact

__all__ = [
    "Release",
    "ReleasedVersion",
    "Target",
    "Verdicts",
    "bring_back",
    "champions_of",
    "compose_release",
    "judged_weights",
    "pin_champions",
    "target_of",
]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ReleasedVersion:
    """One certified artifact that may be served; ``horizon`` is for which, where a model has several."""

    asset: str
    partition: str | None
    sha256: str
    horizon: int | None = None


@dataclass(frozen=True)
class Release(JsonArtifact):
    """The manifest.

    ``versions`` are the certified artifacts by name: one entry per promoted symbol's weights and the option
    network. ``withheld`` says for every other symbol why it has none: "no model with skill" is an answer.
    ``withheld_variance`` does so by symbol and horizon, as ``AAPL (5 d)``, or in one entry where variance was
    not judged. ``passed_over`` marks a release that was brought back: by asset, the newest verdicts, network
    or measurement of that moment, which it knowingly does not use.
    """

    kind: ClassVar[str] = "release"

    versions: list[ReleasedVersion]
    withheld: dict[str, str]
    withheld_variance: dict[str, str] = field(default_factory=dict)
    passed_over: dict[str, str] = field(default_factory=dict)

    def version(self, asset: str, partition: str | None, horizon: int | None = None) -> str | None:
        """Hash of the released version of one artifact; None if there is none."""
        wanted = (asset, partition, horizon)
        found = [v.sha256 for v in self.versions if (v.asset, v.partition, v.horizon) == wanted]
        return found[0] if found else None


@dataclass(frozen=True)
class Target:
    """One thing that is forecast: the assets of its models and of their reports."""

    weights: str
    report: str


DIRECTION = Target("mamba_weights", "walk_forward_report")
VARIANCE = Target("volatility_weights", "volatility_report")
Verdicts = Promotion | VolatilityPromotion


def target_of(promotion: Verdicts) -> Target:
    """What the verdicts are about."""
    return _target(type(promotion))


def _target(verdicts: type[Verdicts]) -> Target:
    return DIRECTION if issubclass(verdicts, Promotion) else VARIANCE


def compose_release(
    store: ArtifactStore, promotion: Promotion, options: Certificate, variance: VolatilityPromotion | str
) -> Release:
    """Collect the versions of the models in service.

    The chain is followed through certificates: promotion → the report that won the place → the very weights
    that the report scored, so that newer weights, which nobody has judged, cannot slip in.

    Parameters
    ----------
    store
        Where the artifacts lie.
    promotion
        The verdicts and the champions.
    options
        Certificate of the option network whose latency was measured.
    variance
        The verdicts on variance with their champions; or why there are none.

    Raises
    ------
    NotCertified
        If a champion's report or weights cannot be verified.
    """
    judged: list[Verdicts] = [promotion] if isinstance(variance, str) else [promotion, variance]
    models = [
        _entry(judged_weights(store, target_of(of), served), served.horizon)
        for of in judged
        for served in of.served()
    ]
    return Release(
        versions=[_entry(options), *models],
        withheld={
            v.symbol: f"{v.verdict}: {v.reason}"
            for v in promotion.verdicts
            if v.symbol not in promotion.champions
        },
        withheld_variance=_withheld(variance),
    )


def bring_back(earlier: Release, used: Mapping[str, str], newest: Mapping[str, str]) -> Release:
    """Mark an earlier release with what it passes over.

    Parameters
    ----------
    earlier
        The release to serve again.
    used, newest
        Versions by asset: those that it was made of, and those that a release would be made of now.
    """
    return replace(earlier, passed_over={a: sha for a, sha in newest.items() if used.get(a) != sha})


def _withheld(variance: VolatilityPromotion | str) -> dict[str, str]:
    if isinstance(variance, str):
        return {"every symbol": f"no model with skill: {variance}"}
    served = variance.promoted()
    return {
        f"{v.symbol} ({v.horizon} d)": f"no model with skill: {v.verdict}: {v.reason}"
        for v in variance.verdicts
        if (v.symbol, v.horizon) not in served
    }


def judged_weights(store: ArtifactStore, target: Target, served: Served) -> Certificate:
    """Certificate of the weights that a champion's report scored, both verified."""
    _, report = store.read(target.report, served.symbol, served.champion.report_sha256)
    return follow_input(store, report, target.weights, served.symbol)


def champions_of(store: ArtifactStore, verdicts: type[Verdicts]) -> list[Served]:
    """Return the champions of the last certified verdicts of a kind; none if there are none.

    Verdicts that are damaged are passed over, or no later ones could ever be given. They may have retired a
    champion of the verdicts before: it serves on only if what was released of them names it too. Whom only
    the damaged verdicts named must pass anew. Both are logged.

    Raises
    ------
    NotCertified
        If the disk or the network refused to read: that may pass.
    """
    kind = verdicts.kind
    try:
        if store.current(kind) is None:
            return []
        return verdicts.from_bytes(store.read(kind)[0]).served()
    except NotCertified as error:
        _require_damage(error)
        lost = set() if error.sha256 is None else {error.sha256}  # None: not even the pointer can be read
    served: list[Served] = []
    for certificate in store.versions(kind):
        if (data := _sound_bytes(store, certificate)) is not None:
            served = verdicts.from_bytes(data).served()
            break
        lost.add(certificate.sha256)
    weights = _target(verdicts).weights
    for release, made in _releases(store):
        if made.inputs.get(kind) in lost:
            named = {v for v in release.versions if v.asset == weights}
            kept = [one for one in served if _weights_of(weights, one) in named]
            gone = [one for one in served if one not in kept]
            anew = named - {_weights_of(weights, one) for one in served}
            _log.warning("no longer in service by %s that is damaged: %s", kind, gone or "none")
            _log.warning("released by %s that is damaged, must pass anew: %s", kind, anew or "none")
            served = kept
    _log.warning("the last %s is damaged; in service by those before: %s", kind, served or "none")
    return served


def pin_champions(store: ArtifactStore, newest: Verdicts) -> None:
    """Keep the weights and the reports of all champions, and of those an earlier release can bring back.

    What cannot be read names none, but what was released stays.
    """
    target, served = target_of(newest), newest.served()
    for certificate in store.versions(newest.kind):
        if (data := _sound_bytes(store, certificate)) is not None:
            served += type(newest).from_bytes(data).served()
    pins: dict[tuple[str, str], set[str]] = {}
    for one in served:
        pins.setdefault((target.weights, one.symbol), set()).add(one.champion.weights_sha256)
        pins.setdefault((target.report, one.symbol), set()).add(one.champion.report_sha256)
    for release, _ in _releases(store):
        for v in release.versions:
            if v.asset == target.weights:
                pins.setdefault((v.asset, str(v.partition)), set()).add(v.sha256)
    for asset in (target.weights, target.report):
        for symbol in store.partitions(asset):
            store.pin(asset, symbol, pins.get((asset, symbol), set()))


def _releases(store: ArtifactStore) -> Iterator[tuple[Release, Certificate]]:
    """The releases kept that can be read, newest first."""
    for certificate in store.versions(Release.kind):
        if (data := _sound_bytes(store, certificate)) is not None:
            yield Release.from_bytes(data), certificate


def _sound_bytes(store: ArtifactStore, certificate: Certificate) -> bytes | None:
    """Bytes of a version; None, and a line in the log, if they are damaged."""
    try:
        return store.read(certificate.asset, certificate.partition, certificate.sha256)[0]
    except NotCertified as error:
        _require_damage(error)
        return None


def _require_damage(error: NotCertified) -> None:
    """Pass over what is damaged, but not what could not be read just now."""
    if error.code == "unreadable":
        raise error
    _log.warning("passed over: %s", error)


def _weights_of(asset: str, served: Served) -> ReleasedVersion:
    return ReleasedVersion(asset, served.symbol, served.champion.weights_sha256, served.horizon)


def _entry(certificate: Certificate, horizon: int | None = None) -> ReleasedVersion:
    return ReleasedVersion(certificate.asset, certificate.partition, certificate.sha256, horizon)
