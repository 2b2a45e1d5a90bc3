"""The verdict over the fleet and the manifest of what may be served."""

import dagster as dg

from ml_assets.gates.fleet import every_symbol_judged, rule_applied
from ml_assets.gates.release import every_version_certified, judged_version, measured_version, only_promoted
from ml_assets.pinn import LatencyReport, PinnWeights
from ml_assets.release import compose_release
from ml_assets.skill import Promotion, PromotionRule, WalkForwardReport, decide
from ml_assets.storage import ArtifactStore
from orchestration.gating import Certified, Refusal, Staged, gated_asset, verified
from orchestration.settings import Settings

__all__ = ["promotion", "release"]


@gated_asset(
    group_name="release",
    description="Promote, retrain, reject or quarantine: one verdict per attempted symbol, with its reason.",
    ins={"reports": verified("walk_forward_report", keep_refusals=True)},
    gates={
        "every_symbol_judged": "One verdict for every symbol that was attempted, the failed ones included.",
        "rule_applied": "Every verdict derived anew from its report by the rule in force.",
    },
)
def promotion(
    reports: dict[str, Certified[WalkForwardReport] | Refusal],
    settings: dg.ResourceParam[Settings],
) -> Staged:
    """Judge the fleet."""
    if not reports:
        raise dg.Failure(
            "no symbol has been attempted yet; materialize walk_forward_report first", allow_retries=False
        )
    judged = {s: r.reason if isinstance(r, Refusal) else r.value for s, r in reports.items()}
    rule = PromotionRule(
        false_discovery_rate=settings.false_discovery_rate, quarantine_accuracy=settings.quarantine_accuracy
    )
    verdict = decide(judged, rule)
    return Staged(
        verdict,
        gates={
            "every_symbol_judged": lambda p: every_symbol_judged(list(reports), p),
            "rule_applied": lambda p: rule_applied(judged, p, rule),
        },
        inputs=[r for r in reports.values() if isinstance(r, Certified)],
        metadata={
            "verdicts": dg.MetadataValue.md(_table(verdict)),
            "promoted": len(verdict.promoted()),
            # A symbol that was not run again is judged by its last certified report: its age must be seen.
            "reports_made": {s: _age(r) for s, r in reports.items()},
        },
    )


@gated_asset(
    group_name="release",
    description="Manifest of the certified versions that may be served.",
    ins={
        "verdicts": verified("promotion"),
        "latency": verified("latency_benchmark"),
        "options": verified("pinn_weights"),
    },
    gates={
        "every_version_certified": "Each released artifact is read through its certificate.",
        "only_promoted": "Released symbols are exactly the promoted ones.",
        "judged_version": "Released weights are the very version whose report was judged.",
        "measured_version": "The option network released is the one whose latency was measured.",
    },
)
def release(
    verdicts: Certified[Promotion],
    latency: Certified[LatencyReport],
    options: Certified[PinnWeights],
    store: dg.ResourceParam[ArtifactStore],
) -> Staged:
    """Compose the manifest."""
    manifest = compose_release(store, verdicts.value, verdicts.certificate, options.certificate)
    return Staged(
        manifest,
        gates={
            "every_version_certified": lambda r: every_version_certified(store, r),
            "only_promoted": lambda r: only_promoted(verdicts.value, r),
            "judged_version": lambda r: judged_version(store, verdicts.certificate, r),
            "measured_version": lambda r: measured_version(latency.certificate, r),
        },
        inputs=[verdicts, latency, options],
        metadata={
            "released": [f"{v.asset} {v.partition or ''} {v.sha256[:12]}".strip() for v in manifest.versions],
            "withheld": manifest.withheld,
        },
        alias="manifest/release.json",
    )


def _age(report: Certified[WalkForwardReport] | Refusal) -> str:
    if isinstance(report, Refusal):
        return "no certified report"
    return f"{report.certificate.created_at[:19]} version {report.certificate.sha256[:12]}"


def _table(promotion: Promotion) -> str:
    rows = ["| symbol | verdict | accuracy | best baseline | p | reason |", "|---|---|---|---|---|---|"]
    for v in promotion.verdicts:
        accuracy = "-" if v.accuracy is None else f"{v.accuracy:.1%}"
        baseline = "-" if v.baseline_accuracy is None else f"{v.baseline} {v.baseline_accuracy:.1%}"
        rows.append(f"| {v.symbol} | {v.verdict} | {accuracy} | {baseline} | {v.p_value:.3f} | {v.reason} |")
    return "\n".join(rows)
