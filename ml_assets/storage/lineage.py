"""Reading from outside the pipeline, and the very versions that a result was computed from."""

from __future__ import annotations

from ml_assets.storage.certificate import Certificate
from ml_assets.storage.errors import NotCertified
from ml_assets.storage.paths import PathLike
from ml_assets.storage.store import ArtifactStore

__all__ = ["follow_input", "input_key", "read_certified", "read_input"]


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


def input_key(asset: str, partition: str | None) -> str:
    """Key of an input in a certificate: ``asset`` or ``asset/partition``."""
    return asset if partition is None else f"{asset}/{partition}"


def follow_input(
    store: ArtifactStore, certificate: Certificate, asset: str, partition: str | None
) -> Certificate:
    """Certificate of the version of an input that a result was computed from; see :func:`read_input`."""
    return read_input(store, certificate, asset, partition)[1]


def read_input(
    store: ArtifactStore, certificate: Certificate, asset: str, partition: str | None
) -> tuple[bytes, Certificate]:
    """Read the very version of an input that a result was computed from, verified.

    Parameters
    ----------
    store
        Where the artifacts lie.
    certificate
        Of the result.
    asset, partition
        Which of its inputs.

    Raises
    ------
    NotCertified
        If the result was not computed from such an input, or that version cannot be verified any more.
    """
    sha256 = certificate.inputs.get(input_key(asset, partition))
    if sha256 is None:
        raise NotCertified(
            f"the certificate of {certificate.asset} does not name it as an input",
            code="wrong_certificate",
            asset=asset,
            partition=partition,
            remedy=f"Materialize {certificate.asset} again",
        )
    return store.read(asset, partition, sha256)
