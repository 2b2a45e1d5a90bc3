"""What may be served: a manifest of certified versions, nothing else."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

from ml_assets.forecasts import _first_format
from ml_assets.forecasts.succession import Served
from ml_assets.forecasts.target import Target
from ml_assets.forecasts.targets import TARGETS
from ml_assets.forecasts.verdicts import Promotion, place_name
from ml_assets.storage import ArtifactStore, Certificate, NotCertified, follow_input
from ml_assets.storage.artifact import JsonArtifact

__all__ = [
    "Release",
    "ReleasedVersion",
    "Verdicts",
    "bring_back",
    "champions_of",
    "compose_release",
    "judged_weights",
    "pin_champions",
]

_log = logging.getLogger(__name__)

Verdicts = Mapping[str, Promotion | str]
"""By the name of a target: its verdicts, or why there are none."""


@dataclass(frozen=True)
class ReleasedVersion:
    """One certified artifact that may be served; ``horizon`` is how many days ahead a model forecasts."""

    asset: str
    partition: str | None
    sha256: str
    horizon: int | None = None


@dataclass(frozen=True)
class Release(JsonArtifact):
    """The manifest.

    ``versions`` are the certified artifacts by name: one entry per place with a model in service, and the
    option network. ``withheld`` says for every other place why it has none, by target and place, as ``AAPL (5
    d)``: "no model with skill" is an answer. A target that was not judged has one entry, ``every symbol``.
    ``passed_over`` marks a release that was brought back: by asset, the newest verdicts, network or
    measurement of that moment, which it knowingly does not use.
    """

    kind: ClassVar[str] = "release"

    versions: list[ReleasedVersion]
    withheld: dict[str, dict[str, str]]
    passed_over: dict[str, str] = field(default_factory=dict)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Decode and validate, also what was written when only direction and variance could be withheld."""
        return super().from_bytes(_first_format.current(data, _is_by_target, _first_format.release))

    def version(self, asset: str, partition: str | None, horizon: int | None = None) -> str | None:
        """Hash of the released version of one artifact; None if there is none."""
        wanted = (asset, partition, horizon)
        versions = (v.sha256 for v in self.versions if (v.asset, v.partition, v.horizon) == wanted)
        return next(versions, None)

    def models(self, target: Target, symbol: str) -> dict[int, str]:
        """Hashes of a symbol's released weights by horizon."""
        return {
            v.horizon: v.sha256
            for v in self.versions
            if (v.asset, v.partition) == (target.weights, symbol) and v.horizon is not None
        }


def _is_by_target(fields: Mapping[str, Any]) -> bool:
    return "withheld_variance" not in fields and all(
        isinstance(places, dict) for places in fields["withheld"].values()
    )


def compose_release(store: ArtifactStore, verdicts: Verdicts, options: Certificate) -> Release:
    """Collect the versions of the models in service.

    The chain is followed through certificates: verdicts → the report that won the place → the very weights
    that the report scored, so that newer weights, which nobody has judged, cannot slip in.

    Parameters
    ----------
    store
        Where the artifacts lie.
    verdicts
        Verdicts with their champions, or why there are none, by target.
    options
        Certificate of the option network whose latency was measured.

    Raises
    ------
    NotCertified
        If a champion's report or weights cannot be verified.
    """
    models = [
        _entry(judged_weights(store, target, served), served.horizon)
        for target in TARGETS
        if isinstance(judged := verdicts.get(target.name), Promotion)
        for served in judged.champions
    ]
    return Release(
        versions=[_entry(options), *models],
        withheld={name: _withheld(judged) for name, judged in verdicts.items()},
    )


def _withheld(judged: Promotion | str) -> dict[str, str]:
    if isinstance(judged, str):
        return {"every symbol": f"no model with skill: {judged}"}
    served = judged.promoted()
    return {
        place_name(*v.place): f"no model with skill: {v.verdict}: {v.reason}"
        for v in judged.verdicts
        if v.place not in served
    }


def bring_back(earlier: Release, used: Mapping[str, str], newest: Mapping[str, str]) -> Release:
    """Mark an earlier release with what it passes over, and with targets that came after it.

    Parameters
    ----------
    earlier
        The release to serve again.
    used, newest
        Versions by asset: those that it was made of, and those that a release would be made of now.
    """
    unjudged = {"every symbol": "no model with skill: it was not judged when this release was made"}
    return replace(
        earlier,
        withheld={**{target.name: unjudged for target in TARGETS}, **earlier.withheld},
        passed_over={a: sha for a, sha in newest.items() if used.get(a) != sha},
    )


def judged_weights(store: ArtifactStore, target: Target, served: Served) -> Certificate:
    """Certificate of the weights that a champion's report scored, both verified."""
    _, report = store.read(target.report, served.symbol, served.champion.report_sha256)
    return follow_input(store, report, target.weights, served.symbol)


def champions_of(store: ArtifactStore, target: Target) -> list[Served]:
    """Return the champions of a target's last certified verdicts; none if there are none.

    Verdicts that are damaged are passed over, or no later ones could ever be given. They may have retired a
    champion of the verdicts before: it serves on only if what was released of them names it too. Whom only
    the damaged verdicts named must pass anew. Both are logged.

    Raises
    ------
    NotCertified
        If the disk or the network refused to read: that may pass.
    """
    kind = target.verdicts
    try:
        if store.current(kind) is None:
            return []
        return target.promotion.from_bytes(store.read(kind)[0]).champions
    except NotCertified as error:
        _require_damage(error)
        lost = set() if error.sha256 is None else {error.sha256}  # None: not even the pointer can be read
    served: list[Served] = []
    for certificate in store.versions(kind):
        if (data := _sound_bytes(store, certificate)) is not None:
            served = target.promotion.from_bytes(data).champions
            break
        lost.add(certificate.sha256)
    for release, made in _releases(store):
        if made.inputs.get(kind) in lost:
            named = {v for v in release.versions if v.asset == target.weights}
            kept = [one for one in served if _weights_of(target, one) in named]
            gone = [one for one in served if one not in kept]
            anew = named - {_weights_of(target, one) for one in served}
            _log.warning("no longer in service by %s that is damaged: %s", kind, gone or "none")
            _log.warning("released by %s that is damaged, must pass anew: %s", kind, anew or "none")
            served = kept
    _log.warning("the last %s is damaged; in service by those before: %s", kind, served or "none")
    return served


def pin_champions(store: ArtifactStore, target: Target, newest: Promotion) -> None:
    """Keep the weights and the reports of all champions, and of those an earlier release can bring back.

    What cannot be read names none, but what was released stays.
    """
    served = list(newest.champions)
    for certificate in store.versions(target.verdicts):
        if (data := _sound_bytes(store, certificate)) is not None:
            served += target.promotion.from_bytes(data).champions
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


def _weights_of(target: Target, served: Served) -> ReleasedVersion:
    return ReleasedVersion(target.weights, served.symbol, served.champion.weights_sha256, served.horizon)


def _entry(certificate: Certificate, horizon: int | None = None) -> ReleasedVersion:
    return ReleasedVersion(certificate.asset, certificate.partition, certificate.sha256, horizon)
