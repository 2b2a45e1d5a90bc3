"""Every setting in one typed class: environment over file over default."""

from __future__ import annotations

import os
from difflib import get_close_matches
from itertools import pairwise
from pathlib import Path
from typing import Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from ml_assets.prices import LayoutHint
from ml_assets.skill.controls import CONTROLS

__all__ = ["DEFAULT_UNIVERSE", "Settings"]

# Eight of skfolio's twenty stocks, from different sectors: the default run ends within minutes.
DEFAULT_UNIVERSE = ("AAPL", "AMD", "BAC", "GE", "JNJ", "KO", "MSFT", "XOM")


class Settings(BaseSettings):
    """What a user may change without touching code.

    A variable ``ML_ASSETS_<NAME>`` in the environment wins over ``settings.toml`` in the working
    folder, which wins over the default. The settings in force are written into each run's metadata.
    """

    model_config = SettingsConfigDict(
        env_prefix="ML_ASSETS_", toml_file="settings.toml", extra="forbid", frozen=True
    )

    home: Path = Field(Path("var"), description="Folder of the Dagster instance and the default store.")
    store: str | None = Field(
        None, description="Folder or URL (s3://...) of the artifacts; home/store if unset."
    )
    prices: str = Field("default", description="'default', a folder of price files, or 'yfinance:AAPL,MSFT'.")
    workers: int = Field(0, ge=0, description="Processes that prepare data in make run; 0: one per core.")
    symbols: str | None = Field(None, description="Comma-separated symbols; all of the source if unset.")
    layout_hints: tuple[LayoutHint, ...] = Field(
        (), description="Corrections of wrong guesses about price files."
    )

    minimum_rows: int = Field(1000, ge=250, description="A symbol with fewer usable days is refused.")
    accepted_moves: tuple[str, ...] = Field(
        (),
        description="Real moves above threefold in a day, for the scale gate: 'SYMBOL 2020-03-09'.",
    )
    window: int = Field(60, ge=2, description="Days in one input window.")
    horizon: int = Field(1, ge=1, description="Days ahead that the label looks.")
    volatility_horizons: tuple[int, ...] = Field(
        (1, 5), min_length=1, description="Days ahead for which variance is forecast, increasing."
    )
    split: float = Field(0.8, gt=0, lt=1, description="Share of the development rows used for training.")
    test_days: int | None = Field(
        None, ge=1, description="Length of the sealed span; unset: 1000, at most a quarter of the rows."
    )
    folds: int = Field(4, ge=1, description="Parts of the sealed span; a model is trained before each.")
    augmented_copies: int = Field(1, ge=1, description="Augmented copies per training row.")

    epochs: int = Field(80, ge=1, description="Upper bound; early stopping on validation ends sooner.")
    seed: int = Field(0, ge=0, description="Seed of augmentation, initialization and batches.")

    pinn_adam_steps: int = Field(600, ge=1, description="First phase of the option network's training.")
    pinn_bfgs_iterations: int = Field(6000, ge=0, description="Second phase: self-scaled BFGS.")

    quarantine_accuracy: float = Field(
        0.60, gt=0.5, le=1, description="Above it on real daily prices: quarantine."
    )
    false_discovery_rate: float = Field(0.05, gt=0, lt=1, description="Benjamini-Hochberg q over the fleet.")

    verdict_wait_seconds: float = Field(
        5.0, gt=0, description="Pause before asking again for a running gate."
    )
    verdict_wait_tries: int = Field(120, ge=0, description="How often to ask before the read is refused.")
    keep_versions: int = Field(5, ge=1, description="Certified versions kept per asset and symbol.")

    @field_validator("prices")
    @classmethod
    def _not_blank(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("prices is empty: name a folder, or leave it unset for the default data")
        return value

    @field_validator("volatility_horizons")
    @classmethod
    def _increasing(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if min(value) < 1 or any(a >= b for a, b in pairwise(value)):
            raise ValueError(f"volatility_horizons is {value}: give increasing numbers of days, from 1")
        return value

    @field_validator("home")
    @classmethod
    def _expand_home(cls, value: Path) -> Path:
        return value.expanduser()

    @model_validator(mode="after")
    def _no_unknown_variable(self) -> Self:
        """Refuse a mistyped variable: ignored in silence, it would leave the default in force."""
        prefix = "ML_ASSETS_"
        known = {f"{prefix}{name}".upper() for name in type(self).model_fields}
        for name in os.environ:
            if name.upper().startswith(prefix) and name.upper() not in known:
                close = get_close_matches(name.upper(), known, n=1)
                hint = f"; did you mean {close[0]}?" if close else f"; known: {', '.join(sorted(known))}"
                raise ValueError(f"unknown setting {name} in the environment{hint}")
        return self

    @property
    def store_url(self) -> str:
        """Root of the artifact store."""
        return self.store or str(self.home / "store")

    @property
    def dagster_home(self) -> Path:
        """Folder of the Dagster instance; absolute, as Dagster demands."""
        return (self.home / "dagster").resolve()

    def wanted_symbols(self, available: list[str]) -> list[str]:
        """Choose the universe from what the source offers; the simulated controls always belong to it.

        Raises
        ------
        ValueError
            If a wanted symbol is not offered.
        """
        controls = [s for s in CONTROLS if s in available]
        if self.symbols is None:
            default = [s for s in DEFAULT_UNIVERSE if s in available]
            return [*default, *controls] if self.prices == "default" else available
        wanted = list(dict.fromkeys(s.strip() for s in self.symbols.split(",") if s.strip()))
        unknown = sorted(set(wanted) - set(available))
        if unknown:
            raise ValueError(
                f"symbols not found in prices={self.prices!r}: {', '.join(unknown)}. "
                f"Available: {', '.join(available[:30])}{' ...' if len(available) > 30 else ''}"
            )
        return [*wanted, *(c for c in controls if c not in wanted)]

    def accepted_days(self, symbol: str) -> list[str]:
        """Dates (ISO) on which a symbol's extreme move is known to be real."""
        pairs = (entry.rsplit(" ", 1) for entry in self.accepted_moves)
        return [pair[1] for pair in pairs if len(pair) == 2 and pair[0].strip() == symbol]

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003  pydantic gives it by name
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order the sources: arguments, environment, file."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)
