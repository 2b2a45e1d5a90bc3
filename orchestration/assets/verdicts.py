"""The verdict over the fleet: one asset per target, made by one factory."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import dagster as dg

from ml_assets.forecasts.controls import asked_for
from ml_assets.forecasts.judging import decide
from ml_assets.forecasts.release import champions_of, pin_champions
from ml_assets.forecasts.target import Target
from ml_assets.forecasts.targets import DIRECTION, RELATIVE, VARIANCE
from ml_assets.forecasts.verdicts import Judged, Promotion, PromotionRule, Verdict
from ml_assets.gates.fleet.verdicts import VERDICT_GATES, VerdictEvidence
from ml_assets.storage import ArtifactStore, input_key
from orchestration.gating import Certified, Refusal, Staged, gated_asset, verified
from orchestration.partitions import tried_elsewhere
from orchestration.settings import Settings

__all__ = ["horizons_of", "promotion", "relative_promotion", "verdict_asset", "volatility_promotion"]

Reports = Mapping[str, Certified[Any] | Refusal]


def horizons_of(target: Target, settings: Settings) -> tuple[int, ...]:
    """Days ahead at which a target is forecast."""
    return settings.volatility_horizons if target is VARIANCE else (settings.horizon,)


def _rule_of(target: Target, settings: Settings) -> PromotionRule:
    rule = replace(target.rule, false_discovery_rate=settings.false_discovery_rate)
    # The setting is an accuracy: it means nothing where a gain of QLIKE is held against the bar.
    return replace(rule, quarantine=settings.quarantine_accuracy) if target.too_good == "level" else rule


def verdict_asset(target: Target, group: str, description: str) -> dg.AssetsDefinition:
    """Make the asset that judges a target over the fleet.

    Parameters
    ----------
    target
    group
        Group of the asset in the UI.
    description
    """

    @gated_asset(
        name=target.verdicts,
        group_name=group,
        description=description,
        ins={"reports": verified(target.report, keep_refusals=True)},
        gates=VERDICT_GATES,
    )
    def judge(
        context: dg.AssetExecutionContext,
        reports: dict[str, Certified[Any] | Refusal],
        settings: dg.ResourceParam[Settings],
        store: dg.ResourceParam[ArtifactStore],
    ) -> Staged:
        attempted = _attempted(target, reports, partial(tried_elsewhere, context.instance, target))
        judged = {symbol: _judged(target, report, symbol) for symbol, report in attempted.items()}
        rule, horizons = _rule_of(target, settings), horizons_of(target, settings)
        before = champions_of(store, target)
        verdicts = decide(target, judged, horizons, rule, before)
        pin_champions(store, target, verdicts)  # before anybody may rely on them
        return Staged(
            verdicts,
            evidence=VerdictEvidence(target.name, judged, horizons, rule, before),
            inputs=[r for r in attempted.values() if isinstance(r, Certified)],
            metadata={
                "verdicts": dg.MetadataValue.md(_table(verdicts)),
                "void": verdicts.void or "no: the controls came out as they must",
                "in_service": ", ".join(f"{s} ({h} d)" for s, h in verdicts.promoted())
                or "no model with skill",
                # A symbol that was not run again is judged by its last report: its age must be seen.
                "reports_made": {s: _age(r) for s, r in attempted.items()},
            },
        )

    return judge


def _attempted(target: Target, reports: Reports, elsewhere: Callable[[str], bool]) -> Reports:
    """Keep what a verdict is about: its own controls, and the symbols of which its target was tried."""
    if not reports:
        raise dg.Failure(
            f"no symbol has been attempted yet; materialize {target.report} first", allow_retries=False
        )
    wanted = {s: reports[s] for s in asked_for(reports, target.controls)}
    return {s: r for s, r in wanted.items() if not isinstance(r, Refusal) or not elsewhere(s)}


def _judged(target: Target, report: Certified[Any] | Refusal, symbol: str) -> Judged[Any] | str:
    """A report with its version and that of the weights it scored, or why there is none."""
    if isinstance(report, Refusal):
        return report.reason
    certificate = report.certificate
    return Judged(report.value, certificate.sha256, certificate.inputs[input_key(target.weights, symbol)])


def _age(report: Certified[Any] | Refusal) -> str:
    if isinstance(report, Refusal):
        return "no certified report"
    return f"{report.certificate.created_at[:19]} version {report.certificate.sha256[:12]}"


def _table(promotion: Promotion) -> str:
    rows = [
        "| symbol | days ahead | verdict | score | best baseline | p | adjusted p | in service | reason |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    return "\n".join([*rows, *(f"| {' | '.join(_cells(v))} |" for v in promotion.everyone)])


def _cells(v: Verdict) -> tuple[str, ...]:
    level = "-" if v.level is None else f"{v.level:.4f}"
    baseline = "-" if v.baseline_level is None else f"{v.best_baseline} {v.baseline_level:.4f}"
    figures = level, baseline, f"{v.p_value:.4f}", f"{v.adjusted_p:.4f}"
    return v.symbol, str(v.horizon), v.verdict, *figures, v.service, v.reason


promotion = verdict_asset(
    DIRECTION,
    "release",
    "Promote, retrain, reject or quarantine: one verdict per attempted symbol; who serves it.",
)
volatility_promotion = verdict_asset(
    VARIANCE,
    "volatility",
    "One verdict per symbol and horizon, against the best baseline, over the whole fleet.",
)
relative_promotion = verdict_asset(
    RELATIVE,
    "relative",
    "One verdict per symbol on whether its model knows who will do better than the median stock.",
)
