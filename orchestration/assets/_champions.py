"""The model in service, for the report of the one that wants its place."""

import dagster as dg

from ml_assets.forecasts.release import champions_of
from ml_assets.forecasts.target import Target
from ml_assets.storage import ArtifactStore, NotCertified

__all__ = ["served_model"]


def served_model(
    store: ArtifactStore, target: Target, symbol: str, horizon: int, newest: str
) -> tuple[str, bytes] | None:
    """Version and bytes of the model in service; None if there is none, or it is the newest one itself.

    It is the one of the last verdicts, which the next ones decide about; a release may have been rolled back.
    """
    try:
        served = {one.place: one.champion for one in champions_of(store, target)}
        champion = served.get((symbol, horizon))
        if champion is None or champion.weights_sha256 == newest:
            return None
        return champion.weights_sha256, store.read(target.weights, symbol, champion.weights_sha256)[0]
    except NotCertified as error:
        raise dg.Failure(
            f"the model in service for {symbol} cannot be compared: {error}", allow_retries=False
        ) from error
