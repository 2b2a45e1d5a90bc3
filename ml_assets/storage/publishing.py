"""Storing a version, and removing the oldest; the current one never goes."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path

from ml_assets.storage.atomic import atomic_write
from ml_assets.storage.certificate import Certificate
from ml_assets.storage.errors import NotCertified
from ml_assets.storage.layout import CERTIFICATE, Shelf, Slot, by_version
from ml_assets.storage.paths import Place, age_of, exists, is_remote, list_files, read, remove
from ml_assets.storage.reading import current_version, difference, read_certificate, refuse

__all__ = ["holds", "pin", "prune", "put", "require_same_bytes", "revoke"]

_log = logging.getLogger(__name__)

# In an object store there is no lock: files without a certificate may be a publication on its way.
_PUBLICATION_LIFE = 24 * 3600.0
_OLDEST = datetime.min.replace(tzinfo=UTC)


def require_same_bytes(slot: Slot, data: bytes, certificate: Certificate) -> None:
    """Refuse bytes that are not those of the certificate."""
    if other := difference(data, certificate):
        remedy = "Make the certificate from the bytes that you store, by certify()"
        refuse(slot, certificate.sha256, "wrong_bytes", f"what was given {other}", remedy)


def put(slot: Slot, data: bytes, certificate: Certificate, shelf: Shelf) -> None:
    """Store a version with its certificate on a shelf; not yet current."""
    # The artifact comes first: a certificate never stands there without its bytes.
    artifact = slot.artifact(certificate.sha256, certificate.extension, shelf)
    # A sound file is left as it is. In an object store it is put again: that renews its age, by which another
    # publisher tells what is abandoned.
    if not isinstance(artifact, Path) or not holds(artifact, certificate.sha256):
        atomic_write(artifact, data)
    atomic_write(slot.certificate(certificate.sha256, shelf), certificate.to_json())


def revoke(slot: Slot, certificate: Certificate, copy: Place | None = None) -> None:
    """Take back a published version when a gate has now refused these very bytes.

    The latest verdict on a version counts, so its certificate gives way to the one that failed, and the copy
    that nothing verifies is removed.
    """
    published = slot.certificate(certificate.sha256)
    if certificate.failed_gates and exists(published):
        atomic_write(published, certificate.to_json())
        _log.warning("%s had been published; its certificate now says that a gate refused it", published)
        if copy is not None and holds(copy, certificate.sha256):
            remove(copy)


def holds(path: Place, sha256: str) -> bool:
    """Whether the file is there, readable, and has this hash."""
    try:
        return hashlib.sha256(read(path)).hexdigest() == sha256
    except OSError:
        return False


def pin(slot: Slot, versions: Collection[str]) -> None:
    """Name the versions that stay however old they are."""
    if frozenset(versions) != _pinned(slot):
        atomic_write(slot.pins, json.dumps(sorted(versions)).encode())


def _pinned(slot: Slot) -> frozenset[str]:
    return frozenset(json.loads(read(slot.pins))) if exists(slot.pins) else frozenset()


def prune(slot: Slot, shelf: Shelf, keep: int, *, protected: str | None = None) -> None:
    """Remove the oldest versions of a shelf beyond ``keep``; a failure to do so is logged, nothing more.

    Parameters
    ----------
    slot : Slot
        Asset and partition. On a folder the caller holds its lock.
    shelf : {'versions', 'quarantine'}
        Where.
    keep : int
        How many stay.
    protected : str, optional
        Version that stays whatever its age: the one just stored. The current version always stays.
    """
    try:
        found = by_version(list_files(slot.folder / shelf))
        if len(found) <= keep:
            return
        known = {sha256: _certificate(slot, sha256, shelf) for sha256 in found}
        newest_first = sorted(
            found,
            key=lambda sha256: (sha256 == protected, *_worth(known[sha256], shelf), sha256),
            reverse=True,
        )
        pinned = _pinned(slot) if shelf == "versions" else frozenset()
        for sha256 in newest_first[keep:]:
            if sha256 not in pinned and _is_abandoned(slot, shelf, sha256, known[sha256], found[sha256]):
                _remove(slot, shelf, found[sha256])
    except (OSError, ValueError, NotCertified) as error:
        _log.warning("old files stay in %s for now: %s", slot.folder / shelf, error)


def _is_abandoned(
    slot: Slot, shelf: Shelf, sha256: str, judged: Certificate | None, names: list[str]
) -> bool:
    """Whether nobody publishes this very version at this moment."""
    if shelf == "versions" and current_version(slot) == sha256:
        return False
    if not is_remote(slot.folder):
        return True  # we hold the lock
    if judged is None:
        return all(age_of(slot.folder / shelf / name) > _PUBLICATION_LIFE for name in names)
    return _certificate(slot, sha256, shelf) == judged


def _remove(slot: Slot, shelf: Shelf, names: list[str]) -> None:
    # The certificate first: a reader then hears that the version is gone, rather than that it is damaged.
    for name in sorted(names, key=lambda name: not name.endswith(CERTIFICATE)):
        remove(slot.folder / shelf / name)


def _certificate(slot: Slot, sha256: str, shelf: Shelf) -> Certificate | None:
    try:
        return read_certificate(slot, sha256, shelf)
    except NotCertified as error:
        if error.code == "unreadable":  # says nothing about the file: a network may come back
            raise
        return None


def _worth(certificate: Certificate | None, shelf: Shelf) -> tuple[bool, datetime]:
    # What cannot be read anyway, for want of a sound certificate or for a gate that refused it, goes first.
    if certificate is None:
        return False, _OLDEST
    return certificate.passed or shelf == "quarantine", certificate.created
