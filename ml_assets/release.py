"""What may be served: a manifest of certified versions, nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ml_assets.artifact import JsonArtifact
from ml_assets.skill import Promotion
from ml_assets.storage import ArtifactStore, Certificate, follow_input

__all__ = ["Release", "ReleasedVersion", "compose_release"]


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


def compose_release(
    store: ArtifactStore, promotion: Promotion, promotion_certificate: Certificate, options: Certificate
) -> Release:
    """Collect the versions that stand behind the verdicts.

    The chain is followed through certificates: promotion → the very report that was judged → the very
    weights that the report scored, so that newer weights, which nobody has judged, cannot slip in.

    Parameters
    ----------
    store
        Where the artifacts lie.
    promotion, promotion_certificate
        The verdicts and the certificate of the version read.
    options
        Certificate of the option network whose latency was measured.

    Raises
    ------
    NotCertified
        If a promoted symbol's report or weights cannot be verified.
    """
    weights = [_judged_weights(store, symbol, promotion_certificate) for symbol in promotion.promoted()]
    return Release(
        versions=[_entry(certificate) for certificate in [options, *weights]],
        withheld={v.symbol: f"{v.verdict}: {v.reason}" for v in promotion.verdicts if v.verdict != "PROMOTE"},
    )


def _judged_weights(store: ArtifactStore, symbol: str, promotion: Certificate) -> Certificate:
    report = follow_input(store, promotion, "walk_forward_report", symbol)
    return follow_input(store, report, "mamba_weights", symbol)


def _entry(certificate: Certificate) -> ReleasedVersion:
    return ReleasedVersion(certificate.asset, certificate.partition, certificate.sha256)
