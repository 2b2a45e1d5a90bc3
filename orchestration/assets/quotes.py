"""Quotes of real options (or simulated ones), and what yesterday's volatilities say about today's prices."""

from collections.abc import Mapping
from datetime import UTC, datetime

import dagster as dg

from ml_assets.chains import OptionChains, open_chains
from ml_assets.chains.walk_forward import OptionWalkForward, Versions, walk_chains
from ml_assets.gates.quotes.gates import QUOTE_GATES, WALK_GATES, QuoteEvidence, WalkEvidence
from ml_assets.pinn import PinnWeights
from ml_assets.pinn.serving.pricer import NetworkPricer
from ml_assets.prices import PriceSourceError
from ml_assets.reports.option_walk import walk_pages, walk_table
from orchestration.assets.networks import shown
from orchestration.gating import Certified, Staged, gated_asset, verified
from orchestration.settings import Settings

__all__ = ["option_quotes", "option_walk_forward"]


@gated_asset(
    group_name="options",
    description="Option chains with the forwards that they imply; SIMULATED unless a folder is set.",
    gates=QUOTE_GATES,
)
def option_quotes(context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings]) -> Staged:
    """Load the folder that the settings name."""
    try:
        chains = open_chains(settings.options, seed=settings.seed)
    except PriceSourceError as error:
        raise dg.Failure(f"option quotes were refused: {error}", allow_retries=False) from error
    for note in chains.report.notes:
        context.log.info(note)
    return Staged(
        chains,
        evidence=QuoteEvidence(datetime.now(UTC).date()),
        metadata={
            "quotes_are": _kind(chains.simulated),
            "source": chains.report.source,
            "quotes": len(chains.quotes),
            "days": len(chains.days),
            "first_day": str(chains.days.min().date()),
            "last_day": str(chains.days.max().date()),
            "cleaning": chains.report.summary(),
            "notes": list(chains.report.notes),
            "forwards": len(chains.forwards),
            "expiries_refused": chains.refusals,
            "last_forwards": dg.MetadataValue.md(chains.forwards.tail(10).to_markdown(index=False)),
        },
    )


@gated_asset(
    group_name="options",
    description="Each day's option prices forecast from the day before, priced by the certified network.",
    ins={"quotes": verified("option_quotes"), "network": verified("pinn_weights")},
    gates=WALK_GATES,
)
def option_walk_forward(quotes: Certified[OptionChains], network: Certified[PinnWeights]) -> Staged:
    """Forecast, price, score."""
    versions = Versions(quotes.certificate.sha256, network.certificate.sha256)
    pricer = NetworkPricer(network.value)
    try:
        walk = walk_chains(quotes.value, pricer, versions)
    except ValueError as error:
        raise dg.Failure(str(error), allow_retries=False) from error
    pages = walk_pages(walk, pricer)
    return Staged(
        walk,
        evidence=WalkEvidence(quotes.value, versions),
        inputs=[quotes, network],
        metadata=_metadata(walk, pricer, pages),
        pages=pages,
    )


def _metadata(
    walk: OptionWalkForward, pricer: NetworkPricer, pages: Mapping[str, bytes]
) -> dict[str, object]:
    mean, error, won = walk.gain()
    pictures = {f"error_by_{name.rpartition('_')[2]}": picture for name, picture in shown(pages).items()}
    return {
        "quotes_are": _kind(walk.simulated),
        "source": walk.source,
        "days": walk.days,
        "options": len(walk.forecasts),
        "models": dg.MetadataValue.md(walk_table(walk)),
        **pictures,
        "smile_gain": f"${mean:.4f} a day against sticky strike, standard error ${error:.4f}, {won} days won",
        "network_share": pricer.network_share,
        "network_error": pricer.largest_error,
        "note": "measures the forecast of volatility: the network's own error stands beside it",
    }


def _kind(simulated: bool) -> str:
    return "SIMULATED" if simulated else "real"
