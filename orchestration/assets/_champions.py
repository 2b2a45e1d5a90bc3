"""What scores and verdicts share, whatever is forecast: the model in service, and versions of a report."""

from collections.abc import Callable, Collection, Mapping
from typing import TypeVar

import dagster as dg

from ml_assets.forecasts.controls import asked_for
from ml_assets.forecasts.direction import Judged
from ml_assets.forecasts.release import Verdicts, champions_of
from ml_assets.storage import ArtifactStore, NotCertified, input_key
from orchestration.gating import Certified, Refusal

__all__ = ["as_judged", "attempts", "served_model"]

Report = TypeVar("Report")


def served_model(
    store: ArtifactStore,
    verdicts: type[Verdicts],
    asset: str,
    symbol: str,
    newest: str,
    horizon: int | None = None,
) -> tuple[str, bytes] | None:
    """Version and bytes of the model in service; None if there is none, or it is the newest one itself.

    It is the one of the last verdicts, which the next ones decide about; a release may have been rolled back.
    """
    try:
        served = {(one.symbol, one.horizon): one.champion for one in champions_of(store, verdicts)}
        champion = served.get((symbol, horizon))
        if champion is None or champion.weights_sha256 == newest:
            return None
        return champion.weights_sha256, store.read(asset, symbol, champion.weights_sha256)[0]
    except NotCertified as error:
        raise dg.Failure(
            f"the model in service for {symbol} cannot be compared: {error}", allow_retries=False
        ) from error


def attempts(
    reports: Mapping[str, Certified[Report] | Refusal],
    controls: Collection[str],
    tried_elsewhere: Callable[[str], bool],
    report_asset: str,
) -> dict[str, Certified[Report] | Refusal]:
    """Keep what a verdict is about: its own controls, and the symbols of which its target was tried."""
    if not reports:
        raise dg.Failure(
            f"no symbol has been attempted yet; materialize {report_asset} first", allow_retries=False
        )
    wanted = {s: reports[s] for s in asked_for(reports, controls)}
    return {s: r for s, r in wanted.items() if not isinstance(r, Refusal) or not tried_elsewhere(s)}


def as_judged(
    reports: Mapping[str, Certified[Report] | Refusal], weights: str
) -> dict[str, Judged[Report] | str]:
    """By symbol: a report with its version and that of the weights it scored, or why there is none."""
    return {symbol: _judged(report, symbol, weights) for symbol, report in reports.items()}


def _judged(report: Certified[Report] | Refusal, symbol: str, weights: str) -> Judged[Report] | str:
    if isinstance(report, Refusal):
        return report.reason
    certificate = report.certificate
    return Judged(report.value, certificate.sha256, certificate.inputs[input_key(weights, symbol)])
