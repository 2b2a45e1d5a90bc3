"""The manifest of what may be served."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import dagster as dg

from ml_assets.forecasts.release import Release, Verdicts, bring_back, compose_release
from ml_assets.forecasts.targets import DIRECTION, TARGETS
from ml_assets.gates.fleet.release import RELEASE_GATES, ReleaseEvidence
from ml_assets.pinn import LatencyReport, PinnWeights
from ml_assets.reports.completion import completion_pages
from ml_assets.storage import ArtifactStore, Certificate, NotCertified, follow_input, read_input
from orchestration.gating import Certified, Refusal, Staged, gated_asset, verified

__all__ = ["ReleaseConfig", "release"]

T = TypeVar("T")
Newest = Mapping[str, Certified[Any] | Refusal]


class ReleaseConfig(dg.Config):
    """Run configuration of `release`."""

    rollback_to: str = ""
    """Hash of an earlier release to serve again; empty: compose a new one from the verdicts."""


@dataclass(frozen=True)
class _Made:
    """What a release is made of: verdicts by asset, the measurement, and all that was read for it."""

    verdicts: Newest
    latency: Certificate
    inputs: list[Certified[Any]]

    def by_target(self) -> Verdicts:
        """Verdicts by the name of their target, or why there are none."""
        return {
            target.name: f"{target.name} is not judged: {given.reason}"
            if isinstance(given := self.verdicts[target.verdicts], Refusal)
            else given.value
            for target in TARGETS
        }


@gated_asset(
    group_name="release",
    description="Manifest of the certified versions that may be served.",
    ins={
        # A new release needs those of direction, and refuses to be made without. The others are judged by
        # commands of their own. A rollback must be possible just when somebody has closed a gate of theirs.
        **{target.verdicts: verified(target.verdicts, keep_refusals=True) for target in TARGETS},
        "latency": verified("latency_benchmark", keep_refusals=True),
        "options": verified("pinn_weights", keep_refusals=True),
    },
    gates=RELEASE_GATES,
)
def release(
    config: ReleaseConfig,
    latency: Certified[LatencyReport] | Refusal,
    options: Certified[PinnWeights] | Refusal,
    store: dg.ResourceParam[ArtifactStore],
    **verdicts: Certified[Any] | Refusal,
) -> Staged:
    """Compose the manifest, or bring an earlier one back."""
    if config.rollback_to:
        newest: Newest = {**verdicts, "latency_benchmark": latency, "pinn_weights": options}
        earlier, made = _earlier(store, config.rollback_to)
        used = {r.label: r.certificate.sha256 for r in made.inputs}
        _require_none_refused(config.rollback_to, used, newest)
        manifest = bring_back(earlier, used, _known(store, newest))
    else:
        _needed(DIRECTION.verdicts, verdicts[DIRECTION.verdicts])
        measured, network = _needed("latency_benchmark", latency), _needed("pinn_weights", options)
        read = [given for given in verdicts.values() if isinstance(given, Certified)]
        made = _Made(verdicts, measured.certificate, [*read, measured, network])
        manifest = compose_release(store, made.by_target(), network.certificate)
    judged = _needed(DIRECTION.verdicts, made.verdicts[DIRECTION.verdicts])
    return Staged(
        manifest,
        evidence=ReleaseEvidence(store, made.by_target(), made.latency),
        inputs=made.inputs,
        metadata={
            "released": [f"{v.asset} {v.partition or ''} {v.sha256[:12]}".strip() for v in manifest.versions],
            **{f"withheld_{name}": places for name, places in manifest.withheld.items()},
            "passed_over": manifest.passed_over,
            "rolled_back_to": config.rollback_to or "no",
        },
        alias="manifest/release.json",
        pages=completion_pages(store, judged.value),
    )


def _earlier(store: ArtifactStore, sha256: str) -> tuple[Release, _Made]:
    """An earlier release with the verdicts and the measurement that it was made from, each verified."""
    try:
        data, made = store.read("release", None, sha256)
        verdicts: dict[str, Certified[Any] | Refusal] = {}
        for target in TARGETS:
            verdicts[target.verdicts] = Refusal(None, "it was not judged when that release was made")
            if target.verdicts in made.inputs:
                judged, certificate = read_input(store, made, target.verdicts, None)
                verdicts[target.verdicts] = Certified(target.promotion.from_bytes(judged), certificate)
        latency = follow_input(store, made, "latency_benchmark", None)
        options = follow_input(store, made, "pinn_weights", None)
    except NotCertified as error:
        raise dg.Failure(f"cannot go back to release {sha256[:12]}: {error}", allow_retries=False) from error
    read = [given for given in verdicts.values() if isinstance(given, Certified)]
    inputs = [*read, Certified(None, latency), Certified(None, options)]
    return Release.from_bytes(data), _Made(verdicts, latency, inputs)


def _needed(asset: str, given: Certified[T] | Refusal) -> Certified[T]:
    """Refuse to make a new release without it."""
    if isinstance(given, Refusal):
        raise dg.Failure(
            f"{asset} may not be read: {given.reason}. Materialize it again and let its gates pass, or serve "
            "an earlier release: gated-mamba rollback.",
            allow_retries=False,
        )
    return given


def _require_none_refused(sha256: str, used: Mapping[str, str], newest: Newest) -> None:
    """An earlier release may have been made of the very version that was closed since."""
    for asset, given in newest.items():
        if isinstance(given, Refusal) and given.sha256 is not None and used.get(asset) == given.sha256:
            raise dg.Failure(
                f"cannot go back to release {sha256[:12]}: it was made of {asset} {given.sha256[:12]}, which "
                f"may not be read: {given.reason}. Choose another release.",
                allow_retries=False,
            )


def _known(store: ArtifactStore, newest: Newest) -> dict[str, str]:
    """The newest versions by asset, also those that are in the store, but may not be read.

    A gate may have been closed by hand. Automation sees that they are there: who goes back passes them over.
    """
    found = {}
    for asset, given in newest.items():
        sha256 = given.sha256 if isinstance(given, Refusal) else given.certificate.sha256
        if sha256 is None:  # nobody has said which version was refused
            continue
        try:
            found[asset] = store.read(asset, None, sha256)[1].sha256
        except NotCertified:
            continue
    return found
