"""Fleets judged by the product's rule and by its gates, for any target."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ml_assets.forecasts import judging
from ml_assets.forecasts.release import Release, Verdicts
from ml_assets.forecasts.succession import Champion, Served
from ml_assets.forecasts.target import Target
from ml_assets.forecasts.targets import DIRECTION, TARGETS, VARIANCE
from ml_assets.forecasts.verdicts import Judged, Promotion, PromotionRule
from ml_assets.gates.core import GateResult, by_name
from ml_assets.gates.fleet.release import RELEASE_GATES, ReleaseEvidence
from ml_assets.gates.fleet.verdicts import VERDICT_GATES, VerdictEvidence
from ml_assets.storage import ArtifactStore, Certificate, GateVerdict, certify

Reports = Mapping[str, Judged | str]
HORIZONS = {target.name: (1, 5) if target is VARIANCE else (1,) for target in TARGETS}
GOOD = GateVerdict("gate", True, "looked at it", {"checked": 1})


def decide(
    reports: Reports,
    rule: PromotionRule | None = None,
    champions: Iterable[Served] = (),
    target: Target = DIRECTION,
) -> Promotion:
    """Judge a fleet, controls included as they are given; the verdicts survive their encoding."""
    promotion = judging.decide(target, reports, HORIZONS[target.name], rule, champions)
    back = target.promotion.from_bytes(promotion.to_bytes())
    assert back == promotion
    return back


def gate(
    name: str,
    reports: Reports,
    promotion: Promotion,
    *,
    rule: PromotionRule | None = None,
    before: Sequence[Served] = (),
    target: Target = DIRECTION,
    horizons: Sequence[int] = (),
) -> GateResult:
    """Run one gate on verdicts."""
    evidence = VerdictEvidence(
        target.name, reports, horizons or HORIZONS[target.name], rule or target.rule, before
    )
    return by_name(VERDICT_GATES)[name].run(promotion, evidence)


def all_gates(reports: Reports, promotion: Promotion, **given: object) -> bool:
    """Whether every gate on verdicts passes."""
    return all(gate(g.name, reports, promotion, **given).passed for g in VERDICT_GATES)  # type: ignore[arg-type]


def release_gates(
    store: ArtifactStore, verdicts: Verdicts, latency: Certificate, release: Release
) -> dict[str, GateResult]:
    """Run the gates on a release."""
    evidence = ReleaseEvidence(store, verdicts, latency)
    return {g.name: g.run(release, evidence) for g in RELEASE_GATES}


def serving(promotion: Promotion, symbol: str = "A", horizon: int = 1) -> Champion | None:
    """The champion of a place."""
    return promotion.champion(symbol, horizon)


def publish(
    store: ArtifactStore,
    asset: str,
    data: bytes,
    inputs: dict[str, str] | None = None,
    partition: str | None = None,
) -> Certificate:
    """Publish bytes under a certificate whose only gate has passed."""
    certificate = certify(
        data, asset=asset, partition=partition, kind="toy", extension=".bin", gates=[GOOD], code_version="1",
        inputs=inputs,
    )  # fmt: skip
    return store.publish(data, certificate)


def damage(store: ArtifactStore, certificate: Certificate) -> None:
    """Overwrite the bytes of a version."""
    Path(store.location(certificate)).write_bytes(b"{}")
