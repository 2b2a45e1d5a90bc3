"""Reading from outside the pipeline: one call, the same verification."""

from __future__ import annotations

from ml_assets.storage.certificate import Certificate
from ml_assets.storage.paths import PathLike
from ml_assets.storage.store import ArtifactStore

__all__ = ["read_certified"]


def read_certified(
    root: PathLike, asset: str, partition: str | None = None, sha256: str | None = None
) -> tuple[bytes, Certificate]:
    """Read a version that has passed its gates, from code outside the pipeline (a server, a notebook).

    The same verification as the pipeline's own: see :meth:`ArtifactStore.read`.

    Examples
    --------
    >>> data, certificate = read_certified("var/store", "mamba_weights", "AAPL")  # doctest: +SKIP
    """
    return ArtifactStore(root).read(asset, partition, sha256)
