"""What may be served: a manifest of certified versions, nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ml_assets.artifact import JsonArtifact
from ml_assets.skill import Champion, Promotion
from ml_assets.storage import ArtifactStore, Certificate, follow_input

__all__ = ["Release", "ReleasedVersion", "champions_of", "compose_release", "judged_weights", "pin_champions"]


@dataclass(frozen=True)
class ReleasedVersion:
    """One certified artifact that may be served."""

    asset: str
    partition: str | None
    sha256: str


@dataclass(frozen=True)
class Release(JsonArtifact):
    """The manifest.

    ``versions`` are the certified artifacts by name: one entry per promoted symbol's weights and the option
    network. ``withheld`` says for every other symbol why it has none: "no model with skill" is an answer.
    """

    kind: ClassVar[str] = "release"

    versions: list[ReleasedVersion]
    withheld: dict[str, str]

    def version(self, asset: str, partition: str | None) -> str | None:
        """Hash of the released version of one artifact; None if there is none."""
        found = [v.sha256 for v in self.versions if (v.asset, v.partition) == (asset, partition)]
        return found[0] if found else None


def compose_release(store: ArtifactStore, promotion: Promotion, options: Certificate) -> Release:
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

    Raises
    ------
    NotCertified
        If a champion's report or weights cannot be verified.
    """
    weights = [
        judged_weights(store, symbol, champion.report_sha256)
        for symbol, champion in sorted(promotion.champions.items())
    ]
    return Release(
        versions=[_entry(certificate) for certificate in [options, *weights]],
        withheld={
            v.symbol: f"{v.verdict}: {v.reason}"
            for v in promotion.verdicts
            if v.symbol not in promotion.champions
        },
    )


def judged_weights(store: ArtifactStore, symbol: str, report_sha256: str) -> Certificate:
    """Certificate of the weights that a report scored, both verified."""
    _, report = store.read("walk_forward_report", symbol, report_sha256)
    return follow_input(store, report, "mamba_weights", symbol)


def champions_of(store: ArtifactStore) -> dict[str, Champion]:
    """Return the champions of the last certified promotion; none if there is none."""
    if store.current("promotion") is None:
        return {}
    return Promotion.from_bytes(store.read("promotion")[0]).champions


def pin_champions(store: ArtifactStore, newest: Promotion) -> None:
    """Keep the weights and the reports of all champions, and of those an earlier release can bring back."""
    promotions = [newest]
    for certificate in store.versions("promotion"):
        promotions.append(Promotion.from_bytes(store.read("promotion", None, certificate.sha256)[0]))
    pins: dict[tuple[str, str], set[str]] = {}
    for promotion in promotions:
        for symbol, champion in promotion.champions.items():
            pins.setdefault(("mamba_weights", symbol), set()).add(champion.weights_sha256)
            pins.setdefault(("walk_forward_report", symbol), set()).add(champion.report_sha256)
    for asset in ("mamba_weights", "walk_forward_report"):
        for symbol in store.partitions(asset):
            store.pin(asset, symbol, pins.get((asset, symbol), set()))


def _entry(certificate: Certificate) -> ReleasedVersion:
    return ReleasedVersion(certificate.asset, certificate.partition, certificate.sha256)
