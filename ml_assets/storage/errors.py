"""What can go wrong between a caller and the store."""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

__all__ = ["NotCertified", "Refusal", "StoreError"]

Refusal = Literal[
    "no_version",  # nothing was ever published there
    "bad_pointer",  # current.json does not parse or belongs elsewhere
    "missing_certificate",
    "bad_certificate",  # does not parse, or was edited
    "wrong_certificate",  # sound, but of another asset, partition or version
    "gate_failed",  # sound, and says that a gate refused it, or that none looked
    "missing_artifact",
    "wrong_bytes",  # the bytes are not those that were certified
    "unreadable",  # the file system or the network refused
]


class StoreError(Exception):
    """The store cannot do what was asked; the message says why and what to do."""


class NotCertified(StoreError):  # noqa: N818 - the name is fixed by the project
    """These bytes have not passed their gates, so nobody may have them.

    Attributes
    ----------
    reason : str
        What is wrong, in words.
    code : str
        What is wrong, as one of the fixed words of :data:`Refusal`.
    asset : str
        Asset that was asked for.
    partition : str or None
        Partition that was asked for.
    sha256 : str or None
        Version that was asked for; None if it is not even known which is current.
    remedy : str
        What to do.
    """

    def __init__(
        self,
        reason: str,
        *,
        code: Refusal,
        asset: str,
        partition: str | None = None,
        sha256: str | None = None,
        remedy: str,
    ) -> None:
        self.reason = reason
        self.code = code
        self.asset = asset
        self.partition = partition
        self.sha256 = sha256
        self.remedy = remedy
        where = asset if partition is None else f"{asset}[{partition}]"
        version = "" if sha256 is None else f" version {sha256[:12]}"
        super().__init__(f"{where}{version} is not certified ({code}): {reason}. {remedy}")

    def __reduce__(self) -> tuple[Any, ...]:
        # Keyword-only arguments would break unpickling in a parent process.
        named = {name: getattr(self, name) for name in ("code", "asset", "partition", "sha256", "remedy")}
        return partial(NotCertified, **named), (self.reason,)
