"""Every setting in one typed class: environment over file over default."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from difflib import get_close_matches
from itertools import pairwise
from pathlib import Path
from typing import Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, SecretStr, ValidationInfo, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from ml_assets.forecasts.controls import CONTROLS
from ml_assets.prices import LayoutHint

__all__ = ["DEFAULT_UNIVERSE", "WITHOUT_INFLUENCE", "Settings"]

# Eight of skfolio's twenty stocks, from different sectors: the default run ends within minutes.
DEFAULT_UNIVERSE = ("AAPL", "AMD", "BAC", "GE", "JNJ", "KO", "MSFT", "XOM")


WITHOUT_INFLUENCE = frozenset(
    {
        *("home", "store", "keep_versions", "workers", "symbols", "volatility", "relative"),
        *("verdict_wait_seconds", "verdict_wait_tries"),
        *("sensors", "weekly_retrain", "retrain_cron", "retrain_timezone", "retrain_after_days"),
        *("quiet_seconds", "attempts_per_content", "drift_days", "drift_false_alarms"),
        *("prices_fresh_days", "models_fresh_days"),
    }
)
"""Settings that say where, when and how much is done, but not what comes out of it."""

_CREDENTIALS = re.compile(r"://[^/@\s]+@")  # of a URL: user:password@host


class Settings(BaseSettings):
    """What a user may change without touching code.

    A variable ``ML_ASSETS_<NAME>`` in the environment wins over ``settings.toml`` in the working
    folder, which wins over the default. The settings in force (:meth:`in_force`) stand in every certificate;
    those that differ from the default, in the tags of a run and beside every materialization.
    """

    model_config = SettingsConfigDict(
        env_prefix="ML_ASSETS_", toml_file="settings.toml", extra="forbid", frozen=True
    )

    home: Path = Field(Path("var"), description="Folder of the Dagster instance and the default store.")
    store: str | None = Field(
        None, description="Folder or URL (s3://...) of the artifacts; home/store if unset."
    )
    prices: str = Field("default", description="'default', a folder of price files, or 'yfinance:AAPL,MSFT'.")
    options: str = Field("simulated", description="'simulated', or a folder of files of option quotes.")
    workers: int = Field(
        0, ge=0, description="Processes for symbols, 1.5 GB each; 0: one per core, at most 4."
    )
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
    volatility: bool = Field(
        False, description="Automatic runs also forecast variance; by hand: gated-mamba volatility."
    )
    relative: bool = Field(
        False, description="Automatic runs also forecast relative direction; by hand: gated-mamba relative."
    )
    split: float = Field(0.8, gt=0, lt=1, description="Share of the development rows used for training.")
    test_days: int | None = Field(
        None, ge=1, description="Length of the sealed span; unset: 1000, at most a quarter of the rows."
    )
    folds: int = Field(4, ge=1, description="Parts of the sealed span; a model is trained before each.")
    base_members: int = Field(
        64,
        ge=1,
        description="Most symbols that teach the base model, chosen by the hash of their names.",
    )
    augmented_copies: int = Field(1, ge=1, description="Augmented copies per training row.")

    epochs: int = Field(80, ge=1, description="Upper bound; early stopping on validation ends sooner.")
    seed: int = Field(0, ge=0, description="Seed of augmentation, initialization and batches.")

    pinn_adam_steps: int = Field(600, ge=1, description="First phase of the option network's training.")
    pinn_bfgs_iterations: int = Field(6000, ge=0, description="Second phase: self-scaled BFGS.")
    pinn_soft: bool = Field(True, description="Also train the soft variant, for the report (some seconds).")
    latency_batch: int = Field(1_000_000, ge=1, description="Options in the largest batch that is measured.")
    american_adam_steps: int = Field(600, ge=1, description="First phase of the American network's training.")
    american_bfgs_iterations: int = Field(8000, ge=0, description="Second phase: self-scaled BFGS.")

    quarantine_accuracy: float = Field(
        0.60, gt=0.5, le=1, description="Above it on real daily prices: quarantine."
    )
    false_discovery_rate: float = Field(0.05, gt=0, lt=1, description="Benjamini-Hochberg q over the fleet.")

    verdict_wait_seconds: float = Field(
        5.0, gt=0, description="Pause before asking again for a running gate."
    )
    verdict_wait_tries: int = Field(120, ge=0, description="How often to ask before the read is refused.")
    keep_versions: int = Field(5, ge=1, description="Certified versions kept per asset and symbol.")

    # What happens without anyone watching; docs/AUTOMATION.md.
    sensors: bool = Field(True, description="Sensors start switched on; the UI may switch each.")
    weekly_retrain: bool = Field(False, description="The weekly retraining starts switched on.")
    retrain_cron: str = Field("0 2 * * 6", description="When the whole fleet is retrained.")
    retrain_timezone: str = Field(
        "UTC", description="Time zone of that cron expression, for instance Europe/Paris."
    )
    quiet_seconds: float = Field(
        30.0, ge=0, description="Prices must have stood still for so long to be run."
    )
    attempts_per_content: int = Field(2, ge=1, description="Runs that the same prices of a symbol are given.")
    retrain_after_days: int = Field(1, ge=1, description="New days of a symbol that are worth a run.")
    drift_days: int = Field(60, ge=20, description="New days after which a champion is looked at again.")
    drift_false_alarms: float = Field(
        0.05, gt=0, lt=0.5, description="Accepted probability of a needless retraining."
    )
    prices_fresh_days: float = Field(
        4.0, gt=0, description="Older prices are marked; twice as old ones fail."
    )
    models_fresh_days: float = Field(8.0, gt=0, description="The same for reports and the release.")
    alert_webhook: str | None = Field(None, description="URL to which alerts are posted as JSON.")
    alert_smtp: str | None = Field(None, description="Mail server for alerts, host:port.")
    alert_mail_to: str | None = Field(None, description="Comma-separated addresses for alerts.")
    alert_mail_from: str = Field("gated-mamba@localhost", description="Sender of the alerts.")
    alert_smtp_user: str | None = Field(
        None, description="Log in to the mail server, over TLS, as this user."
    )
    alert_smtp_password: SecretStr | None = Field(None, description="Never shown.")
    alert_timeout_seconds: float = Field(5.0, gt=0, le=15, description="Longest wait for either of them.")

    @field_validator("prices", "options")
    @classmethod
    def _not_blank(cls, value: str, info: ValidationInfo) -> str:
        if not value.strip():
            raise ValueError(
                f"{info.field_name} is empty: name a folder, or leave it unset for the default data"
            )
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

    @field_validator("retrain_cron")
    @classmethod
    def _is_cron(cls, value: str) -> str:
        from orchestration.gating._dagster_private import (
            is_valid_cron,  # imports Dagster: not for the default
        )

        if not is_valid_cron(value):
            raise ValueError(
                f"{value!r} is no cron expression; write for instance '0 2 * * 6', Saturday 02:00"
            )
        return value

    @field_validator("retrain_timezone")
    @classmethod
    def _is_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError(f"{value!r} is no IANA time zone; write for instance Europe/Paris") from error
        return value

    @field_validator("alert_webhook")
    @classmethod
    def _is_web_address(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("http://", "https://")):
            raise ValueError("alert_webhook must begin with http:// or https://")
        return value

    @model_validator(mode="after")
    def _mail_is_complete(self) -> Self:
        if (self.alert_smtp is None) != (self.alert_mail_to is None):
            raise ValueError("mail needs both alert_smtp=host:port and alert_mail_to=address")
        port = (self.alert_smtp or "x:25").rpartition(":")[2]
        if not port.isdecimal() or not 0 < int(port) < 65536:
            raise ValueError(
                f"alert_smtp={self.alert_smtp!r}: write host:port, for instance mail.example.org:587"
            )
        if (self.alert_smtp_user is None) != (self.alert_smtp_password is None):
            raise ValueError("alert_smtp_user and alert_smtp_password go together")
        return self

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

    def in_force(self) -> dict[str, str]:
        """Every setting as text, for certificates; without secrets, and without who is told of failures."""
        values = self.model_dump(
            mode="json", exclude={n for n in type(self).model_fields if n.startswith("alert_")}
        )
        shown = {n: v if isinstance(v, str) else json.dumps(v, sort_keys=True) for n, v in values.items()}
        return {name: _CREDENTIALS.sub("://***@", value) for name, value in shown.items()}

    def changed(self) -> dict[str, str]:
        """Those of :meth:`in_force` that differ from the default."""
        default = {n: f.get_default(call_default_factory=True) for n, f in type(self).model_fields.items()}
        return {name: text for name, text in self.in_force().items() if getattr(self, name) != default[name]}

    def makes_the_same(self, earlier: Mapping[str, str]) -> bool:
        """Whether what was made under `earlier` settings (as of :meth:`in_force`) would be made again now."""
        names = self.in_force().keys() - WITHOUT_INFLUENCE
        return all(self.in_force()[name] == earlier.get(name) for name in names)

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
