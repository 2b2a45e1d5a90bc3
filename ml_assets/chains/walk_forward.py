"""The walk forward over option chains: every day forecast from the day before, priced and scored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
import pandas as pd

from ml_assets.chains._parquet import decode, encode, frame_of, plain_columns
from ml_assets.chains.chains import OptionChains
from ml_assets.chains.figures import Pricer, score_forecasts
from ml_assets.chains.forecasts import forecast_walk
from ml_assets.chains.panel import WalkRules

__all__ = ["OptionWalkForward", "Versions", "walk_chains"]


@dataclass(frozen=True)
class Versions:
    """Which certified versions a walk was computed from, by sha256."""

    quotes: str
    network: str


@dataclass(frozen=True, eq=False)
class OptionWalkForward:
    """Forecasts of option prices for the next day, and what they are worth.

    Parameters
    ----------
    forecasts : pandas.DataFrame
        As :func:`ml_assets.chains.forecasts.forecast_walk` returns them.
    figures : pandas.DataFrame
        As :func:`ml_assets.chains.figures.score_forecasts` returns them.
    source : str
        Where the quotes come from.
    simulated : bool
        Whether no market has seen them.
    versions : Versions
    """

    kind: ClassVar[str] = "option_walk_forward"
    extension: ClassVar[str] = ".parquet"

    forecasts: pd.DataFrame
    figures: pd.DataFrame
    source: str
    simulated: bool
    versions: Versions

    @property
    def days(self) -> int:
        """Number of days forecast."""
        return int(self.forecasts["date"].nunique())

    @property
    def name(self) -> str:
        """Name of the report: it says when the quotes are simulated."""
        return "SIMULATED_option_walk_forward" if self.simulated else "option_walk_forward"

    def errors(self) -> dict[str, float]:
        """Mean absolute error of each model over all options, in currency."""
        rows = self.figures[self.figures["group"] == "all"]
        return {str(model): float(mae) for model, mae in zip(rows["model"], rows["mae"], strict=True)}

    def gain(self, model: str = "smile", against: str = "sticky_strike") -> tuple[float, float, int]:
        """By how much a model's daily MAE is lower: mean, its standard error over days, and days won.

        The errors of one day move together, so a day counts as one observation.
        """
        by_day = self.figures[self.figures["group"] == "day"].pivot_table(
            index="bucket", columns="model", values="mae"
        )
        difference = (by_day[against] - by_day[model]).to_numpy()
        spread = float(difference.std(ddof=1)) if difference.size > 1 else np.nan
        return float(difference.mean()), spread / np.sqrt(difference.size), int((difference > 0).sum())

    def to_bytes(self) -> bytes:
        """Encode as Parquet; equal walks give equal bytes."""
        facts = {
            "figures": plain_columns(self.figures),
            "source": self.source,
            "simulated": self.simulated,
            "versions": {"quotes": self.versions.quotes, "network": self.versions.network},
        }
        return encode(self.forecasts, self.kind, facts)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Decode what :meth:`to_bytes` wrote; raises ValueError on anything else."""
        forecasts, facts = decode(data, cls.kind)
        return cls(
            forecasts,
            frame_of(facts["figures"]),
            facts["source"],
            facts["simulated"],
            Versions(**facts["versions"]),
        )


def walk_chains(
    chains: OptionChains, price: Pricer, versions: Versions, rules: WalkRules | None = None
) -> OptionWalkForward:
    """Forecast, price and score.

    Parameters
    ----------
    chains : OptionChains
    price : callable
        What prices an option at a volatility: the certified network.
    versions : Versions
    rules : WalkRules, optional

    Raises
    ------
    ValueError
        If no option is quoted on two successive days.
    """
    forecasts = forecast_walk(chains, rules)
    if forecasts.empty:
        raise ValueError(
            f"{chains.report.source}: no option with a forward is quoted on two successive days, so there is "
            f"nothing to forecast ({len(chains.days)} days, {len(chains.forwards)} forwards, refused: "
            f"{chains.refusals or 'none'}); give chains of successive days with calls and puts"
        )
    figures = score_forecasts(chains, forecasts, price)
    return OptionWalkForward(forecasts, figures, chains.report.source, chains.simulated, versions)
