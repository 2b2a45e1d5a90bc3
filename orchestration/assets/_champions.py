"""What scores and verdicts share, whatever is forecast: the model in service, and versions of a report."""

from typing import TypeVar

import dagster as dg

from ml_assets.release import Release
from ml_assets.skill import Judged
from ml_assets.storage import ArtifactStore, NotCertified, input_key
from orchestration.gating import Certified, Refusal

__all__ = ["as_judged", "released_model"]

Report = TypeVar("Report")


def released_model(
    store: ArtifactStore, asset: str, symbol: str, newest: str, horizon: int | None = None
) -> tuple[str, bytes] | None:
    """Version and bytes of the released model; None if there is none, or it is the newest one itself."""
    if store.current("release") is None:
        return None
    released = Release.from_bytes(store.read("release")[0]).version(asset, symbol, horizon)
    if released is None or released == newest:
        return None
    try:
        return released, store.read(asset, symbol, released)[0]
    except NotCertified as error:
        raise dg.Failure(
            f"the released model of {symbol} cannot be compared: {error}", allow_retries=False
        ) from error


def as_judged(report: Certified[Report] | Refusal, symbol: str, weights: str) -> Judged[Report] | str:
    """A report with its version and that of the weights it scored; or why there is none."""
    if isinstance(report, Refusal):
        return report.reason
    certificate = report.certificate
    return Judged(report.value, certificate.sha256, certificate.inputs[input_key(weights, symbol)])
