"""Versioned artifacts that can only be read once every gate has passed."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from ml_assets.storage.atomic import atomic_write, remove_stale_temps
from ml_assets.storage.certificate import Certificate
from ml_assets.storage.errors import NotCertified, StoreError
from ml_assets.storage.layout import Shelf, Slot, alias_place, by_version, partition_of
from ml_assets.storage.locking import FileLock
from ml_assets.storage.paths import PathLike, list_files, list_folders, place
from ml_assets.storage.publishing import holds, pin, prune, put, require_same_bytes, revoke
from ml_assets.storage.reading import (
    read_certificate,
    read_current,
    read_passed,
    read_version,
    refuse,
    require_passed,
)

__all__ = ["ArtifactStore"]

_log = logging.getLogger(__name__)
_SHELVES: tuple[Shelf, ...] = ("versions", "quarantine")


class ArtifactStore:
    """A folder or object store of artifacts by asset and partition, in versions named by their hash.

    Parameters
    ----------
    root : path, URL or UPath
        Where it lies, for instance ``'var/store'`` or ``'s3://bucket/store'``. Made when first written to.
    keep_versions : int, default 5
        How many published versions, and how many refused candidates, are kept of each asset and partition;
        at least 1.
    lock_timeout : float, default 60
        How long a publication waits for another one of the same asset and partition, on a folder [s].

    Notes
    -----
    Layout, under ``{asset}/{slug(partition)}/``: ``versions/{sha256}{ext}`` with
    ``versions/{sha256}.certificate.json``, ``current.json`` naming the current version, ``quarantine/`` like
    ``versions/``, and ``pinned.json`` naming versions that are not pruned. A publication writes the artifact,
    then its certificate, then the pointer, each atomically: a crash at any instant leaves the old version
    current or the new one. See ``docs/FILE_LOCKING_STRATEGY.md``.

    Examples
    --------
    >>> from ml_assets.storage import GateVerdict, certify
    >>> store = ArtifactStore("memory://example")
    >>> gates = [GateVerdict("causal", True, "1,200 rows recomputed")]
    >>> certificate = certify(
    ...     b"prices", asset="raw_prices", partition="AAPL", kind="prices", extension=".parquet", gates=gates,
    ...     code_version="1",
    ... )
    >>> _ = store.publish(b"prices", certificate)
    >>> store.read("raw_prices", "AAPL")[0]
    b'prices'
    """

    def __init__(self, root: PathLike, *, keep_versions: int = 5, lock_timeout: float = 60.0) -> None:
        if keep_versions < 1:
            raise ValueError(f"keep_versions={keep_versions}: at least the current version is kept")
        self.root = place(root)
        self.keep_versions = keep_versions
        self.lock_timeout = lock_timeout

    def publish(self, data: bytes, certificate: Certificate, *, alias: str | None = None) -> Certificate:
        """Make these bytes the current version.

        Parameters
        ----------
        data : bytes
            The encoded artifact.
        certificate : Certificate
            Its certificate; every gate must have passed, one at least.
        alias : str, optional
            Path under the root at which people and tools find a copy of the current version, for instance
            ``'weights/AAPL.weights.h5'``. A copy, replaced atomically after the pointer; nothing verifies it.

        Returns
        -------
        Certificate
            The certificate given.

        Raises
        ------
        NotCertified
            If a gate refused, no gate looked, or the bytes are not those of the certificate.
        DiskFullError
            If there is no room; the version that was current still is.
        LockTimeout
            If another publication of the same asset and partition does not end.
        """
        slot = self._slot(certificate.asset, certificate.partition)
        copy = None if alias is None else alias_place(self.root, certificate.asset, alias)
        require_passed(slot, certificate, "Keep it by quarantine() and mend the cause")
        require_same_bytes(slot, data, certificate)
        with self._publishing(slot):
            put(slot, data, certificate, "versions")
            atomic_write(slot.pointer, slot.pointer_text(certificate.sha256))
            if copy is not None and not holds(copy, certificate.sha256):
                atomic_write(copy, data)
            prune(slot, "versions", self.keep_versions, protected=certificate.sha256)
        _log.info("published %s", _describe(certificate))
        return certificate

    def quarantine(self, data: bytes, certificate: Certificate, *, alias: str | None = None) -> str:
        """Keep a refused candidate for people to look at; the version that is current stays so.

        Only if these very bytes were published before, and a gate has refused them now, that version is taken
        back, with its copy for people and tools: the latest verdict on a version is the one that counts, and
        reading it fails from then on.

        Parameters
        ----------
        data : bytes
            The encoded candidate.
        certificate : Certificate
            Its certificate, in which a gate refused or none looked.
        alias : str, optional
            As in :meth:`publish`.

        Returns
        -------
        str
            Where the candidate lies.

        Raises
        ------
        StoreError
            If every gate passed: then it belongs published.
        NotCertified
            If the bytes are not those of the certificate.
        """
        slot = self._slot(certificate.asset, certificate.partition)
        if certificate.passed:
            raise StoreError(
                f"{_describe(certificate)} passed every gate: use publish(), quarantine is for what did not"
            )
        copy = None if alias is None else alias_place(self.root, certificate.asset, alias)
        require_same_bytes(slot, data, certificate)
        with self._publishing(slot):
            revoke(slot, certificate, copy)
            put(slot, data, certificate, "quarantine")
            prune(slot, "quarantine", self.keep_versions, protected=certificate.sha256)
        _log.warning(
            "quarantined %s, refused by %s",
            _describe(certificate),
            ", ".join(v.gate for v in certificate.failed_gates) or "the absence of any gate",
        )
        return str(slot.artifact(certificate.sha256, certificate.extension, "quarantine"))

    def pin(self, asset: str, partition: str | None, versions: Collection[str]) -> None:
        """Keep these versions however many newer ones there are: a release stands on them.

        Parameters
        ----------
        asset, partition : str, str or None
            Of what.
        versions : collection of str
            Their hashes; those pinned before and not named now may go again.
        """
        pin(self._slot(asset, partition), versions)

    def save_page(self, path: str, page: bytes) -> str:
        """Keep a file for people (a report, a picture) under ``reports/``, replaced atomically.

        Nothing reads it and nothing verifies it: what a program needs is published as an artifact.

        Parameters
        ----------
        path : str
            Relative path under ``reports/``, for instance ``'AAPL/accuracy.png'``.
        page : bytes
            Its content.

        Returns
        -------
        str
            Where it lies.

        Raises
        ------
        ValueError
            If the path leaves that folder.
        """
        target = alias_place(self.root, "", f"reports/{path}")
        atomic_write(target, page)
        return str(target)

    def read(
        self, asset: str, partition: str | None = None, sha256: str | None = None
    ) -> tuple[bytes, Certificate]:
        """Read a version that has passed its gates.

        Parameters
        ----------
        asset, partition : str, str or None
            What to read.
        sha256 : str, optional
            Which version; default the current one.

        Returns
        -------
        bytes, Certificate
            The very bytes that were certified, and their certificate.

        Raises
        ------
        NotCertified
            If anything is wrong: missing, damaged, edited, refused by a gate. The message says what to do.
        """
        slot = self._slot(asset, partition)
        found = read_current(slot, read_version) if sha256 is None else read_version(slot, sha256)
        if found is None:
            what = f"nothing was published under {slot.folder}"
            refuse(slot, None, "no_version", what, "Materialize the asset first")
        return found

    def current(self, asset: str, partition: str | None = None) -> Certificate | None:
        """Certificate of the current version, None if nothing was published. Does not look at the bytes.

        Raises
        ------
        NotCertified
            If there is a current version whose certificate is missing, damaged or refused.
        """
        return read_current(self._slot(asset, partition), read_passed)

    def versions(self, asset: str, partition: str | None = None) -> tuple[Certificate, ...]:
        """Certificates of the versions kept, newest first; what is damaged is logged and left out."""
        return tuple(c for c in self._shelf(asset, partition, "versions") if c.passed)

    def quarantined(self, asset: str, partition: str | None = None) -> tuple[Certificate, ...]:
        """Certificates of the refused candidates kept, newest first; damaged ones are logged and left out."""
        return tuple(c for c in self._shelf(asset, partition, "quarantine") if not c.passed)

    def partitions(self, asset: str) -> tuple[str, ...]:
        """Partitions of an asset that have a folder in the store, sorted."""
        found = []
        for folder in list_folders(self._slot(asset, None).folder.parent):
            try:
                partition = partition_of(folder)
            except ValueError:
                _log.warning("%s/%s is not a folder of the store: left alone", asset, folder)
                continue
            if partition is not None:
                found.append(partition)
        return tuple(sorted(found))

    def location(self, certificate: Certificate) -> str:
        """Where the bytes of a version lie, for people to look at; to use them, :meth:`read` them."""
        slot = self._slot(certificate.asset, certificate.partition)
        shelf: Shelf = "versions" if certificate.passed else "quarantine"
        return str(slot.artifact(certificate.sha256, certificate.extension, shelf))

    def _slot(self, asset: str, partition: str | None) -> Slot:
        return Slot(self.root, asset, partition)

    def _shelf(self, asset: str, partition: str | None, shelf: Shelf) -> list[Certificate]:
        slot = self._slot(asset, partition)
        found = []
        for sha256 in by_version(list_files(slot.folder / shelf)):
            try:
                found.append(read_certificate(slot, sha256, shelf))
            except NotCertified as error:
                _log.warning("left out of the list: %s", error)
        return sorted(found, key=lambda c: (c.created, c.sha256), reverse=True)

    @contextmanager
    def _publishing(self, slot: Slot) -> Iterator[None]:
        if not isinstance(slot.lock, Path):
            # An object store has no locks, and needs none: each put is whole, and the last pointer wins.
            yield
            return
        with FileLock(slot.lock, timeout=self.lock_timeout):
            for folder in (slot.folder, *(slot.folder / shelf for shelf in _SHELVES)):
                remove_stale_temps(folder)
            # What a killed publisher could not clear up: a crash that repeats must not fill the disk.
            for shelf in _SHELVES:
                prune(slot, shelf, self.keep_versions)
            yield


def _describe(certificate: Certificate) -> str:
    partition = "" if certificate.partition is None else f"[{certificate.partition}]"
    return f"{certificate.asset}{partition} version {certificate.sha256[:12]} ({certificate.size:,} bytes)"
