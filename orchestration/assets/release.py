"""The verdict over the fleet and the manifest of what may be served."""

from collections.abc import Mapping
from functools import partial
from typing import Any, TypeVar

import dagster as dg

from ml_assets.forecasts.controls import DIRECTION_CONTROLS
from ml_assets.forecasts.direction import Promotion, PromotionRule, WalkForwardReport, decide
from ml_assets.forecasts.release import Release, bring_back, champions_of, compose_release, pin_champions
from ml_assets.forecasts.variance import VolatilityPromotion
from ml_assets.gates.fleet.fleet import controls_decide, every_symbol_judged, rule_applied, succession_sound
from ml_assets.gates.fleet.release import (
    every_version_certified,
    judged_version,
    measured_version,
    only_promoted,
)
from ml_assets.pinn import LatencyReport, PinnWeights
from ml_assets.reports.completion import completion_pages
from ml_assets.storage import ArtifactStore, Certificate, NotCertified, follow_input, read_input
from orchestration.assets._champions import as_judged, attempts
from orchestration.gating import Certified, Refusal, Staged, gated_asset, verified
from orchestration.partitions import only_variance
from orchestration.settings import Settings

__all__ = ["ReleaseConfig", "promotion", "release"]

T = TypeVar("T")
Inputs = tuple[Certified[Any], ...]
Newest = Mapping[str, Certified[Any] | Refusal]


class ReleaseConfig(dg.Config):
    """Run configuration of `release`."""

    rollback_to: str = ""
    """Hash of an earlier release to serve again; empty: compose a new one from the verdicts."""


@gated_asset(
    group_name="release",
    description="Promote, retrain, reject or quarantine: one verdict per attempted symbol; who serves it.",
    ins={"reports": verified("walk_forward_report", keep_refusals=True)},
    gates={
        "every_symbol_judged": "One verdict for every symbol that was attempted, the failed ones included.",
        "rule_applied": "Every verdict derived anew from its report by the rule in force.",
        "controls_decide": "A random walk fails and a planted edge passes, or no new model may serve.",
        "succession_sound": "Who serves has passed, now or before, and beat whom it replaced.",
    },
)
def promotion(
    context: dg.AssetExecutionContext,
    reports: dict[str, Certified[WalkForwardReport] | Refusal],
    settings: dg.ResourceParam[Settings],
    store: dg.ResourceParam[ArtifactStore],
) -> Staged:
    """Judge the fleet."""
    elsewhere = partial(only_variance, context.instance)
    reports = attempts(reports, DIRECTION_CONTROLS, elsewhere, "walk_forward_report")
    found = as_judged(reports, "mamba_weights")
    rule = PromotionRule(
        false_discovery_rate=settings.false_discovery_rate, quarantine_accuracy=settings.quarantine_accuracy
    )
    before = {one.symbol: one.champion for one in champions_of(store, Promotion)}
    verdict = decide(found, rule, before)
    pin_champions(store, verdict)  # before anybody may rely on them
    return Staged(
        verdict,
        gates={
            "every_symbol_judged": lambda p: every_symbol_judged(list(reports), p),
            "rule_applied": lambda p: rule_applied(found, p, rule),
            "controls_decide": controls_decide,
            "succession_sound": lambda p: succession_sound(found, p, before),
        },
        inputs=[r for r in reports.values() if isinstance(r, Certified)],
        metadata={
            "verdicts": dg.MetadataValue.md(_table(verdict)),
            "void": verdict.void or "no: the controls came out as they must",
            "in_service": ", ".join(verdict.promoted()) or "no model with skill",
            # A symbol that was not run again is judged by its last certified report: its age must be seen.
            "reports_made": {s: _age(r) for s, r in reports.items()},
        },
    )


