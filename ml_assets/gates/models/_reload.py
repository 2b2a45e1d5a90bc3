"""A trained file read anew: what it records, and what it answers; for whatever is forecast."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from ml_assets.gates._verdict import Tally, Violation, require

__all__ = ["read_again", "require_recorded", "require_same_outputs"]


class _File(Protocol):
    @classmethod
    def from_bytes(cls, data: bytes) -> Self: ...


M = TypeVar("M", bound=_File)


def read_again(symbol: str, data: bytes, kind: type[M]) -> M:
    """Decode stored bytes; that they cannot be read is a finding."""
    try:
        return kind.from_bytes(data)
    except ValueError as error:
        raise Violation(f"{symbol}: the stored bytes cannot be read: {error}") from error


def require_recorded(tally: Tally, symbol: str, pairs: Mapping[str, tuple[Any, Any]]) -> None:
    """What a file says of its training, by name, equals the certified value beside it."""
    for name, (trained, certified) in pairs.items():
        tally.checked += 1
        require(
            trained == certified,
            f"{symbol}: {name} of the training: {trained}; of the certified set: {certified}",
        )


def require_same_outputs(tally: Tally, symbol: str, weights: Any, X: NDArray[np.float32]) -> None:
    """A fresh model answers on validation rows bit for bit what the trained one did."""
    from ml_assets.mamba.predict import predict_outputs

    outputs = predict_outputs(weights, X)
    tally.checked += outputs.size
    found, recorded = hashlib.sha256(outputs.tobytes()).hexdigest(), weights.validation_outputs_sha256
    require(
        found == recorded,
        f"{symbol}: the reloaded model's outputs on {len(X)} validation rows have sha256 {found[:12]}, the "
        f"trained model's had {recorded[:12]}: weights or rows were changed",
    )
