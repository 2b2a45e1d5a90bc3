"""The verdict over the fleet of variance models."""

from functools import partial

import dagster as dg

from ml_assets.forecasts.controls import VARIANCE_CONTROLS
from ml_assets.forecasts.release import champions_of, pin_champions
from ml_assets.forecasts.variance import (
    VolatilityPromotion,
    VolatilityReport,
    VolatilityRule,
    decide_volatility,
)
from ml_assets.gates.fleet.volatility_fleet import (
    every_horizon_judged,
    variance_controls_decide,
    variance_rule_applied,
    variance_succession_sound,
)
from ml_assets.storage import ArtifactStore
from orchestration.assets._champions import as_judged, attempts
from orchestration.gating import Certified, Refusal, Staged, gated_asset, verified
from orchestration.partitions import only_direction
from orchestration.settings import Settings

__all__ = ["volatility_promotion"]


@gated_asset(
    group_name="volatility",
    description="One verdict per symbol and horizon, against the best baseline, over the whole fleet.",
    ins={"reports": verified("volatility_report", keep_refusals=True)},
    gates={
        "every_symbol_judged": "One verdict for every symbol and horizon attempted, the failed ones "
        "included.",
        "rule_applied": "Every verdict derived anew from its report by the rule in force.",
        "controls_decide": "Constant variance fails and a planted change of it passes, or nothing new does.",
        "succession_sound": "Who serves has passed, now or before, and beat whom it replaced.",
    },
)
def volatility_promotion(
    context: dg.AssetExecutionContext,
    reports: dict[str, Certified[VolatilityReport] | Refusal],
    settings: dg.ResourceParam[Settings],
    store: dg.ResourceParam[ArtifactStore],
) -> Staged:
    """Judge the fleet."""
    elsewhere = partial(only_direction, context.instance)
    reports = attempts(reports, VARIANCE_CONTROLS, elsewhere, "volatility_report")
    found = as_judged(reports, "volatility_weights")
    rule = VolatilityRule(false_discovery_rate=settings.false_discovery_rate)
    horizons = settings.volatility_horizons
    before = champions_of(store, VolatilityPromotion)
    verdicts = decide_volatility(found, horizons, rule, before)
    pin_champions(store, verdicts)  # before anybody may rely on them
    return Staged(
        verdicts,
        gates={
            "every_symbol_judged": lambda p: every_horizon_judged(list(reports), horizons, p),
            "rule_applied": lambda p: variance_rule_applied(found, p, rule),
            "controls_decide": variance_controls_decide,
            "succession_sound": lambda p: variance_succession_sound(found, p, before),
        },
        inputs=[r for r in reports.values() if isinstance(r, Certified)],
        metadata={
            "verdicts": dg.MetadataValue.md(_table(verdicts)),
            "void": verdicts.void or "no: the controls came out as they must",
            "in_service": [f"{symbol} ({h} d)" for symbol, h in verdicts.promoted()],
        },
    )


def _table(promotion: VolatilityPromotion) -> str:
    rows = [
        "| symbol | days ahead | verdict | QLIKE gain | best baseline | p | adjusted p | in service "
        "| reason |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for v in (*promotion.verdicts, *promotion.controls):
        gain = "-" if v.gain is None else f"{v.gain:+.4f}"
        cells = (v.symbol, str(v.horizon), v.verdict, gain, v.best_baseline or "-", f"{v.p_value:.4f}",
                 f"{v.adjusted_p:.4f}", v.service, v.reason)  # fmt: skip
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)
