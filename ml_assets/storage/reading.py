"""Verified reads: the bytes that were certified, or an error that says what is wrong."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from typing import NoReturn, TypeVar

from ml_assets.storage.certificate import Certificate
from ml_assets.storage.errors import NotCertified, Refusal
from ml_assets.storage.layout import Shelf, Slot
from ml_assets.storage.paths import Place, read

__all__ = [
    "current_version",
    "difference",
    "read_certificate",
    "read_current",
    "read_passed",
    "read_version",
    "refuse",
    "require_passed",
]

T = TypeVar("T")

_AGAIN = "Materialize the asset again, which publishes a sound version"
_OLDER = "or read an older version by its sha256"


def refuse(slot: Slot, sha256: str | None, code: Refusal, reason: str, remedy: str = _AGAIN) -> NoReturn:
    """Raise :class:`NotCertified` for a version of a slot."""
    raise NotCertified(
        reason, code=code, asset=slot.asset, partition=slot.partition, sha256=sha256, remedy=f"{remedy}."
    )


def current_version(slot: Slot) -> str | None:
    """Version that the pointer names; None if nothing was ever published.

    Raises
    ------
    NotCertified
        If there is a pointer that cannot be read or trusted.
    """
    text = _read(slot, None, slot.pointer)
    if text is None:
        return None
    try:
        return slot.parse_pointer(text)
    except (ValueError, RecursionError) as error:
        refuse(slot, None, "bad_pointer", f"{slot.pointer} is damaged: {error}")


def read_certificate(slot: Slot, sha256: str, shelf: Shelf = "versions") -> Certificate:
    """Certificate of a version, checked to belong to it; whether it passed is left to the caller.

    Raises
    ------
    NotCertified
        If it is missing, damaged, edited, or that of something else.
    """
    if not re.fullmatch(r"[0-9a-f]{64}", sha256):
        refuse(
            slot, sha256, "no_version", "a version is named by 64 lower-case hex digits", "Correct the sha256"
        )
    path = slot.certificate(sha256, shelf)
    text = _read(slot, sha256, path)
    if text is None:
        refuse(
            slot,
            sha256,
            "missing_certificate",
            f"there is no {path}: the version was never published, or was removed when newer ones came",
            f"{_AGAIN}, or read the current one",
        )
    try:
        certificate = Certificate.from_json(text)
    except (ValueError, TypeError, RecursionError) as error:
        refuse(slot, sha256, "bad_certificate", f"{path} cannot be trusted: {error}", f"{_AGAIN}, {_OLDER}")
    named = (certificate.asset, certificate.partition, certificate.sha256)
    if named != (slot.asset, slot.partition, sha256):
        refuse(
            slot,
            sha256,
            "wrong_certificate",
            f"{path} is that of asset {named[0]!r}, partition {named[1]!r}, version {named[2][:12]}",
            f"Somebody moved files in the store. {_AGAIN}",
        )
    return certificate


def difference(data: bytes, certificate: Certificate) -> str:
    """Say in what these bytes differ from those of the certificate; empty if they are the same."""
    found = hashlib.sha256(data).hexdigest()
    if found == certificate.sha256 and len(data) == certificate.size:
        return ""
    return (
        f"holds {len(data):,} bytes with sha256 {found[:12]}, certified are {certificate.size:,} "
        f"with {certificate.sha256[:12]}"
    )


def require_passed(slot: Slot, certificate: Certificate, remedy: str) -> None:
    """Refuse a certificate unless at least one gate looked and every gate passed.

    Raises
    ------
    NotCertified
        Names the gates that refused, with what they said.
    """
    if not certificate.passed:
        refused = "; ".join(f"gate {v.gate!r} refused it: {v.message}" for v in certificate.failed_gates)
        refuse(slot, certificate.sha256, "gate_failed", refused or "no gate looked at it", remedy)


def read_passed(slot: Slot, sha256: str) -> Certificate:
    """Certificate of a published version, checked to say that every gate passed.

    Raises
    ------
    NotCertified
        As :func:`read_certificate`, or if a gate refused or none looked.
    """
    certificate = read_certificate(slot, sha256)
    require_passed(slot, certificate, "Mend the cause, then materialize again")
    return certificate


def read_version(slot: Slot, sha256: str) -> tuple[bytes, Certificate]:
    """Bytes and certificate of one version, verified against each other.

    The file is read once: what is hashed is what is returned.

    Raises
    ------
    NotCertified
        If anything at all is wrong.
    """
    certificate = read_passed(slot, sha256)
    path = slot.artifact(sha256, certificate.extension)
    data = _read(slot, sha256, path)
    if data is None:
        refuse(slot, sha256, "missing_artifact", f"{path} is gone", f"{_AGAIN}, {_OLDER}")
    if other := difference(data, certificate):
        what = f"{path} {other}: it was damaged or overwritten"
        refuse(slot, sha256, "wrong_bytes", what, f"{_AGAIN}, {_OLDER}")
    return data, certificate


def read_current(slot: Slot, read_one: Callable[[Slot, str], T]) -> T | None:
    """What a reader of versions gives of the current one; None if nothing was published.

    Raises
    ------
    NotCertified
        If anything is wrong with it.
    """
    sha256 = current_version(slot)
    while sha256 is not None:
        try:
            return read_one(slot, sha256)
        except NotCertified:
            # While we read, publishers may have moved on by so many versions that ours was removed. Only a
            # pointer that still names this version makes its fault final.
            latest = current_version(slot)
            if latest is None or latest == sha256:
                raise
            sha256 = latest
    return None


def _read(slot: Slot, sha256: str | None, path: Place) -> bytes | None:
    try:
        return read(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        refuse(
            slot,
            sha256,
            "unreadable",
            f"{path} cannot be read ({type(error).__name__}: {error})",
            "Check the disk, the network and the permissions, then try again",
        )
