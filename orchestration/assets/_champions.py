"""What scores and verdicts share, whatever is forecast: the model in service, and versions of a report."""

from typing import TypeVar

import dagster as dg

from ml_assets.release import Verdicts, champions_of
from ml_assets.skill import Judged
from ml_assets.storage import ArtifactStore, NotCertified, input_key
from orchestration.gating import Certified, Refusal

__all__ = ["as_judged", "served_model"]

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


def as_judged(report: Certified[Report] | Refusal, symbol: str, weights: str) -> Judged[Report] | str:
    """A report with its version and that of the weights it scored; or why there is none."""
    if isinstance(report, Refusal):
        return report.reason
    certificate = report.certificate
    return Judged(report.value, certificate.sha256, certificate.inputs[input_key(weights, symbol)])
