"""The option networks: trained by physics alone, judged, published with the page of their run.

One factory makes the assets of both; what differs between them stands in a `Network` each.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg

from ml_assets.gates.core import Gate, GateResult
from ml_assets.gates.options.american import AMERICAN_GATES, AmericanThresholds
from ml_assets.gates.options.european import PINN_GATES, PinnThresholds
from ml_assets.gates.options.networks import NetworkEvidence
from ml_assets.pinn import PinnRecipe
from ml_assets.pinn.american import AmericanRecipe, AmericanWeights
from ml_assets.pinn.american.value import value_boundary
from ml_assets.pinn.european.greeks import value_network
from ml_assets.pinn.european.weights import PinnWeights
from ml_assets.pinn.recipe import TrainingRecipe
from ml_assets.pinn.weights import NetworkWeights
from ml_assets.reports.european import european_report
from ml_assets.reports.networks import NetworkReport
from ml_assets.reports.pictures import markdown_pictures
from orchestration.cli.progress import report_progress, report_stage
from orchestration.gating import Staged, gated_asset
from orchestration.settings import Settings
from orchestration.version import code_version

__all__ = ["american_weights", "pinn_weights", "shown"]


@dataclass(frozen=True)
class Network:
    """In what one option network differs from another.

    Parameters
    ----------
    name : str
        Of its asset.
    description : str
        For the UI.
    judge : str
        What its prices are judged against, in words.
    alias : str
        Path under the store's root that shall always hold the current version.
    gates : sequence of Gate
    evidence : callable
        Returns what the gates judge by.
    recipe : callable
        Settings to the recipe of the training.
    trainer : callable
        Returns the training's function. It imports TensorFlow, so it is called only when it is needed.
    report : callable
        Weights, verdicts, settings and the training's seconds to what the run shows.
    """

    name: str
    description: str
    judge: str
    alias: str
    gates: Sequence[Gate[Any, Any]]
    evidence: Callable[[], NetworkEvidence[Any]]
    recipe: Callable[[Settings], TrainingRecipe]
    trainer: Callable[[], Callable[..., NetworkWeights]]
    report: Callable[[Any, Sequence[GateResult], Settings, float], NetworkReport]


def shown(pages: Mapping[str, bytes]) -> dict[str, dg.MetadataValue]:
    """Pictures of a report as the UI shows them, by the names of their files."""
    return {name: dg.MetadataValue.md(picture) for name, picture in markdown_pictures(pages).items()}


def _network_asset(network: Network) -> dg.AssetsDefinition:
    def train(context: dg.AssetExecutionContext, settings: dg.ResourceParam[Settings]) -> Staged:
        start = time.monotonic()
        weights = network.trainer()(
            network.recipe(settings),
            progress=lambda p: report_progress(context, p),
            # A state that other code has made would give weights that no code gives.
            checkpoint_dir=settings.home / "checkpoints" / network.name / code_version(),
        )
        seconds = round(time.monotonic() - start, 1)
        report_stage(context, f"trained; judging it against {network.judge}")
        evidence = network.evidence()
        results = [gate.run(weights, evidence) for gate in network.gates]
        report = network.report(weights, results, settings, seconds)
        tables = {name: dg.MetadataValue.md(table) for name, table in report.tables.items()}
        return Staged(
            weights,
            evidence=evidence,
            metadata={"seconds": seconds, **weights.figures, **tables, **shown(report.pages)},
            events=weights.recovery.messages,
            alias=network.alias,
            pages=report.pages,
        )

    train.__name__ = network.name  # the guard names the asset by its function
    decorate = gated_asset(group_name="options", description=network.description, gates=network.gates)
    return decorate(train)


def _train_pinn() -> Callable[..., NetworkWeights]:
    from ml_assets.pinn import train_pinn

    return train_pinn


def _report_pinn(
    weights: PinnWeights, results: Sequence[GateResult], settings: Settings, _seconds: float
) -> NetworkReport:
    from ml_assets.pinn.european.soft import compare_soft

    return european_report(weights, results, compare_soft() if settings.pinn_soft else None)


def _train_american() -> Callable[..., NetworkWeights]:
    from ml_assets.pinn.american import train_american

    return train_american


def _american_limits() -> AmericanThresholds:
    """What the gates demand; a test asks for less, of fewer options."""
    return AmericanThresholds()


def _report_american(
    weights: AmericanWeights, results: Sequence[GateResult], _settings: Settings, seconds: float
) -> NetworkReport:
    from ml_assets.reports.american import american_report

    return american_report(weights, results, _american_limits(), seconds)


pinn_weights = _network_asset(
    Network(
        name="pinn_weights",
        description="Option network trained by physics alone; the closed form is used only to judge it.",
        judge="the closed form",
        alias="models/pinn/option_pricing/option_pricing.npz",
        gates=PINN_GATES,
        evidence=lambda: NetworkEvidence(PinnThresholds(), value_network),
        recipe=lambda settings: PinnRecipe(
            adam_steps=settings.pinn_adam_steps,
            bfgs_iterations=settings.pinn_bfgs_iterations,
            seed=settings.seed,
        ),
        trainer=_train_pinn,
        report=_report_pinn,
    )
)

american_weights = _network_asset(
    Network(
        name="american_weights",
        description="Exercise boundary of American options, trained by its integral equation alone; QuantLib "
        "is used only to judge it.",
        judge="QuantLib",
        alias="models/pinn/american/american.npz",
        gates=AMERICAN_GATES,
        evidence=lambda: NetworkEvidence(_american_limits(), value_boundary),
        recipe=lambda settings: AmericanRecipe(
            adam_steps=settings.american_adam_steps,
            bfgs_iterations=settings.american_bfgs_iterations,
            seed=settings.seed,
        ),
        trainer=_train_american,
        report=_report_american,
    )
)
