"""What goes in and out of an asset: certified inputs, a staged value, a candidate for publication."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from ml_assets.storage import Certificate, input_key
from ml_assets.storage.artifact import Artifact

__all__ = ["Candidate", "Certified", "Refusal", "Staged"]

T = TypeVar("T")


@dataclass(frozen=True)
class Certified(Generic[T]):
    """A value that was read through its gates, with the certificate of the version read."""

    value: T
    certificate: Certificate

    @property
    def label(self) -> str:
        """Name of the version's place: ``asset`` or ``asset/partition``."""
        return input_key(self.certificate.asset, self.certificate.partition)


@dataclass(frozen=True)
class Refusal:
    """Stands in the place of what could not be read, so that it cannot be overlooked.

    ``sha256`` names the version that was refused, where there is one.
    """

    partition: str | None
    reason: str
    sha256: str | None = None


@dataclass(frozen=True)
class Staged:
    """What an asset's function returns: a value, and the gates that it must pass.

    Parameters
    ----------
    artifact
        The value.
    evidence
        What the asset's gates judge the value by: see :class:`ml_assets.gates.core.Gate`.
    inputs
        The certified values from which it was computed: the certificate records their versions.
    metadata
        Shown in the UI beside the materialization.
    alias
        Path under the store's root that shall always hold a copy of the current version.
    pages
        Files for people, by their path under ``reports/``: written once the value has been published, so that
        no page shows what a gate has refused.
    events
        What went wrong while it was made and how that was mended, for instance a smaller batch after memory
        ran out: written into the certificate and shown in the UI.
    """

    artifact: Artifact
    evidence: Any = None
    inputs: Sequence[Certified[Any]] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict)
    alias: str | None = None
    pages: Mapping[str, bytes] = field(default_factory=dict)
    events: Sequence[str] = ()


@dataclass(frozen=True)
class Candidate:
    """A value whose gates have passed, on its way to publication."""

    data: bytes
    certificate: Certificate
    alias: str | None
    pages: Mapping[str, bytes] = field(default_factory=dict)
