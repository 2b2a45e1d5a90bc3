"""Quotes of real options (or simulated ones), and what yesterday's volatilities say about today's prices."""

from collections.abc import Mapping
from datetime import UTC, datetime

import dagster as dg

from ml_assets.chains import OptionChains, open_chains
from ml_assets.chains.walk_forward import OptionWalkForward, Versions, walk_chains
from ml_assets.gates.quotes.chains import (
    accounting_gate,
    no_arbitrage_gate,
    no_future_gate,
    parity_gate,
    schema_gate,
)
from ml_assets.gates.quotes.walk_forward import (
    certified_versions,
    every_day_scored,
    figures_recomputed,
    no_look_ahead,
)
from ml_assets.pinn import PinnWeights
from ml_assets.pinn.serving.pricer import NetworkPricer
from ml_assets.prices import PriceSourceError
from ml_assets.reports.option_walk import walk_pages, walk_table
from ml_assets.reports.pictures import markdown_pictures
from orchestration.gating import Certified, Staged, gated_asset, verified
from orchestration.settings import Settings

__all__ = ["option_quotes", "option_walk_forward"]


@gated_asset(
    group_name="options",
    description="Option chains with the forwards that they imply; SIMULATED unless a folder is set.",
    gates={
        "schema": "Two-sided quotes of living options, each once and in order.",
        "accounting": "Every row kept or dropped, every expiry fitted or refused, each for a stated reason.",
        "parity": "Calls less puts lie on a line in the strike, within the spread.",
        "no_arbitrage": "Neighboring strikes leave no arbitrage beyond what the spread allows.",
        "no_future": "No quote is of a day to come.",
    },
)
def option_quotes(context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings]) -> Staged:
    """Load the folder that the settings name."""
    try:
        chains = open_chains(settings.options, seed=settings.seed)
    except PriceSourceError as error:
        raise dg.Failure(f"option quotes were refused: {error}", allow_retries=False) from error
    for note in chains.report.notes:
        context.log.info(note)
    today = datetime.now(UTC).date()
    return Staged(
        chains,
        gates={
            "schema": schema_gate,
            "accounting": accounting_gate,
            "parity": parity_gate,
            "no_arbitrage": no_arbitrage_gate,
            "no_future": lambda c: no_future_gate(c, today=today),
        },
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
    gates={
        "no_look_ahead": "Forecasts stay when the quotes of their own day and of all later ones are redrawn.",
        "every_day_scored": "Every option of the rules scored once on every day, thirty days at least.",
        "figures_recomputed": "Every figure computed again from the quotes, by the closed form.",
        "certified_versions": "The quotes and the network reported are the certified ones that were read.",
    },
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
        gates={
            "no_look_ahead": lambda w: no_look_ahead(w, quotes.value),
            "every_day_scored": lambda w: every_day_scored(w, quotes.value),
            "figures_recomputed": lambda w: figures_recomputed(w, quotes.value),
            "certified_versions": lambda w: certified_versions(w, versions),
        },
        inputs=[quotes, network],
        metadata=_shown(walk, pricer, pages),
        pages=pages,
    )


def _shown(walk: OptionWalkForward, pricer: NetworkPricer, pages: Mapping[str, bytes]) -> dict[str, object]:
    mean, error, won = walk.gain()
    pictures = {
        f"error_by_{name.rpartition('_')[2]}": picture for name, picture in markdown_pictures(pages).items()
    }
    return {
        "quotes_are": _kind(walk.simulated),
        "source": walk.source,
        "days": walk.days,
        "options": len(walk.forecasts),
        "models": dg.MetadataValue.md(walk_table(walk)),
        **{name: dg.MetadataValue.md(picture) for name, picture in pictures.items()},
        "smile_gain": f"${mean:.4f} a day against sticky strike, standard error ${error:.4f}, {won} days won",
        "network_share": pricer.network_share,
        "network_error": pricer.largest_error,
        "note": "measures the forecast of volatility: the network's own error stands beside it",
    }


def _kind(simulated: bool) -> str:
    return "SIMULATED" if simulated else "real"
