"""What happens without anyone watching."""

import dagster as dg

from ml_assets.prices import PriceSource
from orchestration.partitions import SYMBOLS
from orchestration.settings import Settings

__all__ = ["new_symbols"]


@dg.sensor(
    job_name="symbol_pipeline",
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Adds a partition and requests its first run when the price source offers a new symbol.",
)
def new_symbols(
    context: dg.SensorEvaluationContext,
    source: dg.ResourceParam[PriceSource],
    settings: dg.ResourceParam[Settings],
) -> dg.SensorResult | dg.SkipReason:
    """Compare what the source offers with the partitions that exist."""
    assert SYMBOLS.name is not None
    known = set(context.instance.get_dynamic_partitions(SYMBOLS.name))
    new = [s for s in settings.wanted_symbols(source.symbols()) if s not in known]
    if not new:
        return dg.SkipReason(f"no new symbol; {len(known)} known")
    return dg.SensorResult(
        run_requests=[dg.RunRequest(run_key=f"first-{symbol}", partition_key=symbol) for symbol in new],
        dynamic_partitions_requests=[SYMBOLS.build_add_request(new)],
    )
