"""The gates of option quotes and of the walk over them. Assets and docs take these lists."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from ml_assets.chains import OptionChains
from ml_assets.chains.walk_forward import OptionWalkForward, Versions
from ml_assets.gates.core import Gate
from ml_assets.gates.quotes.chains import accounting, no_arbitrage, no_future, parity, schema
from ml_assets.gates.quotes.walk_forward import (
    certified_versions,
    every_day_scored,
    figures_recomputed,
    no_look_ahead,
)

__all__ = ["QUOTE_GATES", "WALK_GATES", "QuoteEvidence", "WalkEvidence"]


@dataclass(frozen=True)
class QuoteEvidence:
    """What quotes are judged by: the last day that may occur."""

    today: dt.date


QUOTE_GATES: tuple[Gate[OptionChains, QuoteEvidence], ...] = (
    Gate("schema", "Two-sided quotes of living options, each once and in order.", lambda c, _: schema(c)),
    Gate(
        "accounting",
        "Every row kept or dropped, every expiry fitted or refused, each for a stated reason.",
        lambda c, _: accounting(c),
    ),
    Gate("parity", "Calls less puts lie on a line in the strike, within the spread.", lambda c, _: parity(c)),
    Gate(
        "no_arbitrage",
        "Neighboring strikes leave no arbitrage beyond what the spread allows.",
        lambda c, _: no_arbitrage(c),
    ),
    Gate("no_future", "No quote is of a day to come.", lambda c, e: no_future(c, today=e.today)),
)
"""Gates of ``option_quotes``."""


@dataclass(frozen=True)
class WalkEvidence:
    """What a walk is judged by.

    Parameters
    ----------
    chains : OptionChains
        The certified quotes that it walked over.
    read : Versions
        The versions of quotes and network that were read.
    """

    chains: OptionChains
    read: Versions


WALK_GATES: tuple[Gate[OptionWalkForward, WalkEvidence], ...] = (
    Gate(
        "no_look_ahead",
        "Forecasts stay when the quotes of their own day and of all later ones are redrawn.",
        lambda w, e: no_look_ahead(w, e.chains),
    ),
    Gate(
        "every_day_scored",
        "Every option of the rules scored once on every day, thirty days at least.",
        lambda w, e: every_day_scored(w, e.chains),
    ),
    Gate(
        "figures_recomputed",
        "Every figure computed again from the quotes, by the closed form.",
        lambda w, e: figures_recomputed(w, e.chains),
    ),
    Gate(
        "certified_versions",
        "The quotes and the network reported are the certified ones that were read.",
        lambda w, e: certified_versions(w, e.read),
    ),
)
"""Gates of ``option_walk_forward``."""