@gated_asset(
    group_name="release",
    description="Manifest of the certified versions that may be served.",
    ins={
        # A new release needs them, and refuses to be made without. A rollback must be possible just when
        # somebody has closed a gate of theirs.
        "verdicts": verified("promotion", keep_refusals=True),
        "latency": verified("latency_benchmark", keep_refusals=True),
        "options": verified("pinn_weights", keep_refusals=True),
        # Judged by a command of its own: a help, but no need.
        "variance": verified("volatility_promotion", keep_refusals=True),
    },
    gates={
        "every_version_certified": "Each version released, or passed over, is read through its certificate.",
        "only_promoted": "Released symbols are exactly those with a model in service.",
        "judged_version": "Released weights are the very version whose report was judged.",
        "measured_version": "The option network released is the one whose latency was measured.",
    },
)
def release(
    config: ReleaseConfig,
    verdicts: Certified[Promotion] | Refusal,
    latency: Certified[LatencyReport] | Refusal,
    options: Certified[PinnWeights] | Refusal,
    variance: Certified[VolatilityPromotion] | Refusal,
    store: dg.ResourceParam[ArtifactStore],
) -> Staged:
    """Compose the manifest, or bring an earlier one back."""
    inputs: Inputs
    if config.rollback_to:
        newest: Newest = {
            Promotion.kind: verdicts,
            "latency_benchmark": latency,
            "pinn_weights": options,
            VolatilityPromotion.kind: variance,
        }
        earlier, verdicts, latency_made, variance, inputs = _earlier(store, config.rollback_to)
        used = {r.label: r.certificate.sha256 for r in inputs}
        _require_none_refused(config.rollback_to, used, newest)
        manifest = bring_back(earlier, used, _known(store, newest))
    else:
        verdicts, latency = _needed(Promotion.kind, verdicts), _needed("latency_benchmark", latency)
        options = _needed("pinn_weights", options)
        why = (
            f"variance is not judged: {variance.reason}" if isinstance(variance, Refusal) else variance.value
        )
        manifest = compose_release(store, verdicts.value, options.certificate, why)
        latency_made, inputs = latency.certificate, (verdicts, latency, options)
        inputs = inputs if isinstance(variance, Refusal) else (*inputs, variance)
    judged = verdicts.value
    judged_variance = None if isinstance(variance, Refusal) else variance.value
    return Staged(
        manifest,
        gates={
            "every_version_certified": lambda r: every_version_certified(store, r),
            "only_promoted": lambda r: only_promoted(judged, r, judged_variance),
            "judged_version": lambda r: judged_version(store, judged, r, judged_variance),
            "measured_version": lambda r: measured_version(latency_made, r),
        },
        inputs=inputs,
        metadata={
            "released": [f"{v.asset} {v.partition or ''} {v.sha256[:12]}".strip() for v in manifest.versions],
            "withheld": manifest.withheld,
            "withheld_variance": manifest.withheld_variance,
            "passed_over": manifest.passed_over,
            "rolled_back_to": config.rollback_to or "no",
        },
        alias="manifest/release.json",
        pages=completion_pages(store, judged),
    )


def _earlier(
    store: ArtifactStore, sha256: str
) -> tuple[Release, Certified[Promotion], Certificate, Certified[VolatilityPromotion] | Refusal, Inputs]:
    """An earlier release with the verdicts and the measurement that it was made from, each verified."""
    try:
        data, made = store.read("release", None, sha256)
        judged, judged_made = read_input(store, made, "promotion", None)
        latency = follow_input(store, made, "latency_benchmark", None)
        options = follow_input(store, made, "pinn_weights", None)
        variance = _earlier_variance(store, made)
    except NotCertified as error:
        raise dg.Failure(f"cannot go back to release {sha256[:12]}: {error}", allow_retries=False) from error
    verdicts = Certified(Promotion.from_bytes(judged), judged_made)
    inputs: Inputs = (verdicts, Certified(None, latency), Certified(None, options))
    inputs = inputs if isinstance(variance, Refusal) else (*inputs, variance)
    return Release.from_bytes(data), verdicts, latency, variance, inputs


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


def _earlier_variance(store: ArtifactStore, made: Certificate) -> Certified[VolatilityPromotion] | Refusal:
    if VolatilityPromotion.kind not in made.inputs:
        return Refusal(None, "it was not judged when that release was made")
    data, certificate = read_input(store, made, VolatilityPromotion.kind, None)
    return Certified(VolatilityPromotion.from_bytes(data), certificate)


def _age(report: Certified[WalkForwardReport] | Refusal) -> str:
    if isinstance(report, Refusal):
        return "no certified report"
    return f"{report.certificate.created_at[:19]} version {report.certificate.sha256[:12]}"


def _table(promotion: Promotion) -> str:
    rows = [
        "| symbol | verdict | accuracy | best baseline | p | in service | reason |",
        "|---|---|---|---|---|---|---|",
    ]
    for v in [*promotion.verdicts, *promotion.controls]:
        accuracy = "-" if v.accuracy is None else f"{v.accuracy:.1%}"
        baseline = "-" if v.baseline_accuracy is None else f"{v.baseline} {v.baseline_accuracy:.1%}"
        cells = (v.symbol, v.verdict, accuracy, baseline, f"{v.p_value:.3f}", v.service, v.reason)
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)
