"""The certified networks of a store, read and verified once per process."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, TypeVar

from ml_assets.pinn.european.weights import PinnWeights
from ml_assets.pinn.weights import NetworkWeights, WeightsError

if TYPE_CHECKING:
    from ml_assets.pinn.american.weights import AmericanWeights
    from ml_assets.storage import Certificate

__all__ = [
    "STORE_VARIABLE",
    "certified_american_weights",
    "certified_weights",
    "default_store",
    "forget_american_weights",
]

STORE_VARIABLE = "ML_ASSETS_STORE"
"""Environment variable that names the store when no argument does."""

Weights = TypeVar("Weights", bound=NetworkWeights)

_loaded: dict[tuple[str, str], tuple[NetworkWeights, Certificate]] = {}
_loading = threading.Lock()


def default_store() -> str:
    """Root of the store: the environment variable, else ``./var/store``."""
    return os.environ.get(STORE_VARIABLE) or "./var/store"


def certified_weights(store: str | None = None, *, refresh: bool = False) -> tuple[PinnWeights, Certificate]:
    """Read the current certified network once per process and store; thread-safe.

    Parameters
    ----------
    store : str, optional
        Root folder or URL; default: :func:`default_store`.
    refresh : bool
        Read again, to take up a version published since.

    Returns
    -------
    weights : PinnWeights
    certificate : Certificate
        What the gates said about exactly these bytes.

    Raises
    ------
    WeightsError
        If the store has no such version.
    NotCertified
        If the bytes or their certificate do not verify.
    """
    return _certified(PinnWeights, store, refresh)


def certified_american_weights(
    store: str | None = None, *, refresh: bool = False
) -> tuple[AmericanWeights, Certificate]:
    """As :func:`certified_weights`, of the asset ``american_weights``, which `make american` materializes."""
    from ml_assets.pinn.american.weights import AmericanWeights

    return _certified(AmericanWeights, store, refresh)


def forget_american_weights(store: str | None = None) -> None:
    """Read the American network anew when it is next asked for; it may not exist yet."""
    with _loading:
        _loaded.pop(("american_weights", str(store or default_store())), None)


def _certified(kind: type[Weights], store: str | None, refresh: bool) -> tuple[Weights, Certificate]:
    asset, root = kind.kind, str(store or default_store())
    with _loading:
        if refresh or (asset, root) not in _loaded:
            from ml_assets.storage import ArtifactStore  # only who reads a store pays for its imports

            reader = ArtifactStore(root)
            if reader.current(asset) is None:
                everything = "`make run` (everything) or " if kind is PinnWeights else ""
                raise WeightsError(
                    f"no certified version of {asset!r} in the store {root!r}: run {everything}"
                    f"`make {kind.command}` (the network alone), or point {STORE_VARIABLE} to one that has it"
                )
            data, certificate = reader.read(asset)
            _loaded[asset, root] = (kind.from_bytes(data), certificate)
        weights, certificate = _loaded[asset, root]
    assert isinstance(weights, kind)  # each asset holds one kind
    return weights, certificate
