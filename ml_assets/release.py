"""What may be served: a manifest of certified versions, nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

from ml_assets.artifact import JsonArtifact
from ml_assets.skill import Promotion, Served
from ml_assets.storage import ArtifactStore, Certificate, follow_input
from ml_assets.volatility import VolatilityPromotion

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
    return DIRECTION if isinstance(promotion, Promotion) else VARIANCE


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
    """Return the champions of the last certified verdicts of a kind; none if there are none."""
    if store.current(verdicts.kind) is None:
        return []
    return verdicts.from_bytes(store.read(verdicts.kind)[0]).served()


def pin_champions(store: ArtifactStore, newest: Verdicts) -> None:
    """Keep the weights and the reports of all champions, and of those an earlier release can bring back."""
    target, served = target_of(newest), newest.served()
    for certificate in store.versions(newest.kind):
        served += type(newest).from_bytes(store.read(newest.kind, None, certificate.sha256)[0]).served()
    pins: dict[tuple[str, str], set[str]] = {}
    for one in served:
        pins.setdefault((target.weights, one.symbol), set()).add(one.champion.weights_sha256)
        pins.setdefault((target.report, one.symbol), set()).add(one.champion.report_sha256)
    for asset in (target.weights, target.report):
        for symbol in store.partitions(asset):
            store.pin(asset, symbol, pins.get((asset, symbol), set()))


def _entry(certificate: Certificate, horizon: int | None = None) -> ReleasedVersion:
    return ReleasedVersion(certificate.asset, certificate.partition, certificate.sha256, horizon)
