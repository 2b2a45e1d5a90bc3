"""What flows between assets: one immutable value that encodes to one blob, hashed once."""

from __future__ import annotations

import dataclasses
import json
from typing import Any, ClassVar, Protocol, Self, runtime_checkable

from pydantic import ConfigDict, TypeAdapter

__all__ = ["Artifact", "JsonArtifact"]


@runtime_checkable
class Artifact(Protocol):
    """A value that can be stored, certified by its sha256, and read back.

    Encoding is deterministic: equal values give equal bytes, so that a repeated run with the same
    inputs publishes the same version.
    """

    kind: ClassVar[str]
    """Name of the type in certificates, for instance ``'prices'``."""
    extension: ClassVar[str]
    """File extension with its dot, for instance ``'.parquet'``."""

    def to_bytes(self) -> bytes:
        """Encode the value."""
        ...

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Decode what :meth:`to_bytes` wrote."""
        ...


class JsonArtifact:
    """Base of reports: a frozen dataclass of plain values, stored as JSON that a person can read.

    Not-a-number is refused, because JSON has none: say ``None`` where a figure does not exist.
    """

    extension: ClassVar[str] = ".json"
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    def to_bytes(self) -> bytes:
        """Encode as UTF-8 JSON with sorted keys."""
        fields: dict[str, Any] = dataclasses.asdict(self)  # type: ignore[call-overload]
        return (json.dumps(fields, sort_keys=True, indent=1, allow_nan=False) + "\n").encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Decode and validate; a missing, unknown or ill-typed field is a ValueError."""
        return TypeAdapter(cls).validate_json(data)
