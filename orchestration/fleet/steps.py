"""The steps of a fleet's work: which assets are made together, and how each target is forecast.

Their order is in `orchestration.fleet.order`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ml_assets.forecasts.controls import CONTROLS
from ml_assets.forecasts.target import Target
from ml_assets.forecasts.targets import RELATIVE, VARIANCE
from orchestration import pipelines

__all__ = [
    "BASE",
    "DATA",
    "LATENCY",
    "MODELS",
    "NETWORK",
    "PLANS",
    "QUOTES",
    "RELEASE",
    "VERDICT",
    "VERDICT_AND_RELEASE",
    "Plan",
    "Step",
]


@dataclass(frozen=True)
class Step:
    """Assets that are made together: a job, and which of its assets."""

    title: str
    job: str
    assets: tuple[str, ...]


DATA = Step("data", "symbol_pipeline", pipelines.DATA)
BASE = Step("base model", "base_pipeline", pipelines.JOBS["base_pipeline"])
MODELS = Step("models", "symbol_pipeline", pipelines.MODEL)
NETWORK = Step("option network", "option_pipeline", ("pinn_weights",))
LATENCY = Step("latency", "option_pipeline", ("latency_benchmark",))
QUOTES = Step("option quotes", "quotes_pipeline", pipelines.JOBS["quotes_pipeline"])
VERDICT = Step("verdict", "fleet_verdict", ("promotion",))
VERDICT_AND_RELEASE = Step("verdict", "fleet_verdict", ("promotion", "release"))
RELEASE = Step("release", "fleet_verdict", ("release",))


@dataclass(frozen=True)
class Plan:
    """How a target is forecast beside direction.

    Parameters
    ----------
    target : Target
    command : str
        Name of the command, and of the setting that makes automatic runs do it.
    models : Step
        Of each symbol; its last assets are the target's weights and report.
    verdict : Step
        Over the fleet.
    first : Step, optional
        Of each symbol, before anything is made of all of them.
    shared : Step, optional
        What is made of all symbols, between `first` and `models`.
    """

    target: Target
    command: str
    models: Step
    verdict: Step
    first: Step | None = None
    shared: Step | None = None

    def symbols(self, chosen: Sequence[str]) -> list[str]:
        """The chosen symbols with the controls of this target, without those of others."""
        return [*(s for s in chosen if s not in CONTROLS), *self.target.controls]


PLANS: tuple[Plan, ...] = (
    Plan(
        VARIANCE,
        "volatility",
        Step("variance", "volatility_pipeline", pipelines.VARIANCE),
        Step("verdict on variance", "volatility_verdict", (VARIANCE.verdicts,)),
    ),
    Plan(
        RELATIVE,
        "relative",
        Step("relative direction", "relative_pipeline", pipelines.RELATIVE),
        Step("verdict on relative direction", "relative_verdict", (RELATIVE.verdicts,)),
        first=Step("prices", "relative_pipeline", ("raw_prices",)),
        shared=Step("median of the fleet", "median_pipeline", pipelines.JOBS["median_pipeline"]),
    ),
)
"""Every target but direction, which is part of each run."""
