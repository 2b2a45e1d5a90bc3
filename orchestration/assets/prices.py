"""Prices of one symbol: loaded, cleaned, certified."""

from datetime import UTC, datetime

import dagster as dg

from ml_assets.gates.data.prices import PRICE_GATES, PriceEvidence
from ml_assets.prices import PriceFileError, PriceHistory, PriceSource, PriceSourceError, compare_histories
from ml_assets.storage import ArtifactStore, NotCertified
from orchestration.gating import Staged, gated_asset
from orchestration.partitions import SYMBOLS
from orchestration.settings import Settings

__all__ = ["raw_prices"]


@gated_asset(
    partitions_def=SYMBOLS,
    group_name="prices",
    description="Daily prices as cleaned; each row of the source is accounted for.",
    gates=PRICE_GATES,
)
def raw_prices(
    context: dg.AssetExecutionContext,
    source: dg.ResourceParam[PriceSource],
    settings: dg.ResourceParam[Settings],
    store: dg.ResourceParam[ArtifactStore],
) -> Staged:
    """Load one symbol; compare with the version before, since vendors restate history."""
    symbol = context.partition_key
    try:
        prices = source.load(symbol)
    except (PriceFileError, PriceSourceError) as error:
        raise dg.Failure(f"{symbol} was refused: {error}", allow_retries=False) from error
    if prices.symbol != symbol:
        raise dg.Failure(
            f"partition {symbol!r} is not how {prices.symbol!r} is written: the same prices would be judged "
            f"twice. Delete this partition and use {prices.symbol!r}",
            allow_retries=False,
        )
    changed, restated = _compare_with_last_version(store, prices)
    context.log.info(f"{symbol}: {restated}")
    return Staged(
        prices,
        evidence=PriceEvidence(
            datetime.now(UTC).date(), settings.minimum_rows, settings.accepted_days(symbol)
        ),
        metadata={
            "rows": len(prices.frame),
            "first_day": str(prices.frame.index[0].date()),
            "last_day": str(prices.frame.index[-1].date()),
            "columns": ", ".join(prices.frame.columns),
            "cleaning": prices.report.summary(),
            "history_changed": changed,
            "history_against_last_version": restated,
            "last_rows": dg.MetadataValue.md(prices.frame.tail(5).to_markdown()),
        },
    )


def _compare_with_last_version(store: ArtifactStore, prices: PriceHistory) -> tuple[bool, str]:
    """Say whether rows that were published before have changed, and how."""
    try:
        if store.current("raw_prices", prices.symbol) is None:
            return False, "first version of this symbol"
        data, _ = store.read("raw_prices", prices.symbol)
    except NotCertified as error:
        return True, f"the version before cannot be compared: {error.reason}"
    restatement = compare_histories(PriceHistory.from_bytes(data), prices)
    return restatement.changed, restatement.message
